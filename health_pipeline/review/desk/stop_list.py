"""What stands between a case and its approval: each stop rule, whether it stops now, and who may release it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from health_pipeline.contract.case_states import EFFECTIVE
from health_pipeline.review.cases import Case
from health_pipeline.review.desk.action_words import FIELD_WORDS
from health_pipeline.review.desk.visits import Desk, Visit
from health_pipeline.review.forms import ReadForm
from health_pipeline.review.states import BY_ACTION
from health_pipeline.review.stop_rules import STOP_RULES, Question

# What holds where a rule does not stop.
HOLDS = {
    "evidence_missing": "Evidence supports it",
    "packet_changed": "The packet is the one you see",
    "no_owner": "A named person owns it",
    "no_follow_up_date": "The next look has a date",
    "evidence_stale": "Its facts are recent",
    "assumption_unverified": "No assumption is left unverified",
    "severity_unconfirmed": "A person confirmed the severity",
    "no_escalation_decision": "Escalation is decided, or the risk is not severe",
    "acceptance_incomplete": "Nothing is accepted without reason, approver and expiry",
    "needs_higher_permission": "Your permission reaches as far as it needs",
    "same_person": "You are not the one who proposed it, where that matters",
}
_NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


@dataclass(frozen=True)
class RuleNow:
    """A stop rule as it stands: `reason` is None where it does not stop, and `holds` says what holds instead."""

    rule_id: str
    holds: str
    released_by: str
    reason: str | None


def rules_before_approval(desk: Desk, visit: Visit, case: Case) -> list[RuleNow]:
    """Each rule that guards the approval, as it would judge this person's; none where nothing is left to approve."""
    if case.has_ended or case.state in EFFECTIVE or case.state == "awaiting_outcome":
        return []
    transition = BY_ACTION["approve"]
    question = Question(
        case,
        transition,
        ReadForm({}, {}),
        visit.me.email,
        visit.person,
        visit.team_of(case.owner_email),
        desk.ledger.policy,
        desk.ledger.is_four_eyes_on(),
        visit.now,
    )
    rules = [STOP_RULES[name] for name in transition.guards]
    return [
        RuleNow(rule.rule_id, HOLDS[rule.rule_id], rule.released_by, in_words(reason) if reason else None)
        for rule in rules
        for reason in [rule.stops(question)]
    ]


def in_words(reason: str) -> str:
    """A rule's sentence as a person reads it: names of fields and actions in words."""
    return _NAME.sub(lambda name: FIELD_WORDS.get(name[0], name[0].replace("_", " ")), reason)
