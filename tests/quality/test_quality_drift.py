"""Drift between weeks: figures computed by hand, a fault each check finds, what stays quiet, and what it can't see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from health_pipeline.contract.mart import mart_tables
from health_pipeline.quality.audit import evaluate
from health_pipeline.quality.drift import cells, check_drift, drifted, gathered, judged_columns
from health_pipeline.quality.sql_checks import audited
from health_pipeline.quality.suites import DRIFT_TYPE, load_checks
from health_pipeline.quality.verdict import CheckResult

CHECKS = [check for check in load_checks() if check.type == DRIFT_TYPE]
OF_FEATURES = CHECKS[0]
WEEK = date(2026, 11, 2)
ACCOUNTS = 400
LEVEL, NOTABLE = 0.05, 0.25


def frame(seed: int, accounts: int = ACCOUNTS) -> pd.DataFrame:
    """A week of a company: an amount, a count, a yes or no and a word, each account drawn anew."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "arr": random.lognormal(9, 1, accounts),
            "open_tickets": random.poisson(3, accounts).astype(float),
            "is_cancellation_scheduled": (random.random(accounts) < 0.1).astype(float),
            "usage_status": random.choice(["measured", "missing", "stale"], accounts, p=[0.8, 0.15, 0.05]),
        }
    )


def moved(name: str, change: Callable[[pd.Series], pd.Series], accounts: int = ACCOUNTS) -> list[str]:
    """The columns that are told where one of them is changed."""
    after = frame(2, accounts)
    after[name] = change(after[name])
    return [one.column for one in drifted(frame(1, accounts), after, LEVEL, NOTABLE)]


def test_the_index_and_its_critical_value_are_those_computed_by_hand() -> None:
    """Half and half becomes four to one: 0.3 ln(1.6) + 0.3 ln(2.5), against chance in samples of 100."""
    before = pd.DataFrame({"is_won": [0.0] * 50 + [1.0] * 50})
    after = pd.DataFrame({"is_won": [0.0] * 20 + [1.0] * 80})
    (one,) = drifted(before, after, LEVEL, NOTABLE)
    assert one.found.value == pytest.approx(0.3 * math.log(1.6) + 0.3 * math.log(2.5), abs=1e-12)
    assert one.found.critical_value == pytest.approx((1 / 100 + 1 / 100) * stats.chi2.ppf(0.95, 1))
    assert (one.found.before, one.found.after, one.found.bins) == (100, 100, 2)


def test_the_level_is_shared_out_among_the_columns() -> None:
    before = pd.DataFrame({f"is_{n}": [0.0] * 50 + [1.0] * 50 for n in range(10)})
    after = before.assign(is_3=[0.0] * 20 + [1.0] * 80)
    (one,) = drifted(before, after, LEVEL, NOTABLE)
    assert one.column == "is_3"
    assert one.found.critical_value == pytest.approx(0.02 * stats.chi2.ppf(0.995, 1))


def test_what_is_not_known_is_a_cell_of_its_own() -> None:
    before, after = pd.Series([1.0, 2.0, np.nan]), pd.Series([np.nan, np.nan, 2.0, 2.0])
    then, now = cells(before, after)
    assert (then.tolist(), now.tolist()) == ([1.0, 1.0, 1.0], [0.0, 2.0, 2.0])
    words, later = cells(pd.Series(["measured", "stale", None]), pd.Series(["stale", "zero", "zero"]))
    assert (words.tolist(), later.tolist()) == ([1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 2.0, 0.0])


def test_cells_of_few_accounts_are_one_and_few_of_them_go_to_the_smallest() -> None:
    def of(*counts: float) -> list[list[float]]:
        before = np.array(counts)
        return [one.tolist() for one in gathered(before, before)]

    assert of(50, 30) == [[50, 30]] * 2
    assert of(50, 12, 30, 14) == [[50, 30, 26]] * 2
    assert of(50, 6, 30, 2) == [[50, 38]] * 2
    assert of(5, 2) == [[7]] * 2


def test_cells_hold_enough_accounts() -> None:
    values = pd.Series(np.arange(45.0))
    then, _ = cells(values, values)
    assert len(then) == 2 + 1
    assert then[:-1].min() >= 20
    assert len(cells(pd.Series(np.arange(500.0)), values)[0]) == 10 + 1


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("arr", lambda amounts: amounts * 2),
        ("arr", lambda amounts: amounts.where(np.arange(len(amounts)) % 2 == 0)),
        ("open_tickets", lambda counts: counts * 0),
        ("is_cancellation_scheduled", lambda flags: 1 - flags),
        ("usage_status", lambda words: words.replace("measured", "stale")),
    ],
    ids=["doubled", "half of it gone", "all zero", "turned round", "gone stale"],
)
def test_a_move_of_a_column_is_told_and_no_other(name: str, change: Callable[[pd.Series], pd.Series]) -> None:
    assert moved(name, change) == [name]


