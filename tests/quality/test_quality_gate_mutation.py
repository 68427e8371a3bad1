"""Mutation of the gate: for each critical check a candidate that only it holds back; without it that is let through.

A fault that several checks see at once says nothing about any of them: each could be lost, and nobody would notice.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from audited import Audited
from test_quality_checks import (
    CRITICAL_FRAME_CHECKS,
    CRITICAL_SQL_CHECKS,
    FRAME_FAULTS,
    NEWEST,
    SQL_FAULTS,
    Frames,
    frames,
)

from health_pipeline.contract.mart import mart_tables
from health_pipeline.quality.audit import evaluate
from health_pipeline.quality.frame_checks import check_frames
from health_pipeline.quality.sql_checks import audited, check_queries
from health_pipeline.quality.suites import Check
from health_pipeline.quality.verdict import CheckResult, critical_failures

__all__ = ["frames"]

ONE = f"where {NEWEST} and account_id = 'a0001'"
WHEN = pd.Timestamp("2026-11-09")
COPIED = "week = date '2026-10-26'"


def accounts_added(table: str, *replaced: str) -> str:
    """Each account of a week ten times more, in one table."""
    columns = ", ".join(("account_id || n as account_id", *replaced))
    return (
        f"insert into {table} by name select * exclude (n) replace ({columns}) from {table}, range(10) as numbers(n) "
        f"where {COPIED}"
    )


# Where the fault that a check must find is seen by others too: one that is hidden from all the others.
ALONE: dict[str, tuple[str, ...]] = {
    "health_rows_have_features": (
        *(
            f"delete from {table} {ONE}"
            for table in (
                "account_features_weekly",
                "support_load_weekly",
                "risk_packets",
                "risk_evidence",
                "exception_queue_weekly",
                "defect_theme_accounts_weekly",
            )
        ),
        f"update defect_themes_weekly set tickets_91d = tickets_91d - 1 where {NEWEST}",
    ),
    "features_have_health_rows": (
        *(
            f"delete from {table} {ONE}"
            for table in ("account_health_weekly", "score_contributions_weekly", "score_changes_weekly")
        ),
        "delete from account_health_current where account_id = 'a0001'",
    ),
    "contributions_have_health_rows": (
        f"insert into score_contributions_weekly by name select * replace ('nobody' as account_id) "
        f"from score_contributions_weekly {ONE}",
    ),
    "scored_has_score": (
        f"update account_health_weekly set score = null, family_score = null, family_scored_accounts = 0 {ONE}",
    ),
    "override_has_approver": (
        f"update account_health_weekly set override_tier = 'watch', effective_tier = 'watch' {ONE}",
    ),
    "account_count_holds": (
        accounts_added("account_features_weekly"),
        accounts_added("account_health_weekly", "account_id || n as family_id"),
        accounts_added("score_contributions_weekly"),
        accounts_added("support_load_weekly"),
        accounts_added("defect_theme_accounts_weekly"),
        f"update defect_themes_weekly set tickets_91d = tickets_91d + 20 where {COPIED}",
    ),
    "one_open_case_of_each_side": (
        f"update risk_packets set account_id = 'a0000' {ONE}",
        f"update risk_evidence set account_id = 'a0000' {ONE}",
    ),
    "packets_have_features": (
        f"update risk_packets set account_id = 'nobody' {ONE}",
        f"update risk_evidence set account_id = 'nobody' {ONE}",
    ),
}
# A column that older weeks have and the contract no longer does may stay, unless it is a prediction.
RETIRED = {"no_prediction_columns": {"account_features_weekly": ["renewal_probability"]}}
# What two checks see by what they are: a quarter without assignments has no rows in its slice either; a score of an
# account that is not scored has either parts that must not be, or none that sum to it.
SEEN_TWICE = {
    "quarters_are_there": {"segment_accounts_add_up", "segment_assignments_quarterly.row_count"},
    "not_scored_has_no_score": {"contributions_have_health_rows", "effective_tier_follows_tier"},
}
HIDDEN = [check for check in CRITICAL_SQL_CHECKS if check.name in ALONE]


def faulty(audited_candidate: Audited, folder: Path, check: Check) -> Path:
    file = folder / "faulty.duckdb"
    shutil.copy(audited_candidate.candidate.file, file)
    with duckdb.connect(str(file)) as connection:
        for statement in ALONE.get(check.name) or (SQL_FAULTS[check.name][0],):
            (changed,) = connection.execute(statement).fetchone() or (1,)
            assert changed, statement
    return file


def held_back_by(results: Sequence[CheckResult]) -> set[str]:
    return {result.check.removeprefix("across_tables.") for result in critical_failures(results)}


def days(audited_candidate: Audited) -> list[object]:
    return [week.monday for week in audited_candidate.weeks]


@pytest.mark.parametrize("check", HIDDEN, ids=lambda check: check.name)
def test_a_fault_hidden_from_the_other_queries_is_held_back_by_its_own(
    audited_candidate: Audited, tmp_path: Path, check: Check
) -> None:
    file = faulty(audited_candidate, tmp_path, check)
    with audited(file, days(audited_candidate), audited_candidate.quarters) as connection:
        results = check_queries(connection, CRITICAL_SQL_CHECKS)
    assert held_back_by(results) == {check.name}
    assert held_back_by([result for result in results if result.name != check.name]) == set()


@pytest.mark.parametrize(("others", "is_seen"), [(20, False), (12, False), (11, True)])
def test_accounts_that_were_replaced_by_as_many_others_are_not_seen(
    audited_candidate: Audited, tmp_path: Path, others: int, is_seen: bool
) -> None:
    """A limit docs/operations.md states: none of 20 accounts is there a week later, and only counts are compared."""
    file = tmp_path / "replaced.duckdb"
    shutil.copy(audited_candidate.candidate.file, file)
    with duckdb.connect(str(file)) as connection:
        for week, name, count in (("2026-10-26", "then", 20), ("2026-11-02", "now", others)):
            of_week = f"week = date '{week}'"
            connection.execute(
                f"insert into account_health_weekly by name select * exclude (n) replace ('{name}' || n as account_id) "
                f"from account_health_weekly, range({count}) as numbers(n) where {of_week} and account_id = 'a0000'"
            )
            connection.execute(
                f"delete from account_health_weekly where {of_week} and not starts_with(account_id, '{name}')"
            )
    own = [check for check in CRITICAL_SQL_CHECKS if check.name == "account_count_holds"]
    with audited(file, days(audited_candidate), audited_candidate.quarters) as connection:
        results = check_queries(connection, own)
    assert held_back_by(results) == ({"account_count_holds"} if is_seen else set())


@pytest.mark.long
@pytest.mark.parametrize("check", CRITICAL_SQL_CHECKS, ids=lambda check: check.name)
def test_without_its_query_a_fault_is_let_through(audited_candidate: Audited, tmp_path: Path, check: Check) -> None:
    """Of all critical checks of the candidate's file, those of single tables too."""
    own = CRITICAL_FRAME_CHECKS + CRITICAL_SQL_CHECKS
    retired = RETIRED.get(check.name, {})
    file = faulty(audited_candidate, tmp_path, check)
    results = evaluate(file, own, days(audited_candidate), audited_candidate.quarters, retired)
    twice = SEEN_TWICE.get(check.name, set())
    assert held_back_by(results) == {check.name} | twice
    remaining = [result for result in results if result.name != check.name]
    assert held_back_by(remaining) == twice


