"""A case as it is: frozen dataclasses, whether its approval holds, why it waits. State, outcome and queue apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import TypeAdapter

from health_pipeline.contract.case_states import DRAWN, EFFECTIVE, ENDED, UNDER_WAY, UNTOUCHED, Outcome, State
from health_pipeline.policy.review import Severity

SEVERITY_RANK: dict[str | None, int] = {None: 0, "low": 1, "medium": 2, "high": 3, "critical": 4}
CauseState = Literal["suspected", "corroborated", "confirmed", "refuted", "unknown"]
AssumptionState = Literal["unverified", "verified", "accepted", "refuted"]
FourEyes = Literal["second_person", "not_needed", "switched_off"]
Finding = Literal["no_risk", "missed_risk", "cannot_tell"]


@dataclass(frozen=True)
class Event:
    """One row of the ledger. `payload` holds ids, choices, dates and digests of texts, never a person's words."""

    seq: int
    event_id: str
    case_id: str | None
    case_version: int | None
    type: str
    actor: str
    at: datetime
    payload: dict[str, Any]
    packet_hash: str | None
    idempotency_key: str | None
    prev_hash: str
    hash: str


@dataclass(frozen=True)
class TextRef:
    """What a person wrote, by reference: the text lies in the erasable side table, the chain holds its keyed digest."""

    text_id: str
    digest: str


@dataclass(frozen=True)
class Cause:
    """A cause a person set: who, when, on which evidence."""

    cause_id: str
    state: CauseState
    set_by: str
    set_at: datetime
    evidence_ids: tuple[str, ...] = ()
    note: TextRef | None = None


@dataclass(frozen=True)
class Assumption:
    """An assumption of the packet, or of a person; `unverified` until a person verified or accepted it by name."""

    assumption_id: str
    state: AssumptionState = "unverified"
    set_by: str | None = None
    set_at: datetime | None = None
    evidence_ids: tuple[str, ...] = ()
    note: TextRef | None = None


@dataclass(frozen=True)
class Proposal:
    """What is proposed, and on which packet. `decision` accept: the risk is carried until `expires_on`."""

    event_id: str
    decision: Literal["mitigate", "accept"]
    proposed_by: str
    proposed_at: datetime
    packet_hash: str
    mitigations: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()
    residual_target: Severity | None = None
    approver_email: str | None = None
    expires_on: date | None = None
    reason: TextRef | None = None
    message: TextRef | None = None
    message_by: str | None = None


@dataclass(frozen=True)
class Approval:
    """A named person's approval of one proposal on one packet; it holds until it expires or what it is of changes."""

    event_id: str
    proposal_event_id: str
    approved_by: str
    approved_at: datetime
    expires_at: datetime
    packet_hash: str
    severity: Severity
    four_eyes: FourEyes
    message_digest: str | None = None


@dataclass(frozen=True)
class Audit:
    """An account that nothing flagged and that was drawn at random: with which chance, and what a person found on it.

    Attributes
    ----------
    inclusion_share : probability of being drawn, 0 to 1: what is found is multiplied by one over it
    finding : None until somebody has looked
    category, signal_id : of a risk that nothing flagged; the signal that should have fired, where a person named one
    """

    inclusion_share: float
    finding: Finding | None = None
    category: str | None = None
    signal_id: str | None = None
    found_by: str | None = None
    found_at: datetime | None = None


