"""Category, likelihood, impact and suggested severity of a risk, by the stored matrix. A person confirms them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from health_pipeline.mart.account_facts import AccountFacts, EarlierEpisode
from health_pipeline.policy.risk_review import RiskReviewPolicy
from health_pipeline.risk.model import Evidence, FiredSignal, Risk, Severity

LEVELS: tuple[Severity, ...] = get_args(Severity)
# Strong enough that one high signal weighs more than any two lower ones of its own category.
_WEIGHTS = {"low": 1, "medium": 3, "high": 9, "critical": 27}
CONTROLLED_STATES = ("mitigating",)


@dataclass(frozen=True)
class Rating:
    """Likelihood and impact, 1 to 5; 0 is not assessed."""

    likelihood: int
    impact: int


@dataclass(frozen=True)
class SignalWords:
    """What the policy says of a signal: its title, category, level, and the playbooks offered."""

    title: str
    category: str
    contribution: Severity
    playbooks: tuple[str, ...]


@dataclass(frozen=True)
class RatedCategory:
    """A category that fired: its signals, the strongest level among them, in how many kinds of source it is seen."""

    category: str
    signals: tuple[str, ...]
    strongest: Severity
    source_kinds: int
    weight: int


def supporting(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The pieces that support."""
    return tuple(piece for piece in evidence if piece.direction == "supports")


def has_only_absence(evidence: Sequence[Evidence]) -> bool:
    """Whether something supports the risk, and all of it is inferred from absence."""
    pieces = supporting(evidence)
    return bool(pieces) and all(piece.kind == "inferred_from_absence" for piece in pieces)


def rated_categories(risk: Risk) -> tuple[RatedCategory, ...]:
    """The categories that fired, the likeliest first: by weight of signals, then by kinds of source, then by name."""
    by_category: dict[str, list[FiredSignal]] = defaultdict(list)
    for signal in risk.signals:
        by_category[signal.category].append(signal)
    pieces = {piece.evidence_id: piece for piece in risk.evidence}
    rated = []
    for category, signals in by_category.items():
        kinds = {pieces[key].source_kind for signal in signals for key in signal.evidence_ids if key in pieces}
        rated.append(
            RatedCategory(
                category,
                tuple(signal.signal_id for signal in signals),
                max((signal.contribution for signal in signals), key=LEVELS.index),
                len(kinds),
                sum(_WEIGHTS[signal.contribution] for signal in signals),
            )
        )
    return tuple(sorted(rated, key=lambda entry: (-entry.weight, -entry.source_kinds, entry.category)))


def is_together(risk: Risk, signals: Mapping[str, SignalWords]) -> bool:
    """Whether two signals of at least medium level in different categories came together.

    Those that fired within the policy's days count too, whether or not they fire in this week.
    """
    levels = {(signal.category, signal.contribution) for signal in risk.signals}
    levels |= {
        (signals[name].category, signals[name].contribution) for name, _ in risk.recent_signals if name in signals
    }
    return len({category for category, level in levels if LEVELS.index(level) >= 1}) >= 2


def pausing(risk: Risk, facts: AccountFacts) -> EarlierEpisode | None:
    """The packet's own last week, where nothing fires now and it is not quiet yet: a pause says nothing new.

    None where something fires, where it has been quiet for the policy's weeks, and where that week was not rated.
    """
    if risk.signals or risk.is_quiet:
        return None
    own = (one for one in facts.episodes if one.packet_id == risk.packet_id)
    return next((one for one in own if one.suggested_severity is not None), None)


def inherent_rating(
    risk: Risk, facts: AccountFacts, policy: RiskReviewPolicy, signals: Mapping[str, SignalWords]
) -> Rating:
    """The rating before any control: what fired, and what depends on it. Unknown is 0, neither worst nor best.

    In a pause it stays as it was when something fired last.
    """
    if before := pausing(risk, facts):
        return Rating(before.likelihood or 0, before.impact or 0)
    return Rating(_likelihood(risk, policy, signals), _impact(facts, policy))


def _likelihood(risk: Risk, policy: RiskReviewPolicy, signals: Mapping[str, SignalWords]) -> int:
    if not risk.signals or not supporting(risk.evidence):
        return 0
    rules = policy.likelihood
    strongest = max((signal.contribution for signal in risk.signals), key=LEVELS.index)
    rating = int(getattr(rules, strongest))
    if strongest != "critical" and is_together(risk, signals):
        rating = max(rating, rules.two_medium_in_different_categories)
    return min(rating, rules.only_absence_at_most) if has_only_absence(risk.evidence) else rating


def _impact(facts: AccountFacts, policy: RiskReviewPolicy) -> int:
    if facts.value is None or facts.value < 0:
        return 0
    added = policy.impact.overdue_goal_adds if any(goal.is_overdue for goal in facts.goals) else 0
    return min(5, policy.impact.rating(float(facts.value)) + added)


def current_rating(inherent: Rating, risk: Risk, facts: AccountFacts) -> Rating:
    """The rating with what speaks against it: a register entry of the same category that is being mitigated, a harmless
    explanation that fits. Each takes one step of likelihood, never below 1; what is not assessed stays so.
    """
    if not inherent.likelihood:
        return inherent
    categories = {signal.category for signal in risk.signals}
    is_controlled = any(entry.category in categories and entry.status in CONTROLLED_STATES for entry in facts.register)
    is_explained = any(check.verdict == "fits" for signal in risk.signals for check in signal.benign)
    return Rating(max(1, inherent.likelihood - is_controlled - is_explained), inherent.impact)


def suggested_severity(
    risk: Risk, inherent: Rating, policy: RiskReviewPolicy, before: EarlierEpisode | None = None
) -> tuple[Severity | None, str]:
    """The severity that is suggested, and the rule that gave it.

    Parameters
    ----------
    before : as `pausing` gives it

    Returns
    -------
    tuple of (severity or None, rule)
        `always_critical`, `matrix`, `as_last_fired`; without a severity `nothing_fired`, `no_evidence` or
        `value_unknown`. The inherent rating counts: that somebody works on it lowers nothing of what is asked of a
        person.
    """
    if any(signal.contribution == "critical" for signal in risk.signals):
        return "critical", "always_critical"
    if before is not None:
        return cast(Severity, before.suggested_severity), "as_last_fired"
    if severity := policy.severity(inherent.likelihood, inherent.impact):
        return severity, "matrix"
    if not risk.signals:
        return None, "nothing_fired"
    return None, "value_unknown" if inherent.likelihood else "no_evidence"
