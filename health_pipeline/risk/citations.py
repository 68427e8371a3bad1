"""What a brief may speak of: every fact of a packet as plain values under a label, with its record and its texts.

P the packet itself, E evidence, F facts of the account, M missing, V the event, R the rating, C causes, A assumptions,
O options, H stop rules, D what people decided and what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from health_pipeline.mart.account_facts import AccountFacts, RecordKey, RecordText, SentimentWeek
from health_pipeline.risk.ending import ending_facts
from health_pipeline.risk.model import Evidence
from health_pipeline.risk.packet import Packet
from health_pipeline.risk.phrasing import shown

# A page stays a page: the desk shows the rest.
SHOWN_REGISTER = 2
SHOWN_PEOPLE = 4
SHOWN_GOALS = 3
SHOWN_CAUSES_OF_EVENT = 2


@dataclass(frozen=True)
class TextSlot:
    """A text of a record that a fact shows: the whole of it, or a span."""

    text: RecordText
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Citation:
    """One fact: its kind, its values as plain data, the record it was read from, and texts by slot.

    Attributes
    ----------
    supported_by : labels of the pieces that an event or a cause rests on
    """

    label: str
    kind: str
    values: Mapping[str, Any]
    record: RecordKey | None = None
    texts: Mapping[str, TextSlot] = field(default_factory=dict)
    supported_by: tuple[str, ...] = ()


def citations_of(packet: Packet) -> tuple[Citation, ...]:
    """Every fact of the packet, each once, in the order in which a brief tells them."""
    labels = {piece.evidence_id: f"E{place}" for place, piece in enumerate(packet.evidence, 1)}
    return (
        _header(packet),
        *(Citation(f"M{i}", "missing", {"what": m.what, "why": m.why}) for i, m in enumerate(packet.missing, 1)),
        *_ending(packet),
        *_event(packet, labels),
        *(_evidence(labels[piece.evidence_id], piece, packet.facts) for piece in packet.evidence),
        *(_labelled(_facts(packet))),
        _rating(packet),
        *_judgements(packet, labels),
    )


def _header(packet: Packet) -> Citation:
    values = {
        "account": shown(packet.account_name or ""),
        "account_id": packet.account_id,
        "category": packet.category,
        "severity": packet.severity,
        "severity_status": packet.severity_status,
        "week": packet.week,
        "known_on": packet.known_at.date(),
        "opened_week": packet.opened_week,
        "occurrences": packet.occurrences,
        "owner": _seen(packet.owner_email),
        "respond_by": packet.escalation.respond_by,
        "role": packet.escalation.role,
        "channel": packet.escalation.channel,
    }
    return Citation("P1", "header", values)


def _ending(packet: Packet) -> Iterator[Citation]:
    for place, (kind, values) in enumerate(ending_facts(packet), 1):
        yield Citation(f"D{place}", kind, values, _mart("risk_packets", packet))


def _seen(value: Any) -> Any:
    """A text that a source wrote, as data on one line; other values as they are."""
    return shown(value) if isinstance(value, str) else value


def _event(packet: Packet, labels: Mapping[str, str]) -> Iterator[Citation]:
    if packet.event is None:
        yield Citation("V1", "quiet", {"last_fired_week": packet.last_fired_week, "is_quiet": packet.is_quiet})
        return
    event = packet.event
    because_of = event.because_of[:SHOWN_CAUSES_OF_EVENT]
    rests_on = dict.fromkeys(
        labels[key]
        for signal in packet.signals
        if any((reading.feature, reading.value) in because_of for reading in signal.readings)
        for key in signal.evidence_ids[:1]
        if key in labels
    )
    values = {
        "because_of": [list(pair) for pair in because_of],
        "affecting": event.affecting,
        "possibility": event.possibility,
        "resulting_in": event.resulting_in,
    }
    yield Citation("V1", "event", values, supported_by=tuple(rests_on))


def _evidence(label: str, piece: Evidence, facts: AccountFacts) -> Citation:
    record = RecordKey(
        piece.source_kind,
        piece.source_system,
        piece.source_instance,
        piece.source_table,
        piece.source_record_id,
        piece.load_id,
    )
    values = {
        "evidence_id": piece.evidence_id,
        "subject": piece.subject,
        "metric": piece.metric,
        "value": piece.value,
        "baseline": piece.baseline,
        "threshold": piece.threshold,
        "direction": piece.direction,
        "kind": piece.kind,
        "table": piece.source_table,
        "observed_on": piece.observed_at.date(),
    }
    texts = {}
    if piece.text_field is not None:
        whole = facts.texts.get((record, piece.text_field)) or RecordText(record, piece.text_field, "")
        texts["quote"] = TextSlot(whole, piece.span_start, piece.span_end)
    return Citation(label, "evidence", values, record, texts)


def _labelled(facts: Iterator[Citation]) -> Iterator[Citation]:
    for place, fact in enumerate(facts, 1):
        yield Citation(f"F{place}", fact.kind, fact.values, fact.record, fact.texts)


def _slots(**texts: RecordText | None) -> dict[str, TextSlot]:
    return {name: TextSlot(text) for name, text in texts.items() if text is not None}


def _mart(table: str, packet: Packet) -> RecordKey:
    return RecordKey("mart", "mart", "default", table, f"{packet.account_id} {packet.week}", "")


def _facts(packet: Packet) -> Iterator[Citation]:
    yield from _goals(packet.facts)
    since = packet.facts.week_before
    # how a change has changed says nothing beside the change itself
    for change in (one for one in packet.changes if "_change_share" not in one.what):
        values = {"what": change.what, "before": _seen(change.before), "now": _seen(change.now), "since": since}
        yield Citation("", "change", values, _mart("account_features_weekly", packet))
    yield from _people(packet.facts)
    yield from _contract(packet)
    yield from _mood(packet)
    yield from _earlier(packet)


def _goals(facts: AccountFacts) -> Iterator[Citation]:
    # what is open is told first; what was reached is told in one number, so that a page stays a page
    open_goals = [goal for goal in facts.goals if not goal.is_achieved]
    for goal in sorted(open_goals, key=lambda one: (not one.is_overdue, str(one.due_date), one.record))[:SHOWN_GOALS]:
        values = {
            "status": goal.status,
            "is_overdue": goal.is_overdue,
            "baseline": goal.baseline_value,
            "target": goal.target_value,
            "current": goal.current_value,
            "due_date": goal.due_date,
            "validated_on": goal.last_validated_at.date() if goal.last_validated_at else None,
        }
        yield Citation("", "goal", values, goal.record, _slots(name=goal.name, unit=goal.unit))
    reached = len(facts.goals) - len(open_goals)
    if facts.goals:
        yield Citation(
            "",
            "goals_reached",
            {"reached": reached, "goals": len(facts.goals), "open": len(open_goals)},
            facts.goals[0].record,
        )


_ROLES = ("champion", "economic_buyer", "decision_maker", "detractor", "user", "other")


def _people(facts: AccountFacts) -> Iterator[Citation]:
    def place(role: str | None) -> int:
        return _ROLES.index(role) if role in _ROLES else len(_ROLES)

    ordered = sorted(facts.stakeholders, key=lambda one: (place(one.role), not one.is_there, one.record))
    for person in ordered[:SHOWN_PEOPLE]:
        values = {
            "role": person.role,
            "is_there": person.is_there,
            "left_on": person.left_on,
            "touched_on": person.last_two_way_at.date() if person.last_two_way_at else None,
            "missed": person.meetings_missed,
        }
        yield Citation("", "person", values, person.record, _slots(name=person.name, title=person.title))


def _contract(packet: Packet) -> Iterator[Citation]:
    facts = packet.facts
    if facts.value is not None:
        values = {"amount": facts.value, "currency": packet.currency}
        yield Citation("", "value", values, _mart("account_features_weekly", packet))
    for contract in facts.contracts:
        ends = contract.period_ends_on
        yield Citation(
            "",
            "contract",
            {
                "period_ends_on": ends,
                "days": None if ends is None else (ends - packet.as_of_at.date()).days,
                "is_auto_renewing": contract.is_auto_renewing,
                "ends_on": contract.ends_on,
            },
            contract.record,
        )
    if facts.renewal_deal is not None:
        deal = facts.renewal_deal
        yield Citation("", "deal", {"stage": _seen(deal.stage), "due_date": deal.due_date}, deal.record)


def _mood(packet: Packet) -> Iterator[Citation]:
    for name in ("csm_sentiment", "nps_account_90d", "csat_91d"):
        known = [week for week in packet.facts.sentiment if getattr(week, name) is not None]
        if known:
            first, last = known[0], known[-1]
            yield Citation("", "mood", _trend(name, first, last), _mart("account_features_weekly", packet))


def _trend(name: str, first: SentimentWeek, last: SentimentWeek) -> dict[str, Any]:
    return {
        "metric": name,
        "first": getattr(first, name),
        "last": getattr(last, name),
        "first_week": first.week,
        "last_week": last.week,
    }


def _earlier(packet: Packet) -> Iterator[Citation]:
    entries = sorted(packet.facts.register, key=lambda one: (one.closed_on is not None, one.identified_on, one.record))
    for entry in entries[:SHOWN_REGISTER]:
        values = {
            "category": entry.category,
            "status": entry.status,
            "likelihood": entry.likelihood,
            "impact": entry.impact,
            "identified_on": entry.identified_on,
            "closed_on": entry.closed_on,
        }
        yield Citation("", "register", values, entry.record, _slots(title=entry.title))
    for episode in packet.facts.episodes:
        if episode.packet_id != packet.packet_id:
            values = {
                "packet_id": episode.packet_id,
                "side": episode.side,
                "category": episode.category,
                "severity": episode.severity,
                "opened_week": episode.opened_week,
                "last_week": episode.last_week,
                "state": episode.state,
            }
            yield Citation("", "episode", values, _mart("risk_packets", packet))


def _rating(packet: Packet) -> Citation:
    return Citation(
        "R1",
        "rating",
        {
            "inherent": [packet.inherent.likelihood, packet.inherent.impact],
            "current": [packet.current.likelihood, packet.current.impact],
            "residual": [packet.residual_target, packet.residual_actual],
            "severity": packet.severity,
            "rule": packet.severity_rule,
            "category": packet.category,
            "runner_up": packet.runner_up_category,
            "reasons": [
                [one.category, len(one.signals), one.strongest, one.source_kinds] for one in packet.category_reason
            ],
        },
    )


def _judgements(packet: Packet, labels: Mapping[str, str]) -> Iterator[Citation]:
    for place, cause in enumerate(packet.causes, 1):
        pieces = tuple(labels[key] for key in (cause.evidence_ids or cause.against_ids))
        looked_into = {"cause": cause.cause_id, "says": cause.says, "status": cause.status}
        yield Citation(f"C{place}", "cause", looked_into, supported_by=pieces[:3])
    for place, assumption in enumerate(packet.assumptions, 1):
        values = {"says": assumption.says, "is_verified": assumption.is_verified}
        yield Citation(f"A{place}", "assumption", values)
    for place, option in enumerate(packet.options, 1):
        values = {
            "title": option.title,
            "hours": option.hours,
            "approval_role": option.approval_role,
            "is_sensitive": option.is_save_offer or option.is_sensitive_message,
            "preconditions": [[one.says, one.is_met] for one in option.preconditions],
        }
        yield Citation(f"O{place}", "option", values)
    for place, rule in enumerate(packet.stop_rules, 1):
        values = {"says": rule.says, "blocks": rule.blocks, "released_by": rule.released_by}
        yield Citation(f"H{place}", "stop_rule", values)
