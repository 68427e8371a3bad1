"""How a signal came about: suddenly or gradually, near a renewal, at the stakeholders, or as an escalation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from health_pipeline.policy.risk_signals import RiskSignal
from health_pipeline.risk.model import Pattern, Severity
from health_pipeline.risk.strength import LEVELS

# Of the move over the path, so much lies in its newer half where it came suddenly.
SUDDEN_SHARE = 0.8
FEWEST_KNOWN = 4


class FeaturePaths:
    """The values of some features by account over weeks; what is not known is NaN.

    Parameters
    ----------
    rows : Table of account_id, week and the features; published weeks and the run's, each account and week once
    features : the ones whose paths are asked for
    """

    def __init__(self, rows: pa.Table, features: Iterable[str]) -> None:
        accounts = rows["account_id"].to_pylist()
        weeks = rows["week"].to_pylist()
        self._row = {name: place for place, name in enumerate(sorted(set(accounts)))}
        self._first = min(weeks, default=date.min)
        length = (max(weeks) - self._first).days // 7 + 1 if weeks else 0
        at = (
            np.array([self._row[name] for name in accounts], dtype=np.int64),
            np.array([(week - self._first).days // 7 for week in weeks], dtype=np.int64),
        )
        self._values: dict[str, np.ndarray] = {}
        for feature in sorted(set(features)):
            values = np.full((len(self._row), length), np.nan)
            values[at] = rows[feature].combine_chunks().cast(pa.float64()).fill_null(np.nan).to_numpy()
            self._values[feature] = values

    def path(self, feature: str, account_id: str, week: date, weeks: int) -> np.ndarray:
        """The account's values of the weeks up to that one, the oldest first; shape (at most weeks + 1,)."""
        row = self._row.get(account_id)
        if row is None:
            return np.empty(0)
        last = (week - self._first).days // 7
        return self._values[feature][row, max(last - weeks, 0) : last + 1]


def pace(path: Sequence[float] | np.ndarray, is_rising: bool) -> Pattern | None:
    """Whether a value came to where it is suddenly or gradually.

    Parameters
    ----------
    path : values week by week, the newest last; NaN where unknown
    is_rising : whether rising is what the signal is about, or falling

    Returns
    -------
    `sudden` where at least four fifths of the move lie in the newer half, `gradual` where less; None where it did not
    move that way, or fewer than four values are known.

    Examples
    --------
    >>> pace([20, 20, 20, 20, 20, 12, 6, 4, 4], is_rising=False)
    'sudden'
    >>> pace([20, 18, 16, 14, 12, 10, 8, 6, 4], is_rising=False)
    'gradual'
    """
    values = np.asarray(path, dtype=float)
    known = values[~np.isnan(values)]
    if len(known) < FEWEST_KNOWN:
        return None
    sign = 1 if is_rising else -1
    total = sign * (known[-1] - known[0])
    if total <= 0:
        return None
    newer = sign * (known[-1] - known[len(known) // 2])
    return "sudden" if newer >= SUDDEN_SHARE * total else "gradual"


def patterns_of(
    signal: RiskSignal,
    *,
    path: np.ndarray,
    days_to_renewal: float,
    renewal_near_days: int,
    is_new: bool,
    levels_before: Iterable[Severity],
) -> tuple[Pattern, ...]:
    """The patterns a fired signal shows.

    Parameters
    ----------
    path : of `signal.path_of`; empty where it has none
    days_to_renewal : NaN where unknown
    is_new : it did not fire last week
    levels_before : levels of the signals by which the risk was known before this week; none where it is new itself
    """
    found: list[Pattern] = []
    if (way := pace(path, signal.when[0].comparator in (">", ">="))) is not None:
        found.append(way)
    if 0 <= days_to_renewal <= renewal_near_days:
        found.append("renewal_near")
    if signal.category == "sponsor_stakeholder":
        found.append("stakeholder")
    levels = [LEVELS.index(level) for level in levels_before]
    if is_new and levels and LEVELS.index(signal.contribution) > max(levels):
        found.append("escalation")
    return tuple(found)


def path_start(first_week: date, path_weeks: int) -> date:
    """The first week that a path reaching back from the run's first week needs."""
    return first_week - timedelta(weeks=path_weeks)
