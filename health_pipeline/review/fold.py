"""The fold: what each event makes of a case. Pure, so that the cases can be made anew from the events at any time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from health_pipeline.contract.case_states import DRAWN, UNDER_WAY, UNTOUCHED
from health_pipeline.policy.exception_queue import RANDOM_AUDIT
from health_pipeline.review.cases import (
    Approval,
    Assumption,
    Audit,
    Case,
    Cause,
    Event,
    Proposal,
    TextRef,
)

TEXT_ERASED = "text_erased"
PACKET_RENEWED = "packet_renewed"
AUDIT_DRAWN = "audit_drawn"
CUSTOMER_LEFT = "customer_left"


def fold(case: Case | None, event: Event) -> Case:
    """The case after one more of its events.

    Raises
    ------
    ValueError
        If the first event of a case is not its detection.
    """
    if event.type == "risk_detected":
        return _detected(event)
    if event.type == AUDIT_DRAWN:
        return _drawn(event)
    if case is None:
        raise ValueError(f"Event {event.seq} speaks of case {event.case_id}, which was never detected.")
    if event.type == TEXT_ERASED:
        # Of somebody's words, not of the case.
        return case
    # What was measured before a case was reopened does not count for closing it again.
    logged = (case.logged if event.type != "reopened" else frozenset()) | {event.type}
    if event.type == PACKET_RENEWED:
        # The same packet in a newer week: no form that is open on it is out of date.
        return replace(_with_packet(case, event), logged=logged)
    if event.type == CUSTOMER_LEFT:
        return replace(case, is_quiet=True, left_by=date.fromisoformat(event.payload["week"]), logged=logged)
    if event.case_version == case.version:
        return replace(case, logged=logged)
    changed = _CHANGES[event.type](case, event) if event.type in _CHANGES else case
    state = event.payload.get("state", case.state)
    if state not in UNDER_WAY:
        # However a case leaves these states, an approval does not come along.
        changed = replace(changed, approval=None, proposal=changed.proposal if state == "proposed" else None)
    return replace(
        changed,
        version=event.case_version or case.version,
        state=state,
        changed_at=event.at,
        logged=logged,
    )


def _detected(event: Event) -> Case:
    values = event.payload
    first = Case(
        case_id=str(event.case_id),
        account_id=values["account_id"],
        version=event.case_version or 1,
        state=UNTOUCHED,
        packet_hash=str(event.packet_hash),
        week=date.fromisoformat(values["week"]),
        as_of_at=event.at,
        detected_at=event.at,
        changed_at=event.at,
        category=values["category"],
        side=values["side"],
        logged=frozenset({event.type}),
    )
    return _with_packet(first, event)


def _drawn(event: Event) -> Case:
    values = event.payload
    return Case(
        case_id=str(event.case_id),
        account_id=values["account_id"],
        version=event.case_version or 1,
        state=DRAWN,
        packet_hash=str(event.packet_hash),
        week=date.fromisoformat(values["week"]),
        as_of_at=datetime.fromisoformat(values["as_of_at"]),
        detected_at=event.at,
        changed_at=event.at,
        category=RANDOM_AUDIT,
        side=RANDOM_AUDIT,
        owner_email=values["owner_email"],
        audit=Audit(values["inclusion_share"]),
        logged=frozenset({event.type}),
    )


def _audited(case: Case, event: Event) -> Case:
    assert case.audit is not None  # the table's states are those of an audit
    values = event.payload
    found = Audit(
        case.audit.inclusion_share,
        values["finding"],
        values.get("missed_category"),
        values.get("missed_signal"),
        event.actor,
        event.at,
    )
    return replace(case, audit=found)


def _with_packet(case: Case, event: Event) -> Case:
    """The newest packet. What people said stays, but for a confirmed severity whose suggestion has changed."""
    values = event.payload
    suggested = values["severity"]
    is_kept = case.severity_status == "confirmed" and suggested == case.suggested_severity
    known = {assumption.assumption_id for assumption in case.assumptions}
    new = tuple(Assumption(one) for one in values["assumptions"] if one not in known)
    at_risk = values["value_at_risk"]
    return replace(
        case,
        packet_hash=str(event.packet_hash),
        week=date.fromisoformat(values["week"]),
        as_of_at=datetime.fromisoformat(values["as_of_at"]),
        category=values["category"],
        suggested_severity=suggested,
        severity=case.severity if is_kept else suggested,
        severity_status="confirmed" if is_kept else "suggested",
        severity_by=case.severity_by if is_kept else None,
        owner_email=case.owner_email if case.is_owner_assigned else values["owner_email"],
        value_at_risk=None if at_risk is None else Decimal(at_risk),
        days_to_renewal=values["days_to_renewal"],
        is_quiet=values["is_quiet"],
        left_by=None,
        supporting_evidence=values["supporting_evidence"],
        evidence=tuple((one, kind) for one, kind in values["evidence"]),
        assumptions=case.assumptions + new,
    )


def _text(event: Event, name: str) -> TextRef | None:
    found = event.payload.get("texts", {}).get(name)
    return TextRef(**found) if found else None


def _day(event: Event, name: str) -> date | None:
    found = event.payload.get(name)
    return date.fromisoformat(found) if found else None


def _proposed(case: Case, event: Event) -> Case:
    values = event.payload
    message = _text(event, "message")
    proposal = Proposal(
        event_id=event.event_id,
        decision=values["decision"],
        proposed_by=event.actor,
        proposed_at=event.at,
        packet_hash=str(event.packet_hash),
        mitigations=tuple(values.get("mitigations", ())),
        touches=tuple(values.get("touches", ())),
        residual_target=values.get("residual_target"),
        approver_email=values.get("approver_email"),
        expires_on=_day(event, "expires_on"),
        reason=_text(event, "reason"),
        message=message,
        message_by=event.actor if message else None,
    )
    follow_up = _day(event, "follow_up_on") or case.follow_up_on
    return replace(case, proposal=proposal, approval=None, follow_up_on=follow_up)


def _message_written(case: Case, event: Event) -> Case:
    assert case.proposal is not None  # the table's states have one
    message = _text(event, "message")
    # Another event id: an approval of what was proposed before is not one of this.
    proposal = replace(case.proposal, event_id=event.event_id, message=message, message_by=event.actor)
    return replace(case, proposal=proposal, approval=None)


def _approved(case: Case, event: Event) -> Case:
    assert case.proposal is not None and case.severity is not None  # stop rules
    values = event.payload
    approval = Approval(
        event_id=event.event_id,
        proposal_event_id=values["proposal_event_id"],
        approved_by=event.actor,
        approved_at=event.at,
        expires_at=datetime.fromisoformat(values["expires_at"]),
        packet_hash=str(event.packet_hash),
        severity=values["severity"],
        four_eyes=values["four_eyes"],
        message_digest=values["message_digest"],
    )
    return replace(case, approval=approval)


def _severity_confirmed(case: Case, event: Event) -> Case:
    return replace(case, severity=event.payload["severity"], severity_status="confirmed", severity_by=event.actor)


def _cause(case: Case, event: Event) -> Case:
    values = event.payload
    ids = tuple(values.get("evidence_ids", ()))
    cause = Cause(values["cause_id"], values["cause_state"], event.actor, event.at, ids, _text(event, "note"))
    others = tuple(one for one in case.causes if one.cause_id != cause.cause_id)
    return replace(case, causes=(*others, cause))


def _assumption(case: Case, event: Event) -> Case:
    values = event.payload
    ids = tuple(values.get("evidence_ids", ()))
    found = Assumption(
        values["assumption_id"], values["assumption_state"], event.actor, event.at, ids, _text(event, "note")
    )
    names = [one.assumption_id for one in case.assumptions]
    if found.assumption_id not in names:
        return replace(case, assumptions=(*case.assumptions, found))
    return replace(
        case,
        assumptions=tuple(found if one.assumption_id == found.assumption_id else one for one in case.assumptions),
    )


_CHANGES: dict[str, Callable[[Case, Event], Case]] = {
    "packet_built": _with_packet,
    "owner_assigned": lambda case, event: replace(
        case, owner_email=event.payload["owner_email"], is_owner_assigned=True
    ),
    "severity_confirmed": _severity_confirmed,
    "cause_set": _cause,
    "cause_confirmed": _cause,
    "assumption_verified": _assumption,
    "escalated": lambda case, event: replace(case, escalation=event.payload["decision"]),
    "follow_up_set": lambda case, event: replace(case, follow_up_on=_day(event, "follow_up_on")),
    "proposed": _proposed,
    "message_written": _message_written,
    "approved": _approved,
    "deferred": lambda case, event: replace(
        case, deferred_until=_day(event, "until"), follow_up_on=_day(event, "until")
    ),
    "dismissed": lambda case, event: replace(
        case, dismissal_reason=event.payload["reason_code"], outcome="false_positive"
    ),
    "superseded": lambda case, event: replace(case, superseded_by=event.payload["by_case_id"]),
    "audit_finding_recorded": _audited,
    "outcome_recorded": lambda case, event: replace(case, outcome=event.payload["outcome"]),
    "residual_risk_recorded": lambda case, event: replace(case, residual_actual=event.payload["residual_actual"]),
    "reopened": lambda case, event: replace(
        case, outcome=None, dismissal_reason=None, superseded_by=None, residual_actual=None
    ),
}
