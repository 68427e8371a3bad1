"""The state machine as data: which action leads from which states to which, who may do it, what must hold first."""

from __future__ import annotations

from dataclasses import dataclass

from health_pipeline.contract.case_states import AUDITS, EFFECTIVE, OPEN, UNDECIDED, UNDER_WAY, UNENDED, State


@dataclass(frozen=True)
class Transition:
    """One row of the table.

    Attributes
    ----------
    action : str
        What a person asks for.
    sources : tuple of State
        The states it is possible in.
    target : State or None
        The state afterwards; None: as it was.
    permission : str
        What the actor must be allowed (see `permissions.GRANTS`).
    event : str
        Type of the event it leaves.
    guards : tuple of str
        Ids of the stop rules that must not stop it (see `stop_rules.STOP_RULES`).
    is_change : bool
        False where it leaves the case as it is, so that nobody's open form is in conflict with it.
    """

    action: str
    sources: tuple[State, ...]
    target: State | None
    permission: str
    event: str
    guards: tuple[str, ...] = ()
    is_change: bool = True


_ALL: tuple[State, ...] = (*OPEN, "closed", "dismissed", "superseded")
_DRAFTING: tuple[State, ...] = ("in_review", "changes_requested")
_SETTLED = ("evidence_missing", "packet_changed", "no_owner", "no_follow_up_date")
_APPROVAL = (
    *_SETTLED,
    "evidence_stale",
    "assumption_unverified",
    "severity_unconfirmed",
    "no_escalation_decision",
    "acceptance_incomplete",
    "needs_higher_permission",
    "same_person",
)

TRANSITIONS: tuple[Transition, ...] = (
    # Looking: leaves an event for the measurement, and changes nothing.
    Transition("view_packet", _ALL, None, "view", "packet_viewed", is_change=False),
    Transition("open_evidence", _ALL, None, "view", "evidence_opened", is_change=False),
    # Understanding.
    Transition("start_review", (*UNDECIDED, "deferred"), "in_review", "review", "review_started"),
    Transition("request_evidence", ("in_review", "proposed"), "needs_evidence", "review", "evidence_requested"),
    Transition("assign_owner", UNENDED, None, "assign", "owner_assigned"),
    Transition("confirm_severity", OPEN, None, "review", "severity_confirmed"),
    Transition("set_cause", OPEN, None, "review", "cause_set"),
    Transition("confirm_cause", OPEN, None, "review", "cause_confirmed", ("not_confirmed_by_evidence",)),
    Transition("verify_assumption", OPEN, None, "review", "assumption_verified"),
    Transition("escalate", OPEN, None, "review", "escalated"),
    Transition("set_follow_up", OPEN, None, "review", "follow_up_set"),
    # Deciding.
    Transition("propose", _DRAFTING, "proposed", "propose", "proposed", _SETTLED),
    Transition("accept", _DRAFTING, "proposed", "propose", "proposed", (*_SETTLED, "acceptance_incomplete")),
    Transition("write_message", ("proposed", *EFFECTIVE), "proposed", "propose", "message_written"),
    Transition("request_changes", ("proposed",), "changes_requested", "approve", "changes_requested"),
    Transition("reject", ("proposed",), "rejected", "approve", "rejected"),
    Transition("withdraw", ("proposed", "approved"), "withdrawn", "propose", "withdrawn"),
    Transition("approve", ("proposed",), "approved", "approve", "approved", _APPROVAL),
    Transition("defer", UNDECIDED, "deferred", "review", "deferred", ("no_follow_up_date",)),
    Transition("dismiss", UNDECIDED, "dismissed", "review", "dismissed", ("needs_higher_permission",)),
    Transition("supersede", (*UNDECIDED, "deferred"), "superseded", "review", "superseded"),
    # Doing: the only rows with an effect outside.
    Transition("take_action", EFFECTIVE, "in_progress", "record", "action_taken", ("packet_changed", "no_approval")),
    # Learning.
    Transition("record_response", ("in_progress", "awaiting_outcome"), None, "record", "response_recorded"),
    Transition("await_outcome", ("in_progress",), "awaiting_outcome", "record", "outcome_awaited"),
    Transition("record_outcome", UNDER_WAY, "awaiting_outcome", "record", "outcome_recorded"),
    Transition(
        "record_loss",
        (*UNDECIDED, "deferred", "proposed"),
        "awaiting_outcome",
        "record",
        "outcome_recorded",
        ("customer_is_there",),
    ),
    Transition("record_residual_risk", UNDER_WAY, None, "record", "residual_risk_recorded"),
    Transition("close", ("awaiting_outcome",), "closed", "record", "closed", ("measurement_missing",)),
    Transition("reopen", ("closed", "dismissed", "superseded"), "reopened", "review", "reopened"),
    # Looking at an account that nothing flagged.
    Transition("find_no_risk", AUDITS, "audited", "review", "audit_finding_recorded"),
    Transition("find_missed_risk", AUDITS, "audited", "review", "audit_finding_recorded"),
    Transition("find_nothing_certain", AUDITS, "audited", "review", "audit_finding_recorded"),
    # What time and a new packet do; no person asks for these.
    Transition("expire", EFFECTIVE, "expired", "system", "expired"),
    Transition("return_to_review", ("proposed", "deferred", *UNDER_WAY), "in_review", "system", "packet_built"),
)
BY_ACTION: dict[str, Transition] = {transition.action: transition for transition in TRANSITIONS}
# What has an effect outside, and so needs an approval that holds.
EFFECTS: frozenset[str] = frozenset(
    transition.action for transition in TRANSITIONS if "no_approval" in transition.guards
)


def possible(state: str) -> tuple[Transition, ...]:
    """What people may ask for in that state, whoever they are; in the table's order."""
    return tuple(row for row in TRANSITIONS if state in row.sources and row.permission != "system")


def blocked_by(rule_id: str) -> tuple[str, ...]:
    """The actions a stop rule can stop."""
    return tuple(row.action for row in TRANSITIONS if rule_id in row.guards)
