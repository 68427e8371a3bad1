"""Builds decision packets from risks and facts by the policies; what a person decides is never decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from health_pipeline.contract.content import canonical_hash
from health_pipeline.mart.account_facts import AccountFacts
from health_pipeline.policy.company import load_company
from health_pipeline.policy.playbooks import PlaybookPolicy, load_playbooks
from health_pipeline.policy.review import load_review
from health_pipeline.policy.risk_review import RiskReviewPolicy, load_risk_review
from health_pipeline.policy.risk_signals import load_risk_signals
from health_pipeline.risk.judgement import (
    Held,
    assumptions_of,
    causes_of,
    stop_rules_of,
)
from health_pipeline.risk.material import AGES, material_content
from health_pipeline.risk.model import Evidence, Risk
from health_pipeline.risk.options import options_of, touches_customer_or_budget
from health_pipeline.risk.packet import Change, Escalation, Event, Missing, Packet
from health_pipeline.risk.rating import (
    LEVELS,
    SignalWords,
    current_rating,
    inherent_rating,
    pausing,
    rated_categories,
    suggested_severity,
)

# A category nobody rates in a week of silence: the packet keeps what it was opened for.
NO_CATEGORY = "unknown"


@dataclass(frozen=True)
class PacketPolicy:
    """The documents a packet is built by.

    Attributes
    ----------
    currency : the reporting currency
    policy_version : hash of them together
    material_value : value at risk from which on the higher permission is needed
    signals : what the policy says of each signal
    """

    review: RiskReviewPolicy
    playbooks: PlaybookPolicy
    currency: str
    policy_version: str
    material_value: Decimal
    signals: Mapping[str, SignalWords] = field(default_factory=dict)

    def not_ready(self) -> tuple[str, ...]:
        """Why packets are withheld; empty where they are not."""
        return self.review.not_ready(frozenset(signal.category for signal in self.signals.values()))


def load_packet_policy(folder: Path | None) -> PacketPolicy:
    """Read the documents; PolicyError where one can't be used."""
    review, playbooks, company = load_risk_review(folder), load_playbooks(folder), load_company(folder)
    signals, decisions = load_risk_signals(folder), load_review(folder)
    hashes = [document.hash for document in (signals, review, playbooks, company, decisions)]
    words = {
        signal.id: SignalWords(signal.title, signal.category, signal.contribution, signal.playbooks)
        for signal in signals.model.signals
    }
    return PacketPolicy(
        review.model,
        playbooks.model,
        company.model.reporting_currency,
        canonical_hash(hashes)[:16],
        Decimal(str(decisions.model.material_value)),
        words,
    )


def build_packets(
    risks: Iterable[Risk], facts: Mapping[tuple[str, date], AccountFacts], policy: PacketPolicy
) -> list[Packet]:
    """Build a packet for each risk, in order of packet and week.

    Parameters
    ----------
    risks : of one or several weeks
    facts : by account and Monday, as `mart.packet_facts.read_account_facts` gives them
    policy : the documents

    Returns
    -------
    list of Packet
        Empty where the policy is not ready: `PacketPolicy.not_ready` says why.

    Raises
    ------
    KeyError
        If the facts of an account and week are not there.
    """
    if policy.not_ready():
        return []
    built = [_build(risk, facts[(risk.account_id, risk.week)], policy) for risk in risks]
    return sorted(built, key=lambda packet: (packet.packet_id, packet.week))


def _build(risk: Risk, facts: AccountFacts, policy: PacketPolicy) -> Packet:
    review = policy.review
    case = facts.decided.of(risk.packet_id)
    rated = rated_categories(risk)
    categories = [entry.category for entry in rated] or [_category_before(risk, facts)]
    missing = missing_of(risk, facts)
    inherent = inherent_rating(risk, facts, review, policy.signals)
    suggested, rule = suggested_severity(risk, inherent, review, pausing(risk, facts))
    severity = suggested
    if case.severity is not None:
        severity, rule = case.severity, "confirmed"  # type: ignore[assignment]
    value = facts.value if risk.side == "risk" else None
    owner = case.owner_email or facts.owner_email
    options = options_of(_offered(risk, policy), facts, policy.playbooks)
    assumptions = assumptions_of(risk, facts, case, bool(missing), review)
    held = Held(
        has_missing=bool(missing),
        has_unverified=any(not assumption.is_verified for assumption in assumptions),
        is_severity_confirmed=case.severity is not None,
        is_material=value is not None and value >= policy.material_value,
        touches_customer_or_budget=touches_customer_or_budget(options),
        has_owner=owner is not None,
        has_follow_up=case.follow_up_date is not None,
    )
    step = review.escalation[severity or "not_assessed"]
    packet = Packet(
        packet_id=risk.packet_id,
        account_id=risk.account_id,
        account_name=facts.account_name,
        week=risk.week,
        as_of_at=risk.as_of_at,
        known_at=risk.known_at,
        side=risk.side,
        episode=risk.episode,
        opened_week=risk.opened_week,
        last_fired_week=risk.last_fired_week,
        occurrences=risk.occurrences,
        is_quiet=risk.is_quiet,
        event=event_of(risk, categories[0], review),
        category=categories[0],
        runner_up_category=categories[1] if len(categories) > 1 else None,
        category_reason=rated,
        signals=risk.signals,
        evidence=ordered_evidence(risk),
        missing=missing,
        facts=facts,
        changes=changes_of(risk, facts),
        causes=causes_of(risk, categories[:2], review),
        assumptions=assumptions,
        inherent=inherent,
        current=current_rating(inherent, risk, facts),
        residual_target=case.residual_target,
        residual_actual=case.residual_actual,
        severity=severity,
        severity_status="confirmed" if case.severity is not None else "suggested",
        severity_rule=rule,
        value_at_risk=value,
        currency=policy.currency,
        owner_email=owner,
        options=options,
        escalation=Escalation(
            step.role, step.channel, risk.as_of_at.date() + timedelta(days=step.respond_within_days), case.escalation
        ),
        stop_rules=stop_rules_of(risk, held, review),
        state=case.state,
        follow_up_date=case.follow_up_date,
        policy_version=policy.policy_version,
        decision=case.decision,
        outcome=case.outcome,
        suggested_severity=suggested,
        case=case,
    )
    return replace(packet, packet_hash=canonical_hash(material_content(packet, review)))


