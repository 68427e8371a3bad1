"""Each stop rule at the desk: how a case comes to where the rule stops, who asks then, and for what."""

from __future__ import annotations

from desk_house import House, settle
from reviewing import ANALYST, CSM, LEAD, SetClock, does, packet


def stopped(house: House, clock: SetClock, rule_id: str) -> tuple[str, dict[str, str]]:  # noqa: PLR0912 - a table
    """Bring the case into the state in which the rule stops; the person who asks, and what they ask for."""
    ledger = house.ledger
    good = {"mitigations": "support_review", "follow_up_on": "2026-12-01"}
    if rule_id in {"not_permitted", "state_forbids"}:
        return (ANALYST if rule_id == "not_permitted" else CSM), {"action": "close", "note": "Typed."}
    if rule_id == "evidence_missing":
        does(ledger, "start_review", case_id="pkt_1")
        account = ledger.case("pkt_1").account_id
        # No packet without evidence is published, the risk room's tests hold that; the desk does not rely on it.
        empty = packet("pkt_1", packet_hash="empty", account_id=account, evidence=(), supporting_evidence=0)
        ledger.take_in("r2", [empty])
        return CSM, {"action": "propose", **good, "reason": "Typed."}
    if rule_id == "packet_changed":
        does(ledger, "start_review", case_id="pkt_1")
        return CSM, {"action": "propose", **good, "packet_hash": "an older one", "reason": "Typed."}
    if rule_id == "no_owner":
        does(ledger, "start_review", LEAD, "pkt_3")
        return LEAD, {"case_id": "pkt_3", "action": "propose", **good, "reason": "Typed."}
    if rule_id == "no_follow_up_date":
        return CSM, {"action": "defer", "reason": "Typed."}
    if rule_id == "acceptance_incomplete":
        does(ledger, "start_review", case_id="pkt_1")
        return CSM, {"action": "accept", "follow_up_on": "2026-12-01", "reason": "Typed."}
    if rule_id == "not_confirmed_by_evidence":
        does(ledger, "start_review", case_id="pkt_1")
        return CSM, {"action": "confirm_cause", "cause_id": "x", "evidence_ids": "none-such", "note": "Typed."}
    if rule_id == "customer_is_there":
        return CSM, {"action": "record_loss", "outcome": "lost", "reason": "Typed."}
    if rule_id == "needs_higher_permission":
        return CSM, {"action": "dismiss", "reason_code": "duplicate", "reason": "Typed."}
    does(ledger, "start_review", case_id="pkt_1")
    if rule_id != "severity_unconfirmed":
        does(ledger, "confirm_severity", case_id="pkt_1", severity="critical")
    if rule_id != "no_escalation_decision":
        does(ledger, "escalate", case_id="pkt_1", decision="escalated", role="lead")
    if rule_id != "assumption_unverified":
        settle(ledger)
    does(ledger, "propose", case_id="pkt_1", **good)
    if rule_id == "evidence_stale":
        clock.pass_days(20)
        does(ledger, "set_follow_up", case_id="pkt_1", follow_up_on="2026-12-30")
    if rule_id in {"no_approval", "measurement_missing"}:
        does(ledger, "approve", LEAD, "pkt_1")
    if rule_id == "no_approval":
        return CSM, {"action": "take_action", "mitigation": "never_approved", "channel": "call", "note": "Typed."}
    if rule_id == "measurement_missing":
        does(ledger, "take_action", case_id="pkt_1", mitigation="support_review", channel="call")
        does(ledger, "await_outcome", case_id="pkt_1")
        return CSM, {"action": "close", "note": "Typed."}
    return CSM if rule_id == "same_person" else LEAD, {"action": "approve", "note": "Typed."}
