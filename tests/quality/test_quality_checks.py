"""Every check that holds back or warns can fail: each has a fault that it finds; a new check without one fails here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from audited import Audited
from mart_builder import example_rows

from health_pipeline.contract.mart import mart_tables
from health_pipeline.quality.audit import evaluate
from health_pipeline.quality.frame_checks import check_frames
from health_pipeline.quality.sql_checks import audited, check_queries
from health_pipeline.quality.suites import ACROSS_TYPES, SQL_TYPE, Check, load_checks
from health_pipeline.quality.verdict import CheckResult

CHECKS = load_checks()
CRITICAL_FRAME_CHECKS = [check for check in CHECKS if check.severity == "critical" and check.type not in ACROSS_TYPES]
WARNING_SQL_CHECKS = [check for check in CHECKS if check.severity == "warning" and check.type == SQL_TYPE]
WARNING_FRAME_CHECKS = [check for check in CHECKS if check.severity == "warning" and check.type not in ACROSS_TYPES]
CRITICAL_SQL_CHECKS = [check for check in CHECKS if check.severity == "critical" and check.type == SQL_TYPE]
NEWEST = "week = date '2026-11-02'"

# What must be done to a sound candidate, and the ids that must be named.
SQL_FAULTS: dict[str, tuple[str, dict[str, str]]] = {
    "contributions_sum_to_score": (
        f"update score_contributions_weekly set contribution = contribution + 0.00001 where {NEWEST} "
        "and account_id = 'a0001' and measure = 'measure_00'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "change_parts_sum_to_change": (
        f"update score_changes_weekly set change_from_data = change_from_data + 0.00001 where {NEWEST} "
        "and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "family_scores_add_up": (
        f"update account_health_weekly set family_id = 'a0000' where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0000", "week": "2026-11-02"},
    ),
    "health_rows_have_features": (
        f"delete from account_features_weekly where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "features_have_health_rows": (
        f"delete from account_health_weekly where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "contributions_have_health_rows": (
        f"update account_health_weekly set tier = 'not_scored', score = null where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02", "measure": "measure_00"},
    ),
    "not_scored_has_no_score": (
        f"update account_health_weekly set tier = 'not_scored' where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "scored_has_score": (
        f"update account_health_weekly set score = null where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "effective_tier_follows_tier": (
        f"update account_health_weekly set effective_tier = 'watch' where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "override_has_approver": (
        f"update account_health_weekly set override_tier = 'watch' where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "tier_path_continues": (
        f"update account_health_weekly set previous_tier = 'watch' where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "plan_rows_have_tasks": (
        "delete from review_tasks where account_id = 'a0000'",
        {"account_id": "a0000", "week": "2026-11-02"},
    ),
    "plan_rows_have_health_rows": (
        f"update action_plan_accounts_weekly set effective_tier = 'watch' where {NEWEST}",
        {"account_id": "a0000", "week": "2026-11-02"},
    ),
    "plan_orders_nobody": (
        f"update action_plan_accounts_weekly set proposed_action = 'Call the customer today.' where {NEWEST}",
        {"account_id": "a0000", "week": "2026-11-02", "table_name": "action_plan_accounts_weekly"},
    ),
    "support_load_agrees_with_features": (
        f"update support_load_weekly set open_backlog = 2 where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "themes_hold_every_ticket": (
        f"update defect_themes_weekly set tickets_91d = tickets_91d - 1 where {NEWEST}",
        {"week": "2026-11-02"},
    ),
    "capacity_agrees_with_plan": (
        f"update plan_capacity_weekly set hours_needed = hours_needed + 1 where {NEWEST}",
        {"week": "2026-11-02"},
    ),
    "week_constants": (
        f"update score_changes_weekly set as_of_at = as_of_at + interval 1 hour where {NEWEST}",
        {"table_name": "score_changes_weekly", "week": "2026-11-02"},
    ),
    "required_tables_have_week": (
        f"delete from source_freshness_weekly where {NEWEST}",
        {"table_name": "source_freshness_weekly", "week": "2026-11-02"},
    ),
    "weeks_have_no_hole": (
        "delete from account_health_weekly where week = date '2026-10-12'",
        {"week": "2026-10-19"},
    ),
    "account_count_holds": (
        "insert into account_health_weekly by name select * exclude (n) replace (account_id || n as account_id) "
        "from account_health_weekly, range(10) as numbers(n) where week = date '2026-10-26'",
        {"week": "2026-11-02"},
    ),
    "evidence_was_known_then": (
        f"update risk_evidence set available_at = known_at + interval 1 microsecond where {NEWEST} "
        "and account_id = 'a0001'",
        {"evidence_id": "evidence-a0001-2026-11-02", "week": "2026-11-02"},
    ),
    "signals_have_evidence": (
        f"update risk_packets set signals = 'unresolved_tickets,goal_overdue' where {NEWEST} and account_id = 'a0001'",
        {"packet_id": "packet-a0001", "week": "2026-11-02"},
    ),
    "queue_agrees_with_packets": (
        f"update exception_queue_weekly set queue_rank = 99 where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "evidence_agrees_with_packets": (
        f"update risk_packets set contradicting_evidence = 1 where {NEWEST} and account_id = 'a0001'",
        {"packet_id": "packet-a0001", "week": "2026-11-02"},
    ),
    "one_open_case_of_each_side": (
        f"update risk_packets set account_id = 'a0000' where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0000", "week": "2026-11-02"},
    ),
    "packets_have_features": (
        f"update risk_packets set account_id = 'nobody' where {NEWEST} and account_id = 'a0001'",
        {"packet_id": "packet-a0001", "week": "2026-11-02"},
    ),
    "risk_path_continues": (
        f"update risk_packets set occurrences = occurrences + 1 where {NEWEST} and account_id = 'a0001'",
        {"packet_id": "packet-a0001", "week": "2026-11-02"},
    ),
    "no_prediction_columns": (
        "alter table account_features_weekly add column renewal_probability double",
        {"table_name": "account_features_weekly", "column_name": "renewal_probability"},
    ),
    "measured_domains_have_numbers": (
        f"update account_features_weekly set active_days_28d = null where {NEWEST}",
        {"week": "2026-11-02", "column_name": "active_days_28d"},
    ),
    "required_sources_are_fresh": (
        f"update source_freshness_weekly set is_stale = true where {NEWEST}",
        {"source_kind": "crm", "week": "2026-11-02"},
    ),
    "current_is_newest_week": (
        "update account_health_current set week = date '2026-10-26' where account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-10-26"},
    ),
    "labels_are_thirteen_weeks_old": (
        "update account_outcomes_weekly set week = week + 7 where known_week = '2026-11-02' and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-08-10"},
    ),
    "labels_cover_the_accounts": (
        "insert into account_features_weekly (account_id, week) values ('a9999', date '2026-08-03')",
        {"account_id": "a9999", "week": "2026-08-03"},
    ),
    "assignments_have_models": (
        "delete from segment_models",
        {"account_id": "a0000", "quarter": "2026-07-01"},
    ),
    "segment_accounts_add_up": (
        "update segment_performance_quarterly set accounts = 3",
        {"quarter": "2026-07-01", "segment": "core"},
    ),
    "quarters_are_there": ("delete from segment_assignments_quarterly", {"quarter": "2026-07-01"}),
    "families_add_up": (
        f"update account_features_weekly set ultimate_parent_account_id = 'a0000' where {NEWEST}",
        {"account_id": "a0000", "week": "2026-11-02"},
    ),
    "features_are_null_where_their_domain_is_unknown": (
        f"update account_features_weekly set usage_status = 'missing' where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02", "column_name": "usage"},
    ),
    "renewal_stage_has_open_renewal": (
        f"update account_features_weekly set renewal_stage = 'won' where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "labels_exclude_each_other": (
        "update account_outcomes_weekly set has_churned_13w = true, has_expanded_13w = true "
        "where known_week = '2026-11-02' and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-08-03"},
    ),
    "match_rate_above_floor": (
        f"update source_freshness_weekly set match_share = 0.5 where {NEWEST}",
        {"source_kind": "crm", "week": "2026-11-02"},
    ),
    "currencies_have_rates": (
        f"update account_features_weekly set arr_reporting = null where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
    "parents_form_no_circle": (
        f"update account_features_weekly set is_in_parent_circle = true where {NEWEST} and account_id = 'a0001'",
        {"account_id": "a0001", "week": "2026-11-02"},
    ),
}


def run_sql(audited_candidate: Audited, file: Path, check: Check) -> CheckResult:
    weeks = [week.monday for week in audited_candidate.weeks]
    with audited(file, weeks, audited_candidate.quarters) as connection:
        return check_queries(connection, [check])[0]


@pytest.mark.parametrize("check", CRITICAL_SQL_CHECKS + WARNING_SQL_CHECKS, ids=lambda check: check.name)
def test_a_query_finds_its_fault(audited_candidate: Audited, tmp_path: Path, check: Check) -> None:
    sound = run_sql(audited_candidate, audited_candidate.candidate.file, check)
    assert (sound.passed, sound.evaluated, sound.unexpected_count) == (True, True, 0)
    fault, row_id = SQL_FAULTS[check.name]
    file = tmp_path / "faulty.duckdb"
    shutil.copy(audited_candidate.candidate.file, file)
    with duckdb.connect(str(file)) as connection:
        connection.execute(fault)
    found = run_sql(audited_candidate, file, check)
    assert (found.passed, found.evaluated, found.severity) == (False, True, check.severity)
    assert dict(found.row_ids[0]) == row_id


Frames = dict[str, pd.DataFrame]


@pytest.mark.parametrize(
    ("left", "is_quiet", "vanished"),
    [
        ("2026-10-26", True, []),
        ("2026-10-26", False, ["2026-11-02"]),
        # it waits on, whatever week it was shown in last; and nothing else does
        ("2026-10-19", True, []),
        ("2026-10-19", False, ["2026-10-26", "2026-11-02"]),
    ],
)
def test_only_a_quiet_risk_waits_without_a_packet(
    audited_candidate: Audited, tmp_path: Path, left: str, is_quiet: bool, vanished: list[str]
) -> None:
    file = tmp_path / "faulty.duckdb"
    shutil.copy(audited_candidate.candidate.file, file)
    with duckdb.connect(str(file)) as connection:
        own = "packet_id = 'packet-a0001' and week"
        connection.execute(f"delete from risk_packets where {own} > date '{left}'")
        connection.execute(f"update risk_packets set is_quiet = ? where {own} = date '{left}'", [is_quiet])
    check = next(one for one in CRITICAL_SQL_CHECKS if one.name == "risk_path_continues")
    found = run_sql(audited_candidate, file, check)
    expected = [{"packet_id": "packet-a0001", "week": week} for week in vanished]
    assert [dict(row) for row in found.row_ids] == expected
    assert found.passed == (not vanished)


@pytest.fixture(scope="module")
def frames(audited_candidate: Audited) -> Frames:
    """Every table with at least one row."""
    content = {}
    with duckdb.connect(str(audited_candidate.candidate.file), read_only=True) as connection:
        for name, table in mart_tables().items():
            frame = connection.execute(f"select * from {name}").df()
            if frame.empty:
                connection.register("example", example_rows(name))
                extra = ", null::timestamp as published_at" if table.partition != "none" else ""
                frame = connection.execute(f"select *{extra} from example").df()
            content[name] = frame
    return content


def without_rows(frame: pd.DataFrame, _: dict[str, Any]) -> pd.DataFrame:
    return frame.iloc[0:0]


def with_column(frame: pd.DataFrame, _: dict[str, Any]) -> pd.DataFrame:
    return frame.assign(churn_probability=0.5)


def with_row_twice(frame: pd.DataFrame, _: dict[str, Any]) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[:1]], ignore_index=True)


def with_nulls(frame: pd.DataFrame, arguments: dict[str, Any]) -> pd.DataFrame:
    return frame.assign(**{arguments["column"]: None})


def with_other_word(frame: pd.DataFrame, arguments: dict[str, Any]) -> pd.DataFrame:
    return frame.assign(**{arguments["column"]: "Healthy"})


def out_of_range(frame: pd.DataFrame, arguments: dict[str, Any]) -> pd.DataFrame:
    value = arguments["max_value"] + 1 if "max_value" in arguments else arguments["min_value"] - 1
    return frame.assign(**{arguments["column"]: float(value)})


FRAME_FAULTS: dict[str, Callable[[pd.DataFrame, dict[str, Any]], pd.DataFrame]] = {
    "expect_table_row_count_to_be_between": without_rows,
    "expect_table_columns_to_match_set": with_column,
    "expect_compound_columns_to_be_unique": with_row_twice,
    "expect_column_values_to_be_unique": with_row_twice,
    "expect_column_values_to_not_be_null": with_nulls,
    "expect_column_values_to_be_in_set": with_other_word,
    "expect_column_values_to_be_between": out_of_range,
}


@pytest.mark.parametrize("table", mart_tables())
def test_every_expectation_of_a_table_finds_its_fault(frames: Frames, table: str) -> None:
    own = [check for check in CRITICAL_FRAME_CHECKS + WARNING_FRAME_CHECKS if check.suite == table]
    assert own
    for check in own:
        faulty = FRAME_FAULTS[check.type](frames[table], dict(check.arguments))
        found = check_frames([check], {table: faulty}, {})[0]
        assert (found.passed, found.evaluated) == (False, True), check.full_name
        if check.type not in ("expect_table_row_count_to_be_between", "expect_table_columns_to_match_set"):
            assert found.unexpected_count > 0
            assert {column for column, _ in found.row_ids[0]} <= set(mart_tables()[table].key)


def test_zero_rows_are_refused(frames: Frames) -> None:
    """Not-null, between and unique pass on no rows; the row count does not."""
    table = "account_health_weekly"
    own = [check for check in CHECKS if check.suite == table]
    results = check_frames(own, {table: frames[table].iloc[0:0]}, {})
    assert [result.name for result in results if result.severity == "critical" and not result.passed] == ["row_count"]


def test_an_all_null_column_is_refused(audited_candidate: Audited, tmp_path: Path) -> None:
    """Between passes on an all-null score; the share of non-null and the sum of contributions do not."""
    file = tmp_path / "faulty.duckdb"
    shutil.copy(audited_candidate.candidate.file, file)
    with duckdb.connect(str(file)) as connection:
        connection.execute("update account_health_weekly set score = null")
    weeks = [week.monday for week in audited_candidate.weeks]
    results = evaluate(file, [check for check in CHECKS if "weekly" in check.runs], weeks, [], {})
    failed = {result.check for result in results if not result.passed and result.severity != "info"}
    assert failed == {
        "account_health_weekly.score_known",
        "account_health_weekly.scored_share",
        "across_tables.family_scores_add_up",
        "across_tables.scored_has_score",
    }


def test_a_missing_table_is_not_evaluated(frames: Frames) -> None:
    check = CRITICAL_FRAME_CHECKS[0]
    found = check_frames([check], {}, {})[0]
    assert (found.passed, found.evaluated, found.error) == (False, False, "the table is not in the candidate")


def test_a_check_that_raises_is_not_evaluated_and_quotes_no_value(frames: Frames) -> None:
    table = "account_health_weekly"
    check = next(one for one in CHECKS if one.full_name == "account_health_weekly.score_range")
    frame = frames[table].assign(score="secret words")
    found = check_frames([check], {table: frame}, {})[0]
    assert (found.passed, found.evaluated) == (False, False)
    assert found.error
    assert "secret" not in found.error


def test_retired_columns_may_stay(frames: Frames) -> None:
    table = "accounts"
    check = next(one for one in CHECKS if one.full_name == "accounts.column_set")
    frame = frames[table].assign(fax_number="x")
    assert not check_frames([check], {table: frame}, {})[0].passed
    assert check_frames([check], {table: frame}, {table: ["fax_number"]})[0].passed


def test_row_ids_hold_key_columns_and_at_most_twenty(frames: Frames) -> None:
    table = "account_health_weekly"
    check = next(one for one in CHECKS if one.full_name == "account_health_weekly.score_range")
    rows = frames[table].iloc[:1]
    many = pd.concat([rows.assign(account_id=f"b{number:02d}", score=123.0) for number in range(30)])
    found = check_frames([check], {table: many.reset_index(drop=True)}, {})[0]
    assert found.unexpected_count == 30
    assert found.row_ids[0] == (("account_id", "b00"), ("week", "2026-10-05"))
    assert len(found.row_ids) == 20
    assert "123" not in str(found)


def test_a_query_that_shows_values_is_not_evaluated(audited_candidate: Audited, tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "leak.sql").write_text("select account_id, owner_email from account_health_weekly")
    check = replace(CRITICAL_SQL_CHECKS[0], arguments={"query": "leak"})
    with audited(audited_candidate.candidate.file, [], []) as connection:
        found = check_queries(connection, [check], tmp_path)[0]
    assert (found.evaluated, found.row_ids) == (False, ())
    assert found.error == "the query returns owner_email, which are not ids"


@pytest.mark.parametrize("query", ["select * from nothing", "select 'a' as week from read_text('/etc/hostname')"])
def test_a_query_that_can_not_run_is_not_evaluated(audited_candidate: Audited, tmp_path: Path, query: str) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "broken.sql").write_text(query)
    check = replace(CRITICAL_SQL_CHECKS[0], arguments={"query": "broken"})
    with audited(audited_candidate.candidate.file, [], []) as connection:
        found = check_queries(connection, [check], tmp_path)[0]
    assert (found.passed, found.evaluated) == (False, False)
