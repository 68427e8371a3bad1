"""What a person has to judge: causes with their status, assumptions, and the stop rules that hold the packet now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from health_pipeline.mart.account_facts import AccountFacts, CaseAsKnown
from health_pipeline.policy.risk_review import AssumptionId, RiskReviewPolicy, StopRuleId
from health_pipeline.risk.model import Evidence, Risk
from health_pipeline.risk.rating import has_only_absence, supporting

# The pipeline never says `confirmed`: that takes a person, a time and named evidence.
CauseStatus = Literal["suspected", "corroborated", "confirmed", "refuted", "unknown"]
# Kinds of evidence that can't make a cause more than suspected.
_NOT_CORROBORATING = ("inferred_from_absence", "model")


@dataclass(frozen=True)
class Cause:
    """A cause that would explain the risk, its status, and the pieces for and against it."""

    cause_id: str
    says: str
    status: CauseStatus
    evidence_ids: tuple[str, ...]
    against_ids: tuple[str, ...]


@dataclass(frozen=True)
class Assumption:
    """What the packet takes for granted until a person verifies or accepts it."""

    assumption_id: AssumptionId
    says: str
    is_verified: bool


@dataclass(frozen=True)
class HeldBy:
    """A stop rule that holds the packet now."""

    rule_id: StopRuleId
    says: str
    blocks: str
    released_by: str
    recorded_as: str


def causes_of(risk: Risk, categories: Sequence[str], policy: RiskReviewPolicy) -> tuple[Cause, ...]:
    """Look for the traces of every cause that would explain the likely category or the runner-up.

    Parameters
    ----------
    categories : the likely category and the runner-up

    Returns
    -------
    tuple of Cause
        Corroborated, suspected, unknown, refuted; in the policy's order inside each.
    """
    found = [
        _cause(cause_id, words.says, words.seen_in, words.benign, risk)
        for cause_id, words in policy.causes.items()
        if set(categories) & set(words.explains)
    ]
    order: tuple[CauseStatus, ...] = ("confirmed", "corroborated", "suspected", "unknown", "refuted")
    return tuple(sorted(found, key=lambda cause: order.index(cause.status)))


def _cause(cause_id: str, says: str, seen_in: Sequence[str], benign: Sequence[str], risk: Risk) -> Cause:
    pieces = {piece.evidence_id: piece for piece in risk.evidence}
    for_ids: dict[str, None] = {}
    against_ids: dict[str, None] = {}
    was_refuted = False
    for signal in risk.signals:
        if signal.category in seen_in:
            for_ids |= dict.fromkeys(key for key in signal.evidence_ids if key in pieces)
            against_ids |= dict.fromkeys(key for key in signal.against_ids if key in pieces)
        for check in signal.benign:
            if check.explanation in benign and check.verdict != "unknown":
                named = dict.fromkeys(key for key in check.evidence_ids if key in pieces)
                if check.verdict == "fits":
                    for_ids |= named
                else:
                    against_ids |= named
                    was_refuted = was_refuted or any(_is_hard(pieces[key]) for key in named)
    return Cause(
        cause_id,
        says,
        _status([pieces[key] for key in for_ids], was_refuted),
        tuple(for_ids),
        tuple(key for key in against_ids if key not in for_ids),
    )


def _is_hard(piece: Evidence) -> bool:
    return piece.kind not in _NOT_CORROBORATING


def _status(pieces: Sequence[Evidence], was_refuted: bool) -> CauseStatus:
    """Two independent kinds of source that are not absence corroborate; one trace makes it suspected."""
    if not pieces:
        return "refuted" if was_refuted else "unknown"
    return "corroborated" if len({piece.source_kind for piece in pieces if _is_hard(piece)}) >= 2 else "suspected"


def newest_age_days(risk: Risk) -> int | None:
    """Age of the newest supporting piece; None where there is none."""
    return min((piece.age_days for piece in supporting(risk.evidence)), default=None)


def is_stale(risk: Risk, policy: RiskReviewPolicy) -> bool:
    """Whether even the newest supporting piece is older than the policy allows."""
    age = newest_age_days(risk)
    return age is not None and age > policy.stale_evidence_days


def assumptions_of(
    risk: Risk, facts: AccountFacts, case: CaseAsKnown, has_missing: bool, policy: RiskReviewPolicy
) -> tuple[Assumption, ...]:
    """What the packet rests on without knowing it; verified only where a person has done so."""
    quoted = [piece for piece in supporting(risk.evidence) if piece.text_field is not None]
    holds: dict[AssumptionId, bool] = {
        "value_unknown": risk.side == "risk" and facts.value is None,
        "value_whole": risk.side == "risk" and facts.value is not None,
        "absence_is_silence": any(piece.kind == "inferred_from_absence" for piece in supporting(risk.evidence)),
        "still_holds": is_stale(risk, policy),
        "missing_would_agree": has_missing,
        "one_voice": bool(quoted),
        "benign_unchecked": any(check.verdict == "unknown" for signal in risk.signals for check in signal.benign),
    }
    return tuple(
        Assumption(name, policy.assumptions[name], name in case.verified_assumptions)
        for name, rests_on_it in holds.items()
        if rests_on_it
    )


@dataclass(frozen=True)
class Held:
    """What the stop rules look at."""

    has_missing: bool
    has_unverified: bool
    is_severity_confirmed: bool
    is_material: bool
    touches_customer_or_budget: bool
    has_owner: bool
    has_follow_up: bool


def stop_rules_of(risk: Risk, held: Held, policy: RiskReviewPolicy) -> tuple[HeldBy, ...]:
    """The stop rules that hold the packet now. Those on the packet's own change and on the ledger are the desk's."""
    holds: dict[StopRuleId, bool] = {
        "evidence_missing": held.has_missing or not supporting(risk.evidence),
        "evidence_stale": is_stale(risk, policy),
        "absence_only": has_only_absence(risk.evidence),
        "assumption_unverified": held.has_unverified,
        "severity_unconfirmed": not held.is_severity_confirmed,
        "needs_higher_permission": held.is_material or held.touches_customer_or_budget,
        "no_owner": not held.has_owner,
        "no_follow_up_date": not held.has_follow_up,
    }
    return tuple(
        HeldBy(name, rule.says, rule.blocks, rule.released_by, rule.recorded_as)
        for name, it_holds in holds.items()
        if it_holds
        for rule in [policy.stop_rules[name]]
    )