def with_words_of_the_suite(frame: pd.DataFrame, own: Sequence[Check]) -> pd.DataFrame:
    """The example row of a table that no run of the tests fills, in words and times that its suite allows."""
    sound = frame.assign(published_at=frame["published_at"].fillna(WHEN)) if "published_at" in frame else frame
    for check in own:
        if check.type == "expect_column_values_to_be_in_set":
            column, words = check.arguments["column"], check.arguments["value_set"]
            kept = sound[column].isin(words) | sound[column].isna()
            sound = sound.assign(**{column: sound[column].where(kept, words[0])})
    return sound


def hidden_fault(frame: pd.DataFrame, check: Check) -> pd.DataFrame:
    """The fault of the kind; one null is enough where all must be known, and makes no key twice."""
    arguments = dict(check.arguments)
    faulty_frame = FRAME_FAULTS[check.type](frame, arguments)
    if check.type == "expect_column_values_to_not_be_null" and "mostly" not in arguments:
        column = arguments["column"]
        return frame.assign(**{column: faulty_frame[column].where(frame.index == frame.index[0], frame[column])})
    return faulty_frame


@pytest.mark.long
@pytest.mark.parametrize("table", mart_tables())
def test_without_its_expectation_a_faulty_table_is_let_through(frames: Frames, table: str) -> None:
    own = [check for check in CRITICAL_FRAME_CHECKS if check.suite == table]
    sound = with_words_of_the_suite(frames[table], own)
    assert held_back_by(check_frames(own, {table: sound}, {})) == set()
    seen_twice = {}
    for check in own:
        results = check_frames(own, {table: hidden_fault(sound, check)}, {})
        assert check.full_name in held_back_by(results)
        others = held_back_by([result for result in results if result.check != check.full_name])
        if others:
            seen_twice[check.name] = others
    assert seen_twice == {}
