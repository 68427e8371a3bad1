"""What stands between a case and its approval: each stop rule, whether it stops now, and who may release it."""

from __future__ import annotations

from dataclasses import dataclass

from health_pipeline.review.cases import Case
from health_pipeline.review.desk.visits import Desk, Visit
from health_pipeline.review.forms import ReadForm
from health_pipeline.review.states import BY_ACTION, EFFECTIVE
from health_pipeline.review.stop_rules import STOP_RULES, Question


@dataclass(frozen=True)
class RuleNow:
    """A stop rule as it stands: `reason` is None where it does not stop."""

    rule_id: str
    says: str
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
    return [RuleNow(rule.rule_id, rule.says, rule.released_by, rule.stops(question)) for rule in rules]
