"""A decision, judged and put into words for the chain: pure functions from a question to an event or a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from health_pipeline.contract.case_states import EFFECTIVE
from health_pipeline.review.cases import Case, Event
from health_pipeline.review.events import Draft
from health_pipeline.review.permissions import SYSTEM
from health_pipeline.review.states import BY_ACTION
from health_pipeline.review.stop_rules import Question, Stopped

REFUSED = "refused_by_stop_rule"


@dataclass(frozen=True)
class Decision:
    """What was decided: the event it left, and the case after it."""

    event: Event
    case: Case


@dataclass(frozen=True)
class Refusal:
    """What was refused: the event that says so, the case as it stays, the rules and who may release each."""

    event: Event
    case: Case
    rules: tuple[Stopped, ...]


def decision_draft(question: Question, texts: Mapping[str, Any], idempotency_key: str | None) -> Draft:
    """The event of a decision that nothing stops.

    Parameters
    ----------
    texts : references of the form's texts, as `texts.store_texts` gives them
    """
    case, row = question.case, question.transition
    payload: dict[str, Any] = {"action": row.action, **question.form.values, **_additions(question)}
    if texts:
        payload["texts"] = dict(texts)
    if state := _state_after(question):
        payload["state"] = state
    return Draft(
        row.event,
        question.actor,
        question.now,
        payload,
        case.case_id,
        case.version + 1 if row.is_change else case.version,
        case.packet_hash,
        idempotency_key,
    )


def refusal_draft(question: Question, rules: tuple[Stopped, ...], idempotency_key: str | None) -> Draft:
    """The event of a refusal: what was asked for, and each rule with its reason. No words of the form."""
    payload = {
        "action": question.transition.action,
        "rules": [{"rule_id": rule.rule_id, "reason": rule.reason, "released_by": rule.released_by} for rule in rules],
    }
    case = question.case
    return Draft(
        REFUSED,
        question.actor,
        question.now,
        payload,
        case.case_id,
        case.version,
        case.packet_hash,
        idempotency_key,
    )


def expiry_draft(case: Case, now: datetime) -> Draft:
    """The event of an approval or acceptance that ran out."""
    assert case.approval is not None  # only those are due
    row = BY_ACTION["expire"]
    payload = {
        "action": row.action,
        "state": row.target,
        "approval_event_id": case.approval.event_id,
        "expired_at": case.approval.expires_at.isoformat(),
    }
    return Draft(row.event, SYSTEM, now, payload, case.case_id, case.version + 1, case.packet_hash)


def stopped_of(event: Event) -> tuple[Stopped, ...]:
    """The rules a refusal's event names."""
    return tuple(Stopped(**rule) for rule in event.payload["rules"])


def _state_after(question: Question) -> str | None:
    case, action = question.case, question.transition.action
    is_decided = case.state == "proposed" or case.state in EFFECTIVE
    if is_decided and action == "confirm_severity" and question.form.values["severity"] != case.severity:
        return "in_review"
    if is_decided and action == "verify_assumption" and question.form.values["assumption_state"] in _UNFIT:
        return "in_review"
    return question.transition.target


FINDINGS = {"find_no_risk": "no_risk", "find_missed_risk": "missed_risk", "find_nothing_certain": "cannot_tell"}
# An assumption in these states carries no decision.
_UNFIT = ("unverified", "refuted")


def _additions(question: Question) -> dict[str, Any]:
    case, action = question.case, question.transition.action
    if action == "propose":
        return {"decision": "mitigate"}
    if action == "accept":
        return {"decision": "accept"}
    if action == "confirm_cause":
        return {"cause_state": "confirmed"}
    if action == "confirm_severity":
        return {"suggested_severity": case.suggested_severity}
    if action == "dismiss":
        return {"outcome": "false_positive"}
    if action in FINDINGS:
        return {"finding": FINDINGS[action]}
    if action == "take_action" and case.approval is not None:
        return {"approval_event_id": case.approval.event_id, "message_digest": case.approval.message_digest}
    if action != "approve":
        return {}
    proposal = case.proposal
    assert proposal is not None  # the table's state has one
    is_second = question.actor not in {proposal.proposed_by, proposal.message_by}
    four_eyes = "second_person" if is_second else "switched_off" if question.is_severe else "not_needed"
    return {
        "proposal_event_id": proposal.event_id,
        "expires_at": _expires_at(question).isoformat(),
        "severity": case.severity,
        "four_eyes": four_eyes,
        "message_digest": proposal.message.digest if proposal.message else None,
    }


def _expires_at(question: Question) -> datetime:
    proposal = question.case.proposal
    if proposal is not None and proposal.expires_on is not None:
        return datetime.combine(proposal.expires_on + timedelta(days=1), time(), UTC)
    return question.now + timedelta(days=question.policy.approval_valid_days)