def test_a_company_that_is_drawn_anew_alarms_no_oftener_than_it_may() -> None:
    """Whole companies drawn from one spread: 5 % by chance where they are small, none where 0.25 is far from chance."""
    alarms = {
        accounts: sum(
            bool(drifted(frame(seed, accounts), frame(seed + 1, accounts), LEVEL, NOTABLE)) for seed in range(0, 80, 2)
        )
        for accounts in (25, 60, 400)
    }
    assert max(alarms.values()) <= 0.05 * 40
    assert alarms[400] == 0


def test_what_it_does_not_see() -> None:
    """Written down in docs/operations.md: each of these, and of the next tests, is a change that nobody is told of."""
    # accounts that change places
    assert moved("arr", lambda amounts: frame(2)["arr"].sample(frac=1, random_state=1).reset_index(drop=True)) == []
    # a boundary that moves inside a cell: everybody above the last tenth's edge becomes ten times as large
    edge = frame(1)["arr"].quantile(0.9)
    assert moved("arr", lambda amounts: amounts.where(amounts <= edge * 1.05, amounts * 10)) == []
    # a move that is certain and small
    assert moved("arr", lambda amounts: amounts * 1.25) == []
    after = frame(2).assign(arr=frame(2)["arr"] * 1.25)
    assert [one.column for one in drifted(frame(1), after, LEVEL, notable=0.0)] == ["arr"], "chance alone does as much"
    # in a small company, which has as many columns, the move that is told in a larger one
    assert (among_many(100), among_many(25)) == (["is_won"], [])


def among_many(accounts: int) -> list[str]:
    """What is told where one yes-or-no of 130 goes from half to a fifth, by hand 0.416."""
    others = {f"is_{n}": [float(account % 2) for account in range(accounts)] for n in range(129)}
    before = pd.DataFrame({**others, "is_won": [float(account < 0.5 * accounts) for account in range(accounts)]})
    after = before.assign(is_won=[float(account < 0.2 * accounts) for account in range(accounts)])
    return [one.column for one in drifted(before, after, LEVEL, NOTABLE)]


def is_told(accounts: int, was: int, now: int) -> bool:
    """Of a yes-or-no that was true of so many accounts and is of others now, among the columns of the features."""
    before, after = (pd.DataFrame({"is_won": [float(n < true) for n in range(accounts)]}) for true in (was, now))
    return bool(drifted(before, after, LEVEL / len(judged_columns("account_features_weekly")), NOTABLE))


def test_of_few_accounts_no_move_is_told_and_of_more_the_least_is_smaller() -> None:
    """Written down there too: two cells need forty accounts."""
    assert not any(is_told(39, was, now) for was in (0, 10, 19, 39) for now in range(0, 40, 3))
    assert (is_told(40, 12, 28), is_told(40, 13, 27)) == (True, False)
    assert (is_told(100, 10, 30), is_told(100, 10, 25)) == (True, False)


def test_what_creeps_is_not_seen_and_the_same_at_once_is() -> None:
    """From three quarters to a quarter in a year: by hand 0.5 ln 3 twice, 1.10, in all; and never 0.25 in 13 weeks."""
    of_year = [100 * (0.75 - 0.5 * week / 52) for week in range(53)]
    pairs = [
        (week - back, week) for check in CHECKS if (back := check.arguments["weeks_before"]) for week in range(back, 53)
    ]
    assert {later - earlier for earlier, later in pairs} == {1, 13}
    assert not any(is_told(100, round(of_year[earlier]), round(of_year[later])) for earlier, later in pairs)
    assert is_told(100, round(of_year[0]), round(of_year[52]))


def told_in(file: Path, weeks: list[date]) -> list[bool]:
    """What a run of these weeks is told of the features, and that there was an earlier week to compare with."""
    found = [checked(file, name, weeks) for name in ("features_as_a_week_before", "features_as_a_quarter_before")]
    assert all(one.evaluated and "to compare with" not in str(one.observed) for one in found)
    return [not one.passed for one in found]


def test_last_years_week_is_not_compared(tmp_path: Path) -> None:
    """A season: a quarter ago it was as now, a year ago everything was otherwise."""
    shares = {0: 0.8, 1: 0.8, 13: 0.8, 52: 0.2}
    by_week = {WEEK - timedelta(weeks=ago): {"active_days_28d": share} for ago, share in shares.items()}
    assert told_in(mart_with(tmp_path, "account_features_weekly", by_week), [WEEK]) == [False, False]
    assert is_told(100, 20, 80)


