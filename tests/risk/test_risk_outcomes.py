"""Decisions and outcomes of a week, counted by hand; what the written rule calls a saved account."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from health_pipeline.risk.outcomes import WeekDecisions, decision_rows

AS_OF = datetime(2026, 11, 16)
CLOCK = {"week": date(2026, 11, 9), "as_of_at": AS_OF, "known_at": datetime(2026, 11, 16, 6)}
KEPT = {"arr": 100, "is_cancellation_scheduled": False}
Counts = dict[str, tuple[Any, Any, Any]]


def case(name: str, **given: Any) -> dict[str, Any]:
    """A risk that a person confirmed, acted on and closed as saved."""
    return {
        "case_id": name,
        "account_id": f"account-{name}",
        "side": "risk",
        "state": "closed",
        "is_ended": True,
        "risk_status": "confirmed",
        "outcome": "saved",
        "has_action": True,
        "has_unresolved_reason": False,
        "follow_up_date": None,
        "detected_at": datetime(2026, 11, 9, 8),
        "first_decided_at": datetime(2026, 11, 11, 20),
        "last_reopened_at": None,
        **given,
    }


def event(name: str, kind: str, at: datetime = datetime(2026, 11, 12), **given: Any) -> dict[str, Any]:
    return {
        "case_id": name,
        "account_id": f"account-{name}",
        "side": "risk",
        "event_type": kind,
        "measured_as": kind,
        "occurred_at": at,
        **given,
    }


def counted(cases: list[Any], events: list[Any], **features: Any) -> Counts:
    of_accounts = {one["account_id"]: {**KEPT, **features} for one in cases}
    return by_name(decision_rows(WeekDecisions(cases, events, of_accounts), CLOCK))


def by_name(rows: list[dict[str, Any]]) -> Counts:
    return {row["metric"]: (row["value"], row["numerator"], row["denominator"]) for row in rows}


def test_a_week_without_a_ledger_knows_nothing_and_one_in_which_nobody_decided_counts_zero() -> None:
    unknown = by_name(decision_rows(None, CLOCK))
    nothing = by_name(decision_rows(WeekDecisions(), CLOCK))
    assert set(unknown) == set(nothing)
    assert {value for value, _, _ in unknown.values()} == {None}
    # how long nobody waited, and how long no decision took, is not zero days
    absent = {"oldest_waiting_days", "days_to_decision_median"}
    assert {name for name, (value, _, _) in nothing.items() if value is None} == absent
    assert {value for value, _, _ in nothing.values() if value is not None} == {0.0}


def test_what_happened_in_a_week_is_counted_once_and_growth_is_no_risk() -> None:
    cases = [case("a"), case("b", state="in_review", is_ended=False, outcome=None), case("c", side="expansion")]
    events = [
        event("a", "review_started"),
        event("a", "review_started"),
        event("b", "review_started"),
        event("b", "severity_confirmed"),
        event("b", "cause_confirmed"),
        event("a", "approved", datetime(2026, 11, 11, 20)),
        event("a", "action_taken"),
        event("a", "response_recorded"),
        event("a", "closed"),
        event("c", "closed", side="expansion"),
    ]
    found = counted(cases, events)
    assert found["accounts_reviewed"] == (2.0, 2, None)
    assert found["risks_confirmed"] == (2.0, 2, None)
    assert found["decisions"] == found["actions_taken"] == found["responses"] == (1.0, 1, None)
    assert found["saved_accounts"] == (1.0, 1, 1)
    assert found["days_to_decision_median"] == (2.5, None, 1)


@pytest.mark.parametrize(
    ("changed", "features"),
    [
        ({"risk_status": "unconfirmed"}, {}),
        ({"has_action": False}, {}),
        ({"state": "superseded"}, {}),
        ({}, {"arr": None}),
        ({}, {"arr": 0}),
        ({}, {"is_cancellation_scheduled": True}),
        ({}, {"is_cancellation_scheduled": None}),
    ],
)
def test_saved_is_what_the_written_rule_says_and_not_what_somebody_wrote_down(changed: Any, features: Any) -> None:
    assert counted([case("a", **changed)], [event("a", "closed")], **features)["saved_accounts"] == (0.0, 0, 1)


def test_an_account_that_left_is_not_saved() -> None:
    rows = decision_rows(WeekDecisions([case("a")], [event("a", "closed")], {}), CLOCK)
    assert by_name(rows)["saved_accounts"] == (0.0, 0, 1)


def test_other_outcomes_are_counted_when_their_case_ends() -> None:
    cases = [
        case("a", outcome="lost"),
        case("b", outcome="false_positive", state="dismissed"),
        case("c", outcome="unresolved", has_unresolved_reason=True),
        case("d", outcome="unresolved"),
        # recorded, and not closed yet
        case("e", outcome="lost", state="awaiting_outcome", is_ended=False),
    ]
    events = [event(name, "closed") for name in "acd"] + [event("b", "dismissed"), event("e", "outcome_recorded")]
    found = counted(cases, events)
    assert (found["lost_accounts"][0], found["false_positives"][0]) == (1.0, 1.0)
    assert found["unresolved"] == (2.0, 2, None)
    assert found["unresolved_with_reason"] == (1.0, 1, 2)


def test_misses_are_those_of_the_accounts_on_which_it_could_be_told() -> None:
    findings = [{"finding": said} for said in ("no_risk", "missed_risk", "no_risk", "cannot_tell")]
    rows = decision_rows(WeekDecisions(findings=findings), CLOCK)
    assert by_name(rows)["misses_found_by_audit"] == (1.0, 1, 3)


def test_what_waits_is_counted_with_the_oldest_and_what_is_overdue() -> None:
    reopened = {"state": "reopened", "detected_at": datetime(2026, 1, 1), "last_reopened_at": datetime(2026, 11, 14)}
    cases = [
        case("a", state="detected", is_ended=False, detected_at=datetime(2026, 11, 9, 12)),
        # waits since it was reopened
        case("b", is_ended=False, **reopened),
        case("c", state="approved", is_ended=False, follow_up_date=date(2026, 11, 15)),
        case("d", state="approved", is_ended=False, follow_up_date=date(2026, 11, 16)),
        case("e", follow_up_date=date(2026, 11, 1)),
    ]
    found = counted(cases, [])
    assert found["awaiting_decision"] == (2.0, 2, None)
    assert found["oldest_waiting_days"][0] == 6.5
    assert found["overdue"] == (1.0, 1, None)