def _offered(risk: Risk, policy: PacketPolicy) -> list[str]:
    """The playbooks of the signals that fired, the strongest's first; in a quiet week of those that fired lately."""
    names = [signal.signal_id for signal in risk.signals] or [name for name, _ in risk.recent_signals]
    return [playbook for name in names if name in policy.signals for playbook in policy.signals[name].playbooks]


def _category_before(risk: Risk, facts: AccountFacts) -> str:
    """What the packet was about before nothing fired any more."""
    return next((one.category for one in facts.episodes if one.packet_id == risk.packet_id), NO_CATEGORY)


def ordered_evidence(risk: Risk) -> tuple[Evidence, ...]:
    """Supporting pieces first, by the order of the signals that name them; then what contradicts, then the rest."""
    pieces = {piece.evidence_id: piece for piece in risk.evidence}
    named = [key for signal in risk.signals for key in signal.evidence_ids]
    named += [key for signal in risk.signals for key in signal.against_ids]
    named += sorted(pieces)
    order = dict.fromkeys(key for key in named if key in pieces)
    return tuple(sorted((pieces[key] for key in order), key=lambda piece: piece.direction != "supports"))


def event_of(risk: Risk, category: str, review: RiskReviewPolicy) -> Event | None:
    """The event in four parts; None in a week in which nothing fired, or of a category the policy does not word.

    It comes about by what fired in its own category first, the strongest before the others.
    """
    words = review.categories.get(category)
    told = sorted(risk.signals, key=lambda one: (one.category != category, -LEVELS.index(one.contribution)))
    readings = {(r.feature, r.value): None for s in told for r in s.readings[:1]}
    if words is None or not readings:
        return None
    return Event(tuple(readings)[:3], words.affecting, words.possibility, words.resulting_in)


def missing_of(risk: Risk, facts: AccountFacts) -> tuple[Missing, ...]:
    """What could not be read: domains, and facts a decision needs."""
    gaps = [Missing(domain, why) for domain, why in risk.missing]
    for what, is_known in (
        ("goals", bool(facts.goals)),
        ("stakeholders", bool(facts.stakeholders)),
        ("recurring revenue", facts.value is not None),
        ("renewal date", any(contract.period_ends_on for contract in facts.contracts)),
        ("owner", facts.owner_email is not None),
    ):
        if not is_known:
            gaps.append(Missing(what, "not_on_record"))
    return tuple(gaps)


_COMPARED = ("arr_reporting", "days_since_last_two_way_touch", "overdue_goals", "open_backlog", "active_users_28d")


def changes_of(risk: Risk, facts: AccountFacts) -> tuple[Change, ...]:
    """What has another value than in the week it is compared with: what the signals read, tier, stage, owner."""
    if not facts.features_before:
        return ()
    read = dict.fromkeys([r.feature for signal in risk.signals for r in signal.readings] + list(_COMPARED))
    # a silence, a tenure or an open ticket grows by a week each week: that is no change
    names = [name for name in read if not name.startswith((*AGES, "account_tenure")) and not name.endswith("_age_days")]
    pairs = [(name, facts.features_before.get(name), facts.features.get(name)) for name in names]
    pairs += [
        ("tier", facts.health_before.get("effective_tier"), facts.health.get("effective_tier")),
        ("renewal_stage", facts.features_before.get("renewal_stage"), facts.features.get("renewal_stage")),
        ("owner_email", facts.features_before.get("owner_email"), facts.features.get("owner_email")),
    ]
    return tuple(Change(what, before, now) for what, before, now in pairs if before != now)