def test_of_many_weeks_the_newest_is_judged(tmp_path: Path) -> None:
    """A week in the middle is otherwise: its own run is told, the backfill that goes on for two weeks is not."""
    weeks = [WEEK - timedelta(weeks=ago) for ago in (2, 1, 0)]
    shares = {weeks[0]: 0.2} | {WEEK - timedelta(weeks=ago): 0.5 for ago in (0, 1, 3, 13, 15)}
    file = mart_with(
        tmp_path, "account_features_weekly", {week: {"active_days_28d": share} for week, share in shares.items()}
    )
    assert told_in(file, weeks[:1]) == [True, True]
    assert told_in(file, weeks) == [False, False]


def test_words_of_people_and_ids_are_not_read() -> None:
    names = {column.name for column in judged_columns("account_features_weekly")}
    assert names.isdisjoint({"account_id", "owner_email", "crm_segment", "renewal_stage", "parent_account_id", "week"})
    assert {"usage_status", "mrr_movement", "arr", "is_cancellation_scheduled"} <= names
    assert "account_tenure_days" not in names
    assert {"score", "tier", "coverage"} <= {column.name for column in judged_columns("account_health_weekly")}


def mart_with(folder: Path, table: str, by_week: dict[date, dict[str, float]], accounts: int = 100) -> Path:
    """A mart file with one table: the share of accounts whose columns are 1, by week; all else null."""
    file = folder / "customer_health.duckdb"
    columns = {column.name: column.duckdb_type for column in mart_tables()[table].columns}
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"create table {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        for week, shares in by_week.items():
            values = "".join(f", (n < {share * accounts})::int as {name}" for name, share in shares.items())
            connection.execute(
                f"insert into {table} by name select 'a' || n as account_id, ?::date as week{values} "
                f"from range({accounts}) as numbers(n)",
                [week],
            )
    return file


def checked(file: Path, check_name: str, weeks: list[date]) -> CheckResult:
    check = next(check for check in CHECKS if check.name == check_name)
    with audited(file, weeks, []) as connection:
        (found,) = check_drift(connection, [check], weeks)
    return found


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_finds_its_fault_and_passes_without_it(tmp_path: Path, check: object) -> None:
    name, arguments = check.name, check.arguments  # type: ignore[attr-defined]
    column = {"account_features_weekly": "active_days_28d", "account_health_weekly": "coverage"}[arguments["table"]]
    earlier = WEEK - timedelta(weeks=arguments["weeks_before"])
    for share, passed in ((0.5, True), (0.2, False)):
        folder = tmp_path / str(share)
        folder.mkdir()
        file = mart_with(folder, arguments["table"], {earlier: {column: 0.5}, WEEK: {column: share}})
        found = checked(file, name, [WEEK - timedelta(weeks=1), WEEK])
        assert (found.passed, found.evaluated, found.severity) == (passed, True, "warning")
    assert found.unexpected_count == 1
    assert found.row_ids == (
        (
            ("week", "2026-11-02"),
            ("column_name", column),
            ("population_stability_index", "0.416"),
            ("critical_value", f"{0.02 * stats.chi2.ppf(0.95, 1):.3f}"),
            ("accounts", "100"),
            ("accounts_before", "100"),
        ),
    )
    assert found.observed.endswith(f"moved against {earlier}: {column} 0.42 (chance 0.08)")


def test_without_an_earlier_week_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    file = mart_with(tmp_path, "account_features_weekly", {WEEK: {"active_days_28d": 0.5}})
    found = checked(file, "features_as_a_week_before", [WEEK])
    assert (found.passed, found.evaluated) == (True, True)
    assert found.observed == "no week to compare with in account_features_weekly"


def test_a_table_that_is_not_there_is_not_evaluated_and_holds_back(tmp_path: Path) -> None:
    file = mart_with(tmp_path, "account_features_weekly", {WEEK: {}})
    found = checked(file, "scores_as_a_week_before", [WEEK])
    assert (found.passed, found.evaluated, found.error) == (False, False, "CatalogException")


def test_the_audit_evaluates_them(tmp_path: Path) -> None:
    earlier = WEEK - timedelta(weeks=1)
    file = mart_with(
        tmp_path, "account_features_weekly", {earlier: {"active_days_28d": 0.5}, WEEK: {"active_days_28d": 0.2}}
    )
    (found,) = evaluate(file, [OF_FEATURES], [WEEK], [], {})
    assert (found.check, found.passed) == ("across_tables.features_as_a_week_before", False)
    assert replace(found, passed=True).severity == "warning"