@dataclass(frozen=True)
class Case:
    """One customer risk over its life, or one account drawn at random.

    `packet_hash`: of what a decision on its newest packet rests on.
    """

    case_id: str
    account_id: str
    version: int
    state: State
    packet_hash: str
    week: date
    as_of_at: datetime
    detected_at: datetime
    changed_at: datetime
    category: str
    side: str = "risk"
    suggested_severity: Severity | None = None
    severity: Severity | None = None
    severity_status: Literal["suggested", "confirmed"] = "suggested"
    severity_by: str | None = None
    outcome: Outcome | None = None
    owner_email: str | None = None
    is_owner_assigned: bool = False
    value_at_risk: Decimal | None = None
    days_to_renewal: int | None = None
    is_quiet: bool = False
    # The first week that did not review the customer any more; None where the newest packet's week does.
    left_by: date | None = None
    supporting_evidence: int = 0
    # Each piece of the newest packet and its kind: what is inferred from absence confirms nothing.
    evidence: tuple[tuple[str, str], ...] = ()
    follow_up_on: date | None = None
    deferred_until: date | None = None
    causes: tuple[Cause, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    proposal: Proposal | None = None
    approval: Approval | None = None
    escalation: str | None = None
    dismissal_reason: str | None = None
    residual_actual: Severity | None = None
    superseded_by: str | None = None
    # Only where the case is no risk, but an account drawn at random.
    audit: Audit | None = None
    logged: frozenset[str] = field(default=frozenset())

    @property
    def has_ended(self) -> bool:
        """Closed, dismissed or superseded; an account drawn at random: looked at."""
        return self.state in ENDED

    @property
    def is_set_aside(self) -> bool:
        """Quiet for long enough before anybody took it up: proposed for closing, and not among what presses."""
        return self.is_quiet and self.state == UNTOUCHED


CASE_JSON: TypeAdapter[Case] = TypeAdapter(Case)


def approval_holds(case: Case, now: datetime) -> bool:
    """Whether the case's approval has an effect now: unexpired, of this packet, severity, proposal and message.

    High and critical cases: by a second person, or under the recorded switch for small teams.
    """
    approval, proposal = case.approval, case.proposal
    if approval is None or proposal is None or case.state not in EFFECTIVE:
        return False
    message = proposal.message.digest if proposal.message else None
    authors = {proposal.proposed_by, proposal.message_by}
    return (
        now < approval.expires_at
        and approval.proposal_event_id == proposal.event_id
        and approval.packet_hash == proposal.packet_hash == case.packet_hash
        and approval.severity == case.severity
        and approval.message_digest == message
        and (approval.four_eyes != "second_person" or approval.approved_by not in authors)
    )


def waits_from(case: Case) -> date | None:
    """The day from which the case waits for somebody; None where nothing is awaited of anybody."""
    if case.has_ended:
        return None
    if case.state == "deferred":
        return case.deferred_until
    if case.state == DRAWN:
        # from its week's end on, whenever its release was taken in
        return case.week + timedelta(days=7)
    if case.state not in UNDER_WAY:
        return case.detected_at.date()
    days = [case.follow_up_on, case.week if case.is_quiet else None]
    if case.state in EFFECTIVE and case.approval is not None:
        days.append(case.approval.expires_at.date())
    return min((day for day in days if day is not None), default=None)


def queue_reason(case: Case, now: datetime) -> str | None:
    """Why the case is in the queue, in words; None where it is not. Apart from its state and its outcome."""
    today = now.astimezone(UTC).date()
    since = waits_from(case)
    if since is None or since > today:
        return None
    if case.state == "deferred":
        return f"deferred until {case.deferred_until}"
    if case.follow_up_on is not None and case.follow_up_on <= today:
        return f"follow-up of {case.follow_up_on} is due"
    if case.is_quiet and case.state not in {"proposed", "approved"}:
        is_gone = case.left_by is not None
        return f"{'the customer has left' if is_gone else 'quiet for long enough'}: proposed for closing"
    return {
        "detected": "new",
        "in_review": "in review",
        "needs_evidence": "evidence was asked for",
        "proposed": "waits for an approver",
        "changes_requested": "changes were asked for",
        "rejected": "the proposal was rejected",
        "withdrawn": "the proposal was withdrawn",
        "expired": "its approval or acceptance has expired",
        "reopened": "reopened",
        DRAWN: "drawn at random among what nothing flagged",
    }.get(case.state, "its approval ends")
