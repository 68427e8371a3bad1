"""The stop rules as data: what each one stops, who may release it, how that is recorded; and the test of each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from health_pipeline.policy.review import ReviewPolicy
from health_pipeline.review.cases import Case, approval_holds
from health_pipeline.review.forms import ReadForm
from health_pipeline.review.permissions import GRANTS, Person, covers
from health_pipeline.review.states import TRANSITIONS, Transition, blocked_by


@dataclass(frozen=True)
class Question:
    """Everything a decision is judged by: the case as it is, who asks for what, the policy, the clock."""

    case: Case
    transition: Transition
    form: ReadForm
    actor: str
    person: Person | None
    owner_team: str | None
    policy: ReviewPolicy
    is_four_eyes_on: bool
    now: datetime

    def may(self, permission: str) -> bool:
        """Whether the actor has that permission for this case."""
        return covers(self.person, permission, self.case.owner_email, self.owner_team)

    @property
    def is_severe(self) -> bool:
        """High or critical by the policy, in either status: as suggested or as confirmed."""
        return bool({self.case.severity, self.case.suggested_severity} & set(self.policy.four_eyes))

    def day(self, name: str) -> date | None:
        """A date of the form."""
        found = self.form.values.get(name)
        return date.fromisoformat(found) if found else None

    @property
    def today(self) -> date:
        """In UTC."""
        return self.now.astimezone(UTC).date()


@dataclass(frozen=True)
class StopRule:
    """One rule. `stops` gives the reason in one sentence, or None where it does not stop.

    Attributes
    ----------
    released_by : str
        Who may release it.
    recorded_as : str
        The event that releasing it leaves.
    """

    rule_id: str
    says: str
    released_by: str
    recorded_as: str
    stops: Callable[[Question], str | None]

    @property
    def blocks(self) -> tuple[str, ...]:
        """The actions it can stop."""
        if self.rule_id in EVERYWHERE:
            return tuple(row.action for row in TRANSITIONS if row.permission != "system")
        return blocked_by(self.rule_id)


@dataclass(frozen=True)
class Stopped:
    """A stop rule that stopped, with its reason and who can release it."""

    rule_id: str
    reason: str
    released_by: str


def stopped_by(question: Question) -> tuple[Stopped, ...]:
    """Every rule that stops what is asked for, in the table's order; the permission rules alone where they stop."""
    for rule_id in EVERYWHERE:
        if found := _stopped(rule_id, question):
            return (found,)
    return stopped_by_rules(question, question.transition.guards)


def stopped_by_rules(question: Question, rule_ids: Collection[str]) -> tuple[Stopped, ...]:
    """Those of some rules that stop what is asked for, in the table's order."""
    found_rules = (_stopped(rule_id, question) for rule_id in STOP_RULES if rule_id in rule_ids)
    return tuple(one for one in found_rules if one is not None)


def _stopped(rule_id: str, question: Question) -> Stopped | None:
    rule = STOP_RULES[rule_id]
    reason = rule.stops(question)
    return Stopped(rule_id, reason, rule.released_by) if reason else None


def _state_forbids(question: Question) -> str | None:
    case, row = question.case, question.transition
    if case.state in row.sources:
        return None
    shown = ", ".join(row.sources)
    return f"{row.action} is not possible while the case is {case.state}; it is from {shown}."


def _not_permitted(question: Question) -> str | None:
    if question.may(question.transition.permission):
        return None
    if question.person is None or not question.person.is_active:
        return f"{question.actor} is no active user of this ledger; an admin adds users."
    if question.transition.permission not in set(GRANTS[question.person.role]):
        return f"The role {question.person.role} may not {question.transition.action}."
    owner = question.case.owner_email or "nobody yet"
    return f"The case is owned by {owner}; its owner or a lead of the team decides."


def _evidence_missing(question: Question) -> str | None:
    if question.case.supporting_evidence:
        return None
    return "The packet has no evidence that supports it; nothing can be decided on nothing."


def _evidence_stale(question: Question) -> str | None:
    days = (question.now - question.case.as_of_at).days
    if days <= question.policy.evidence_stale_after_days:
        return None
    return (
        f"The packet's facts end {days} days ago, more than {question.policy.evidence_stale_after_days}; run the "
        "weekly review, so that a new packet comes in."
    )


