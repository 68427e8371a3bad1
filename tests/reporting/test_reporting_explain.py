"""An account's week explained: payloads against tables written by hand."""

from __future__ import annotations

import io
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.evidence import LandedRecords
from health_pipeline.policy.features import features
from health_pipeline.reporting.explain import as_json
from health_pipeline.reporting.explanation import WEEKLY_TABLES, Explanation, explain_account
from health_pipeline.reporting.explanation_text import explanation_text
from health_pipeline.reporting.explanation_words import tier_sentence, unit_of
from health_pipeline.reporting.find_account import find_account
from health_pipeline.scoring.tier_path import REASONS

WEEK = Week(date(2026, 11, 9))
CLOCKS = {"week": WEEK.monday, "as_of_at": datetime(2026, 11, 16), "known_at": datetime(2026, 11, 16, 6)}
# Two groups of weight 60 and 40; goals_overdue (a third of its group) is missing, so goals_on_track takes all of it.
HEALTH: dict[str, Any] = {
    "account_id": "acc_1",
    "segment": "small",
    "scorecard": "established",
    "lifecycle_stage": "established",
    "score": 64.0,
    "coverage": 0.8,
    "score_tier": "healthy",
    "tier": "watch",
    "effective_tier": "at_risk",
    "tier_reason": "outcome_cap",
    "pending_tier": "healthy",
    "weeks_in_tier": 3,
    "healthy_weeks": 0,
    "previous_tier": "watch",
    "override_tier": "at_risk",
    "override_reason": "sponsor_left",
    "override_approved_by": "lead@example.com",
    "override_expires_at": datetime(2026, 12, 1),
    "arr": Decimal("12000.00"),
    "currency": "EUR",
    "owner_email": "ana@example.com",
    "policy_version": "p1",
    "code_version": "scoring-1",
    **CLOCKS,
}


def measure(name: str, group: str, feature: str, **given: Any) -> dict[str, Any]:
    row = {"account_id": "acc_1", "measure": name, "measure_group": group, "feature": feature, **CLOCKS, **given}
    return {"status": "measured", **row}


CONTRIBUTIONS = [
    measure(
        "goals_on_track",
        "outcomes",
        "goals_on_track_share",
        raw_value=0.5,
        curve_value=40.0,
        nominal_weight=0.4,
        weight=0.6,
        contribution=24.0,
    ),
    measure("goals_overdue", "outcomes", "overdue_goals", nominal_weight=0.2, weight=0.0, contribution=0.0)
    | {"status": "missing"},
    measure(
        "days_past_due",
        "payment",
        "max_days_past_due",
        raw_value=0.0,
        curve_value=100.0,
        nominal_weight=0.4,
        weight=0.4,
        contribution=40.0,
    ),
]
CHANGE = {
    "account_id": "acc_1",
    "score_before": 60.0,
    "score_after": 64.0,
    "score_change": 4.0,
    "change_from_policy": 1.0,
    "change_from_coverage": 0.5,
    "change_from_data": 2.5,
    "main_driver": "goals_on_track",
    "main_driver_change": 3.0,
    **CLOCKS,
}
PLAN = {
    "account_id": "acc_1",
    "plan_rank": 2,
    "drivers": "50 % of the goals on track",
    "proposed_action": "Proposal to review - Goal review",
    "approval_role": "customer_success_manager",
    "owner_email": "ana@example.com",
    "due_date": date(2026, 11, 23),
    "hours_needed": 2.5,
    "is_within_capacity": False,
    "would_enter_at_plus_10_percent": True,
    "task_id": "t1",
    **CLOCKS,
}
MELON = {"account_id": "acc_1", "reasons": "missed_goal,single_threaded", "reasons_count": 2, **CLOCKS}
ACCOUNT = {"account_id": "acc_1", "account_name": "Nordlicht [AG]"}


@pytest.fixture
def tables() -> dict[str, pa.Table]:
    rows = dict(zip(WEEKLY_TABLES, ([HEALTH], CONTRIBUTIONS, [CHANGE], [MELON], [PLAN]), strict=True))
    rows["accounts"] = [ACCOUNT]
    return {name: pa.Table.from_pylist(rows[name], schema=mart_tables()[name].arrow_schema) for name in rows}


