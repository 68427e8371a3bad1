"""The decision packet rate and its parts, by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from health_pipeline.contract.mart import mart_tables
from health_pipeline.risk.metrics import PARTS, RATE, metrics_table
from health_pipeline.risk.outcomes import WeekDecisions

MONDAY = date(2026, 11, 9)
NOBODY = WeekDecisions()


def clock(week: date) -> dict[str, Any]:
    as_of_at = datetime.combine(week, datetime.min.time()) + timedelta(weeks=1)
    return {"week": week, "as_of_at": as_of_at, "known_at": as_of_at + timedelta(hours=6)}


def packet(name: str, week: date = MONDAY, **given: Any) -> dict[str, Any]:
    """A high risk with everything a decision takes."""
    return {
        **clock(week),
        "packet_id": name,
        "account_id": f"account-{name}",
        "side": "risk",
        "state": "approved",
        "category": "support",
        "supporting_evidence": 1,
        "severity": "high",
        "owner_email": "ana@example.com",
        "mitigation_options": "support_review",
        "escalation_role": "customer_success_leader",
        "follow_up_date": date(2026, 11, 30),
        "packet_hash": "h1",
        **given,
    }


def metrics(*packets: dict[str, Any], decided: WeekDecisions | None = NOBODY) -> dict[str, tuple[Any, Any, Any]]:
    table = pa.Table.from_pylist(list(packets), schema=mart_tables()["risk_packets"].arrow_schema)
    found = metrics_table(table, [clock(MONDAY)], {MONDAY: decided} if decided else None)
    return {row["metric"]: (row["value"], row["numerator"], row["denominator"]) for row in found.to_pylist()}


LACKING = {
    "event": {"category": None},
    "evidence": {"supporting_evidence": 0},
    "severity": {"severity": None},
    "owner": {"owner_email": None},
    "mitigation": {"mitigation_options": None},
    "escalation_path": {"escalation_role": None},
    "review_decision": {"state": "in_review"},
    "follow_up_date": {"follow_up_date": None},
}


def test_the_parts_are_those_of_the_definition():
    assert set(LACKING) == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_one_part_lacking_in_one_of_two_halves_its_share_and_the_rate_and_no_other(part):
    found = metrics(packet("a"), packet("b", **LACKING[part]))
    assert found[RATE] == (0.5, 1, 2)
    shares = {name: found[f"packets_with_{name}"] for name in PARTS}
    assert shares == {**dict.fromkeys(PARTS, (1.0, 2, 2)), part: (0.5, 1, 2)}


def test_what_only_people_give_is_unknown_until_decisions_come_back():
    found = metrics(packet("a"), decided=None)
    assert found["packets_with_owner"] == (1.0, 1, 1)
    for unknown in (RATE, "packets_with_review_decision", "packets_with_follow_up_date", f"high_risk_{RATE}"):
        assert found[unknown] == (None, None, 1)


def test_a_decision_on_escalation_is_counted_beside_the_rate():
    found = metrics(packet("a"), packet("b", escalation_decision="not_needed", severity="low"))
    assert found["packets_with_escalation_decision"] == (0.5, 1, 2)
    assert found["high_risk_packets_with_escalation_decision"] == (0.0, 0, 1)
    assert found[RATE] == (1.0, 2, 2)
    assert metrics(packet("a"), decided=None)["packets_with_escalation_decision"] == (None, None, 1)


def test_high_risks_are_counted_apart_and_what_has_ended_or_is_growth_is_no_open_risk():
    found = metrics(
        packet("a", severity="critical"),
        packet("b", severity="medium", owner_email=None),
        packet("c", state="closed"),
        packet("d", side="expansion"),
    )
    assert found["open_risks"] == (2.0, 2, None)
    assert found["high_risk_accounts"] == (1.0, 1, None)
    assert found["packets_with_owner"] == (0.5, 1, 2)
    assert found["high_risk_packets_with_owner"] == (1.0, 1, 1)


def test_a_risk_that_a_person_lowered_stays_among_the_high_ones():
    """As in `doctor --audit` and in the team's figures of the desk."""
    lowered = packet("a", severity="medium", suggested_severity="high", severity_status="confirmed")
    raised = packet("b", severity="critical", suggested_severity="low", severity_status="confirmed")
    found = metrics(lowered, raised, packet("c", severity="medium", suggested_severity="medium"))
    assert found["high_risk_accounts"] == (2.0, 2, None)
    assert found["high_risk_packets_with_owner"] == (1.0, 2, 2)


def test_a_share_of_nothing_is_unknown():
    assert metrics()[RATE] == (None, 0, 0)
    assert metrics()["open_risks"] == (0.0, 0, None)
