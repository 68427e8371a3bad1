"""Checks that a week's accounts are spread over a table's columns as an earlier week's; where not, says how much.

What it can't see stands in docs/operations.md ("Drift"): what moves slower than the weeks compared, accounts that
change places within one spread, a boundary inside a cell, and in a small company anything but a large move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from health_pipeline.contract.mart import MartColumn, mart_tables
from health_pipeline.quality.suites import Check
from health_pipeline.quality.verdict import MAX_ROW_IDS, CheckResult, RowId
from health_pipeline.segmentation.methods.population_stability import (
    PopulationStability,
    population_stability,
    quantile_counts,
)

NUMBERS = ("integer", "number", "decimal", "boolean")
# Words of the code, few and fixed; other texts are ids, addresses and the customer's own words.
WORDS = ("lifecycle_stage", "mrr_movement", "tier")
# They grow by themselves, for everybody.
AGES = ("account_tenure_days", "weeks_in_tier", "healthy_weeks")
MOST_CELLS = 10
# With fewer accounts in a cell chance moves more than chi-square says: tried on companies of 25 to 400 drawn anew.
ACCOUNTS_IN_A_CELL = 20
_SHOWN = 5


@dataclass(frozen=True)
class Drift:
    """One column that is spread otherwise than in the week before."""

    column: str
    found: PopulationStability


def judged_columns(table: str) -> tuple[MartColumn, ...]:
    """The columns of a table whose spread is compared: numbers, yes or no, and the code's own words."""
    built = mart_tables()[table].built_columns
    return tuple(
        column
        for column in built
        if column.name not in AGES
        and (column.type in NUMBERS or column.name in WORDS or column.name.endswith("_status"))
    )


def cells(before: pd.Series[Any], after: pd.Series[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accounts of two weeks in the same cells: tenths of the week before where there are enough accounts, one cell per
    word, and one for what is not known, so that a source that fell silent is seen.

    Returns
    -------
    tuple of arrays, each of shape (cells,)
    """
    both = pd.concat([before, after])
    if both.nunique() <= 2 or not pd.api.types.is_numeric_dtype(both):
        words = sorted(both.dropna().unique())
        counts = [np.array([(week == word).sum() for word in words], dtype=float) for week in (before, after)]
    else:
        known = [week.dropna().to_numpy(dtype=float) for week in (before, after)]
        if not known[0].size:
            counts = [np.array([float(known.size)]) for known in known]
        else:
            number = int(np.clip(known[0].size // ACCOUNTS_IN_A_CELL, 2, MOST_CELLS))
            counts = list(quantile_counts(known[0], known[1], number))
    unknown = [float(week.isna().sum()) for week in (before, after)]
    return np.append(counts[0], unknown[0]), np.append(counts[1], unknown[1])


def gathered(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same counts with the cells of too few accounts in one: in them chance moves more than chi-square says."""
    is_small = (before + after) < 2 * ACCOUNTS_IN_A_CELL
    if not is_small.any():
        return before, after
    then, now = (np.append(counts[~is_small], counts[is_small].sum()) for counts in (before, after))
    if then[-1] + now[-1] >= 2 * ACCOUNTS_IN_A_CELL or len(then) == 1:
        return then, now
    # Still too few: to the smallest of the others.
    place = int(np.argmin((then + now)[:-1]))
    then[place], now[place] = then[place] + then[-1], now[place] + now[-1]
    return then[:-1], now[:-1]


def drifted(before: pd.DataFrame, after: pd.DataFrame, level: float, notable: float) -> list[Drift]:
    """The columns whose index exceeds both what chance gives and what is worth a look, largest first.

    Parameters
    ----------
    before, after : shape (accounts, columns); the same columns
    level : probability that chance alone names any column at all; shared out among the columns (Bonferroni)
    notable : the least index that is told, however many accounts there are

    References
    ----------
    Yurdakul, Naranjo (2020), Statistical properties of the population stability index (the critical value);
    Siddiqi (2006), Credit Risk Scorecards (0.25 as the usual line of a major move).
    """
    counted = {column: gathered(*cells(before[column], after[column])) for column in before.columns}
    compared = {name: pair for name, pair in counted.items() if ((pair[0] + pair[1]) > 0).sum() > 1}
    found = [
        Drift(name, population_stability(then, now, level / len(compared))) for name, (then, now) in compared.items()
    ]
    told = [one for one in found if one.found.is_more_than_chance and one.found.value >= notable]
    return sorted(told, key=lambda one: (-one.found.value, one.column))


def check_drift(
    connection: duckdb.DuckDBPyConnection, checks: Sequence[Check], weeks: Sequence[date]
) -> list[CheckResult]:
    """The result of each check of type `population_drift`, on the newest of the run's weeks.

    Where the earlier week is not published (a company's first weeks) there is nothing to compare with: passed, and
    said.
    """
    return [_checked(connection, check, max(weeks)) for check in checks] if weeks else []


def _checked(connection: duckdb.DuckDBPyConnection, check: Check, week: date) -> CheckResult:
    arguments: Mapping[str, Any] = check.arguments
    table, before_day = arguments["table"], week - timedelta(weeks=arguments["weeks_before"])
    error, observed, found = "", "", list[Drift]()
    try:
        frames = {day: _frame(connection, table, day) for day in (before_day, week)}
        before, after = frames[before_day], frames[week]
        if before.empty or after.empty:
            observed = f"no {'account' if after.empty else 'week to compare with'} in {table}"
        else:
            found = drifted(before, after, arguments["level"], arguments["notable"])
            observed = _observed(found, before, table, before_day)
    except duckdb.Error as problem:
        # A check that can't run refuses publication; it does not end the audit of the others.
        error = type(problem).__name__
    return CheckResult(
        check.suite,
        check.name,
        check.type,
        check.severity,
        check.reason,
        passed=not found and not error,
        evaluated=not error,
        observed=observed,
        unexpected_count=len(found),
        row_ids=tuple(_ids(week, one) for one in found[:MAX_ROW_IDS]),
        error=error,
    )


def _frame(connection: duckdb.DuckDBPyConnection, table: str, week: date) -> pd.DataFrame:
    picked = ", ".join(
        f'"{column.name}"' if column.type == "text" else f'cast("{column.name}" as double) as "{column.name}"'
        for column in judged_columns(table)
    )
    query = f'select {picked} from candidate.main."{table}" where week = ? order by account_id'
    frame: pd.DataFrame = connection.execute(query, [week]).df()
    return frame


def _observed(found: Sequence[Drift], before: pd.DataFrame, table: str, day: date) -> str:
    told = ", ".join(
        f"{one.column} {one.found.value:.2f} (chance {one.found.critical_value:.2f})" for one in found[:_SHOWN]
    )
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{len(found)} of {before.shape[1]} columns of {table} moved against {day}{': ' if told else ''}{told}{more}"


def _ids(week: date, one: Drift) -> RowId:
    return (
        ("week", week.isoformat()),
        ("column_name", one.column),
        ("population_stability_index", f"{one.found.value:.3f}"),
        ("critical_value", f"{one.found.critical_value:.3f}"),
        ("accounts", str(one.found.after)),
        ("accounts_before", str(one.found.before)),
    )