def text_of(explained: Explanation) -> str:
    written = io.StringIO()
    console = Console(file=written, width=220, highlight=False)
    for part in explanation_text(explained):
        console.print(part)
    return written.getvalue()


def test_measures_are_grouped_and_every_number_adds_up(tables: dict[str, pa.Table]) -> None:
    explained = explain_account(tables, "acc_1", WEEK)
    assert [group.group for group in explained.groups] == ["outcomes", "payment"]
    outcomes = explained.groups[0]
    assert (outcomes.value, outcomes.contribution) == (40.0, 24.0)
    assert (outcomes.nominal_weight, outcomes.weight) == pytest.approx((0.6, 0.6))
    assert sum(group.contribution or 0 for group in explained.groups) == explained.score == 64.0
    assert [measure.measure for measure in outcomes.measures] == ["goals_on_track", "goals_overdue"]
    assert (outcomes.measures[0].raw_value, outcomes.measures[0].unit) == (0.5, "share, 0 to 1")
    assert outcomes.measures[0].words == "50 % of the goals on track"


def test_what_is_missing_says_what_it_cost_in_coverage(tables: dict[str, pa.Table]) -> None:
    explained = explain_account(tables, "acc_1", WEEK)
    assert [(gap.measure, gap.status, gap.coverage_cost) for gap in explained.unknown] == [
        ("goals_overdue", "missing", 0.2)
    ]
    assert explained.coverage + sum(gap.coverage_cost for gap in explained.unknown) == pytest.approx(1.0)


def test_change_override_watermelon_and_plan_are_the_published_ones(tables: dict[str, pa.Table]) -> None:
    explained = explain_account(tables, "acc_1", WEEK)
    assert explained.change is not None and explained.change.change == 4.0
    assert explained.change.parts == {"policy": 1.0, "coverage": 0.5, "data": 2.5}
    assert sum(explained.change.parts.values()) == explained.change.change
    assert explained.override is not None and explained.override.approved_by == "lead@example.com"
    assert (explained.tier, explained.effective_tier) == ("watch", "at_risk")
    assert list(explained.watermelon_reasons) == ["missed_goal", "single_threaded"]
    assert explained.plan is not None and (explained.plan.rank, explained.plan.is_within_capacity) == (2, False)


def test_an_account_without_plan_change_or_score_is_explained_too(tables: dict[str, pa.Table]) -> None:
    for name in WEEKLY_TABLES[2:]:
        tables[name] = tables[name].schema.empty_table()
    unscored = HEALTH | {
        "score": None,
        "score_tier": None,
        "tier": "not_scored",
        "effective_tier": "not_scored",
        "tier_reason": "coverage_floor",
        "coverage": 0.4,
        "previous_tier": None,
        "override_tier": None,
    }
    rows = [row | {"contribution": None} for row in CONTRIBUTIONS]
    schemas = {name: table.schema for name, table in tables.items()}
    tables["account_health_weekly"] = pa.Table.from_pylist([unscored], schema=schemas["account_health_weekly"])
    tables["score_contributions_weekly"] = pa.Table.from_pylist(rows, schema=schemas["score_contributions_weekly"])
    explained = explain_account(tables, "acc_1", WEEK)
    assert (explained.score, explained.plan, explained.change, explained.override) == (None, None, None, None)
    assert all(group.contribution is None for group in explained.groups)
    assert "only 40 % of the weight was measured" in text_of(explained)


def test_the_text_holds_what_the_explanation_holds(tables: dict[str, pa.Table]) -> None:
    records = (LandedRecords("cs_goal", "cs_system", 3, None, ("g-2", "g-1")),)
    written = text_of(explain_account(tables, "acc_1", WEEK, {"goals_on_track_share": records}))
    for words in (
        "acc_1 (Nordlicht [AG]), week of 2026-11-09",
        "At risk, score 64.00 of 100, coverage 80 %",
        "Why watch: its score of 64.00 alone would say healthy, but with outcomes this weak watch is the most.",
        "Override: at risk until 2026-12-01, approved by lead@example.com, reason sponsor_left",
        "a goal was missed; one contact carries the relationship",
        "ARR 12,000.00 EUR, owner ana@example.com",
        "goals overdue (missing, 20.0 %)",
        "Change since last week: +4.00 (from 60.00)",
        "+1.00  a changed policy",
        "Plan: rank 2, 2.5 hours, below the owner's line, and would enter with a tenth more hours",
        "goals on track: 3 records of cs_goal (cs_system): g-2, g-1",
    ):
        assert words in written, words