def _assumption_unverified(question: Question) -> str | None:
    open_ones = [one.assumption_id for one in question.case.assumptions if one.state in {"unverified", "refuted"}]
    if not open_ones:
        return None
    return f"Assumptions are not verified ({', '.join(open_ones[:3])}); verify each, or accept it by name."


def _severity_unconfirmed(question: Question) -> str | None:
    if question.case.severity_status == "confirmed":
        return None
    return "The severity is a suggestion; a person confirms it first."


def _no_owner(question: Question) -> str | None:
    return None if question.case.owner_email else "Nobody owns the case; assign it to a person first."


def _no_follow_up_date(question: Question) -> str | None:
    name = "until" if question.transition.action == "defer" else "follow_up_on"
    day = question.day(name) or (question.case.follow_up_on if name == "follow_up_on" else None)
    if day is None:
        return "No follow-up date; give the day on which the case is looked at again."
    if day < question.today or (name == "until" and day == question.today):
        return f"The follow-up date {day} has passed; give one that is to come."
    return None


def _no_escalation_decision(question: Question) -> str | None:
    if not question.is_severe or question.case.escalation:
        return None
    return "A high or critical risk needs an escalation decision: escalated, or not needed and why."


def _acceptance_incomplete(question: Question) -> str | None:
    proposal = question.case.proposal
    if question.transition.action == "accept":
        has_reason = "reason" in question.form.texts
        approver, expiry = question.form.values.get("approver_email"), question.day("expires_on")
    elif proposal is not None and proposal.decision == "accept":
        has_reason, approver, expiry = proposal.reason is not None, proposal.approver_email, proposal.expires_on
    else:
        return None
    if not (has_reason and approver and expiry):
        return "Accepting a risk needs a reason, an approver and an expiry date."
    last = question.today + timedelta(days=question.policy.acceptance_longest_days)
    if not question.today < expiry <= last:
        return f"An acceptance ends after today and by {last} at the latest; {expiry} does not."
    if question.transition.action == "approve" and approver != question.actor:
        return f"The acceptance names {approver} as its approver; only they approve it."
    return None


def _needs_higher_permission(question: Question) -> str | None:
    case = question.case
    why = []
    if question.is_severe:
        why.append(f"the risk is {case.severity or case.suggested_severity}")
    if question.transition.action == "approve":
        if case.value_at_risk is not None and case.value_at_risk >= question.policy.material_value:
            why.append("it is material")
        touched = {"customer", "budget"} & set(case.proposal.touches if case.proposal else ())
        if case.proposal is not None and case.proposal.message is not None:
            touched.add("customer")
        why += [f"it touches the {one}" for one in sorted(touched)]
    if not why or question.may("approve_higher"):
        return None
    return f"A lead decides, because {' and '.join(why)}."


def _same_person(question: Question) -> str | None:
    proposal = question.case.proposal
    if proposal is None or not question.is_severe or not question.is_four_eyes_on:
        return None
    if question.actor not in {proposal.proposed_by, proposal.message_by}:
        return None
    return "A high or critical risk is approved by another person than the one who proposed it or wrote its message."


def _packet_changed(question: Question) -> str | None:
    case, seen = question.case, question.form.seen_packet_hash
    if seen is not None and seen != case.packet_hash:
        return "The packet was built anew after this form was opened; look at it as it is now."
    bound = case.approval if question.transition.action == "take_action" else case.proposal
    is_bound = question.transition.action in {"approve", "take_action"} and bound is not None
    if is_bound and bound is not None and bound.packet_hash != case.packet_hash:
        return "What the packet rests on changed after that; review it again."
    return None


def _no_approval(question: Question) -> str | None:
    case = question.case
    if not approval_holds(case, question.now):
        return "No approval holds: it has expired, or what it was given for has changed; propose again."
    if case.proposal is not None and case.proposal.decision == "accept":
        return "The risk was accepted, and no action approved; propose one."
    done = question.form.values.get("mitigation")
    if case.proposal is not None and done not in case.proposal.mitigations:
        return f"{done} is not among what was approved ({', '.join(case.proposal.mitigations)})."
    return None


