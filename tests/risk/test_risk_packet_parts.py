"""Every part that a decision packet is to hold, each with what it says of one account, in the body as it is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from packet_examples import WEEK, a_week_later, by_place, facts, policy, record, risk, sponsor_risk

from health_pipeline.mart.account_facts import CaseAsKnown, Decided, EarlierEpisode, RecordText, Stakeholder
from health_pipeline.policy.risk_review import load_risk_review
from health_pipeline.risk.body import body_of
from health_pipeline.risk.packet_building import build_packets

CASE = CaseAsKnown(state="in_progress", residual_target="low", residual_actual="medium", escalation="not_needed")


@pytest.fixture(scope="module")
def body() -> dict[str, Any]:
    """The case to get right, with somebody who left, an earlier risk, and a case that people work on."""
    gone = record("crm_contact", "con-2", "crm")
    left = Stakeholder(
        gone, RecordText(gone, "full_name", "Olu Adeyemi"), None, "economic_buyer", False, date(2026, 8, 2), None, 0
    )
    earlier = EarlierEpisode("pkt_0", "risk", 1, "adoption", "high", "closed", date(2026, 3, 2), date(2026, 5, 4))
    known = facts()
    known = replace(
        known,
        stakeholders=(*known.stakeholders, left),
        episodes=(earlier,),
        decided=Decided(True, {"pkt_1": CASE}),
    )
    return json.loads(body_of(build_packets([sponsor_risk()], by_place(known), policy())[0]).text)


@pytest.fixture(scope="module")
def packet(body: dict[str, Any]) -> dict[str, Any]:
    return body["packet"]


def told(body: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one["values"] for one in body["citations"].values() if one["kind"] == kind]


def test_inherent_current_and_residual_risk_stand_apart(packet: dict[str, Any]) -> None:
    assert packet["inherent"] == {"likelihood": 4, "impact": 5}
    assert packet["current"] == {"likelihood": 4, "impact": 5}
    assert (packet["residual_target"], packet["residual_actual"]) == ("low", "medium")


def test_severity_is_suggested_from_the_stored_matrix(packet: dict[str, Any]) -> None:
    matrix = load_risk_review(None).model.severity_matrix
    assert matrix[4 - 1][5 - 1] == packet["suggested_severity"] == packet["severity"] == "critical"
    assert (packet["severity_rule"], packet["severity_status"]) == ("matrix", "suggested")


def test_likely_category_runner_up_and_why(packet: dict[str, Any]) -> None:
    assert (packet["category"], packet["runner_up_category"]) == ("support", "adoption")
    why = [
        (one["category"], one["signals"], one["strongest"], one["source_kinds"]) for one in packet["category_reason"]
    ]
    assert why[:2] == [("support", ["backlog"], "high", 1), ("adoption", ["logins_fell"], "medium", 1)]


def test_causes_with_status_and_assumptions(packet: dict[str, Any]) -> None:
    causes = {one["cause_id"]: (one["status"], one["evidence_ids"], one["against_ids"]) for one in packet["causes"]}
    assert causes["sponsor_gone"] == ("suspected", ["m1"], ["a1"])
    assert causes["harmless_change"][0] == "refuted"
    assumptions = {one["assumption_id"]: one["is_verified"] for one in packet["assumptions"]}
    assert assumptions == dict.fromkeys(("value_whole", "missing_would_agree", "one_voice", "benign_unchecked"), False)


def test_the_goal_and_what_changed_since_the_last_review(body: dict[str, Any]) -> None:
    (goal,) = told(body, "goal")
    assert (goal["status"], goal["is_overdue"], goal["baseline"], goal["current"], goal["target"]) == (
        "at_risk", True, 8.0, 4.1, 3.0,
    )  # fmt: skip
    changes = {one["what"]: (one["before"], one["now"], one["since"]) for one in told(body, "change")}
    since = str(WEEK - timedelta(weeks=1))
    assert changes == {
        "open_backlog": (2, 4, since), "active_users_28d": (30, 22, since), "tier": ("healthy", "watch", since),
    }  # fmt: skip


def test_the_stakeholder_map(body: dict[str, Any]) -> None:
    people = [
        (one["role"], one["touched_on"], one["missed"], one["is_there"], one["left_on"]) for one in told(body, "person")
    ]
    assert people == [
        ("champion", "2026-09-14", 3, True, None),
        ("economic_buyer", None, 0, False, "2026-08-02"),
    ]
    champion = next(one for one in body["citations"].values() if one["kind"] == "person")
    assert champion["record"]["source_record_id"] == "con-1"
    assert set(champion["texts"]) == {"name", "title"}


def test_renewal_sentiment_and_earlier_risks(body: dict[str, Any]) -> None:
    (contract,) = told(body, "contract")
    assert (contract["period_ends_on"], contract["days"], contract["is_auto_renewing"]) == ("2027-02-04", 80, True)
    (mood,) = told(body, "mood")
    assert (mood["metric"], mood["first"], mood["last"], mood["last_week"]) == ("csm_sentiment", 4.0, 2.0, str(WEEK))
    (entry,), (earlier,) = told(body, "register"), told(body, "episode")
    assert (entry["status"], entry["likelihood"], entry["impact"]) == ("open", 3, 4)
    assert (earlier["packet_id"], earlier["category"], earlier["state"]) == ("pkt_0", "adoption", "closed")


def test_options_with_preconditions_escalation_and_stop_rules(packet: dict[str, Any]) -> None:
    options = {
        one["playbook_id"]: [(part["says"], part["is_met"]) for part in one["preconditions"]]
        for one in packet["options"]
    }
    assert options["support_review"] == [
        ("The account has an owner.", "met"),
        ("The support lead has time for it this week.", "to_be_checked"),
    ]
    assert packet["decision"] is None
    assert packet["escalation"] == {
        "role": "customer_success_leader", "channel": "call in the same day, then the desk",
        "respond_by": "2026-11-17", "decision": "not_needed",
    }  # fmt: skip
    held = {one["rule_id"]: (one["blocks"], one["recorded_as"]) for one in packet["stop_rules"]}
    assert held["evidence_missing"] == ("approval", "refused_by_stop_rule")
    assert held["no_follow_up_date"] == ("approval", "proposed")


def test_signals_with_evidence_and_what_contradicts_it(packet: dict[str, Any]) -> None:
    named = {one["signal_id"]: (one["evidence_ids"], one["against_ids"]) for one in packet["signals"]}
    assert named == {
        "backlog": (["t1"], []), "logins_fell": (["u1"], []), "meetings_missed": (["m1"], ["a1"]),
    }  # fmt: skip
    directions = {one["evidence_id"]: one["direction"] for one in packet["evidence"]}
    assert directions == {
        "t1": "supports",
        "u1": "supports",
        "m1": "supports",
        "a1": "contradicts",
        "b1": "contradicts",
    }


def test_the_id_stays_over_weeks_and_the_hash_is_of_the_content(body: dict[str, Any]) -> None:
    first, second = facts(), a_week_later(facts(), sponsor_risk())
    packets = build_packets([sponsor_risk(), second[1]], by_place(first, second[0]), policy())
    assert [one.packet_id for one in packets] == ["pkt_1", "pkt_1"]
    assert len({one.packet_hash for one in packets}) == 1
    (other,) = build_packets([risk()], by_place(facts()), policy())
    assert other.packet_hash != packets[0].packet_hash
    assert len(body["packet"]["packet_hash"]) == 64