def test_json_is_the_whole_explanation_unrounded(tables: dict[str, pa.Table]) -> None:
    content = json.loads(as_json(explain_account(tables, "acc_1", WEEK)))
    assert content["week"] == "2026-11-09" and content["score"] == 64.0
    assert content["groups"][0]["measures"][0]["contribution"] == 24.0
    assert content["override"]["expires_at"] == "2026-12-01T00:00:00"


def test_a_family_is_shown_and_a_single_account_has_none(tables: dict[str, pa.Table]) -> None:
    assert explain_account(tables, "acc_1", WEEK).family is None
    family = {"family_id": "acc_9", "family_accounts": 3, "family_score": 61.5, "family_lowest_tier": "at_risk"}
    schema = tables["account_health_weekly"].schema
    tables["account_health_weekly"] = pa.Table.from_pylist([HEALTH | family], schema=schema)
    written = text_of(explain_account(tables, "acc_1", WEEK))
    assert "Family of acc_9: 3 accounts, mean score 61.50, lowest tier at risk." in written


def test_every_rule_of_the_tier_path_has_its_sentence() -> None:
    for reason in REASONS:
        assert "{" not in tier_sentence(HEALTH | {"tier_reason": reason}), reason


def test_units_are_stated_for_amounts_shares_and_durations() -> None:
    assert unit_of("overdue_amount", "EUR") == "EUR"
    assert unit_of("usage_change_share_4w") == "share of before"
    assert unit_of("days_since_last_activity") == unit_of("max_days_past_due") == "days"
    assert unit_of("first_reply_minutes_median_91d") == "minutes"
    assert unit_of("overdue_goals") == ""
    assert all(unit_of(name) for name, one in features().items() if one.type in ("number", "decimal", "boolean"))


def test_a_week_without_the_account_says_which_weeks_it_has(tables: dict[str, pa.Table]) -> None:
    with pytest.raises(LookupError, match="acc_1 has no published health in 2026-11-02; it has some from 2026-11-09"):
        explain_account(tables, "acc_1", WEEK.shift(-1))
    with pytest.raises(LookupError, match="acc_2 has no published health in 2026-11-09: the week is not published"):
        explain_account(tables, "acc_2", WEEK)


ACCOUNTS = [
    {"account_id": "acc_1", "account_name": "Nordlicht AG"},
    {"account_id": "acc_2", "account_name": "Nordwind GmbH"},
    {"account_id": "acc_3", "account_name": "Old Nordlicht Ltd", "merged_into_account_id": "acc_1"},
    {"account_id": "acc_4", "account_name": None},
]
LINKS = [
    {"account_id": "acc_2", "source_account_id": "CRM-7"},
    {"account_id": "acc_4", "source_account_id": "org-9"},
    {"account_id": "acc_1", "source_account_id": "77"},
    {"account_id": "acc_2", "source_account_id": "77"},
]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("acc_2", "acc_2"),
        ("ACC_3", "acc_1"),
        ("nordwind", "acc_2"),
        ("Nordlicht AG", "acc_1"),
        ("nordlicht", "acc_1"),
        ("crm-7", "acc_2"),
        ("org-9", "acc_4"),
    ],
)
def test_an_account_is_found_by_id_name_part_and_source_id(asked: str, found: str) -> None:
    assert find_account(asked, ACCOUNTS, LINKS) == found


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("nord", "'nord' fits 2 accounts: acc_1 (Nordlicht AG), acc_2 (Nordwind GmbH); write the id of one."),
        ("77", "'77' fits 2 accounts: acc_1 (Nordlicht AG), acc_2 (Nordwind GmbH); write the id of one."),
        ("Nordwimd", "the closest are acc_2 (Nordwind GmbH)"),
        ("CRM-8", "the closest are acc_2 (Nordwind GmbH)"),
        ("xyzzy", "none of the 4 accounts comes close"),
        ("  ", "Name an account"),
    ],
)
def test_ambiguous_and_unknown_accounts_get_a_sentence(asked: str, sentence: str) -> None:
    with pytest.raises(LookupError) as refusal:
        find_account(asked, ACCOUNTS, LINKS)
    assert sentence in str(refusal.value)