def _measurement_missing(question: Question) -> str | None:
    case = question.case
    missing = []
    if case.outcome is None:
        missing.append("outcome_recorded")
    if case.residual_actual is None:
        missing.append("residual_risk_recorded")
    if case.outcome == "saved" and "action_taken" not in case.logged:
        missing.append("action_taken")
    return f"Not logged yet: {', '.join(missing)}; a case is closed when it is measured." if missing else None


def _customer_is_there(question: Question) -> str | None:
    if question.case.left_by is not None:
        return None
    return "The newest weekly review has this customer; a loss is recorded once it has them no more."


def _not_confirmed_by_evidence(question: Question) -> str | None:
    kinds = dict(question.case.evidence)
    named = question.form.values.get("evidence_ids", [])
    if unknown := [one for one in named if one not in kinds]:
        return f"{unknown[0]} is no evidence of this packet; name a piece of it."
    if all(kinds[one] == "inferred_from_absence" for one in named):
        return "What is inferred from absence confirms nothing; name a record that was measured or reported."
    return None


_NOBODY = "nobody; it is put right by what it asks for"
# Checked for every action of a person, before anything else.
EVERYWHERE = ("not_permitted", "state_forbids")
STOP_RULES: dict[str, StopRule] = {
    rule.rule_id: rule
    for rule in (
        StopRule(
            "not_permitted",
            "The actor is not the owner or above, or has no role for it",
            "the owner or a lead, by assigning the case; an admin, by a role",
            "owner_assigned",
            _not_permitted,
        ),
        StopRule("state_forbids", "The case is not in a state for it", _NOBODY, "none", _state_forbids),
        StopRule("packet_changed", "The packet changed meanwhile", "who looks at the new one", "none", _packet_changed),
        StopRule("evidence_missing", "No evidence supports it", _NOBODY, "packet_built", _evidence_missing),
        StopRule("evidence_stale", "The packet's facts are too old", _NOBODY, "packet_built", _evidence_stale),
        StopRule(
            "assumption_unverified",
            "An assumption is not verified",
            "the owner, by verifying it or accepting it by name",
            "assumption_verified",
            _assumption_unverified,
        ),
        StopRule(
            "severity_unconfirmed",
            "No person has confirmed the severity",
            "the owner, by confirming it",
            "severity_confirmed",
            _severity_unconfirmed,
        ),
        StopRule("no_owner", "Nobody owns it", "a lead, by assigning it", "owner_assigned", _no_owner),
        StopRule(
            "no_follow_up_date",
            "No date for the next look",
            "the owner, by a date",
            "follow_up_set",
            _no_follow_up_date,
        ),
        StopRule(
            "no_escalation_decision",
            "A severe risk without an escalation decision",
            "the owner, by deciding it",
            "escalated",
            _no_escalation_decision,
        ),
        StopRule(
            "acceptance_incomplete",
            "An acceptance without reason, approver or expiry",
            "the proposer, by giving them",
            "proposed",
            _acceptance_incomplete,
        ),
        StopRule(
            "needs_higher_permission",
            "Severe, material, or touching budget or customer",
            "a lead of the owner's team, by deciding",
            "approved",
            _needs_higher_permission,
        ),
        StopRule(
            "same_person",
            "The approver of a severe risk is its proposer",
            "another approver; or an admin or lead, by the recorded switch for small teams",
            "four_eyes_set",
            _same_person,
        ),
        StopRule("no_approval", "No approval that still holds", "an approver, by approving", "approved", _no_approval),
        StopRule(
            "measurement_missing",
            "A measurement event is not logged",
            "the owner, by recording it",
            "outcome_recorded",
            _measurement_missing,
        ),
        StopRule(
            "customer_is_there",
            "The customer has not left",
            _NOBODY,
            "customer_left",
            _customer_is_there,
        ),
        StopRule(
            "not_confirmed_by_evidence",
            "Nothing measured or reported confirms it",
            "the owner, by naming evidence",
            "cause_confirmed",
            _not_confirmed_by_evidence,
        ),
    )
}
