"""What happened, as lines a person reads: the ledger's events in words, and people's texts for those who may read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from health_pipeline.review.cases import Case, Event, TextRef
from health_pipeline.review.desk.action_words import EVENT_WORDS, FIELD_WORDS, SHOWN_IN_HISTORY
from health_pipeline.review.desk.stop_list import in_words
from health_pipeline.review.desk.visits import Desk, Visit
from health_pipeline.review.people import USER_SET
from health_pipeline.review.permissions import SYSTEM

ERASED = "erased"
_TAKEN_IN = frozenset({"risk_detected", "packet_built", "packet_renewed", "reopened", "customer_left"})
_ROUTINE = frozenset({"packet_built", "packet_renewed", "packet_viewed", "evidence_opened"})
HIDDEN = "there is one; the owner and the leads of their team can read it"


@dataclass(frozen=True)
class WrittenText:
    """Something a person wrote; `text` is None where this reader may not see it, or it was erased: see `instead`."""

    label: str
    text: str | None
    instead: str = ""


@dataclass(frozen=True)
class HistoryLine:
    """One event: who did what, when, with which choices; `stopped` holds the reasons of a refusal.

    `is_routine`: somebody looked, or another week's packet came and nothing changed for anybody.
    """

    seq: int
    at: datetime
    who: str
    what: str
    type: str
    case_id: str | None
    details: tuple[tuple[str, str], ...] = ()
    texts: tuple[WrittenText, ...] = ()
    stopped: tuple[str, ...] = ()
    is_routine: bool = False


def history_lines(desk: Desk, visit: Visit, events: Sequence[Event], cases: Mapping[str, Case]) -> list[HistoryLine]:
    """Events as lines, in their order.

    Parameters
    ----------
    cases : by id; whose texts may be read is decided by who owns their case now
    """
    readable = {case_id for case_id, case in cases.items() if visit.may("read_notes", case.owner_email)}
    wanted = [
        TextRef(**reference)
        for event in events
        if event.case_id in readable
        for reference in event.payload.get("texts", {}).values()
    ]
    texts = desk.ledger.texts(wanted) if wanted else {}
    return [_line(visit, event, event.case_id in readable, texts) for event in events]


def _line(visit: Visit, event: Event, may_read: bool, texts: Mapping[str, str | None]) -> HistoryLine:
    who = "the pipeline" if event.actor == SYSTEM else visit.name_of(event.actor)
    stopped = tuple(in_words(rule["reason"]) for rule in event.payload.get("rules", ()) if isinstance(rule, dict))
    return HistoryLine(
        event.seq,
        event.at,
        who,
        EVENT_WORDS.get(event.type, event.type.replace("_", " ")),
        event.type,
        event.case_id,
        _details(visit, event),
        tuple(_text(name, reference, may_read, texts) for name, reference in _written(event)),
        stopped,
        event.type in _ROUTINE and "state" not in event.payload,
    )


def _written(event: Event) -> Iterable[tuple[str, Mapping[str, str]]]:
    """What was written with an event. A user's name is no note: the users' page has it."""
    texts: Mapping[str, Mapping[str, str]] = event.payload.get("texts", {})
    return () if event.type == USER_SET else texts.items()


def _details(visit: Visit, event: Event) -> tuple[tuple[str, str], ...]:
    if event.actor == SYSTEM and event.type in _TAKEN_IN:
        shown: tuple[str, ...] = ("week", "severity")
    elif event.type == "refused_by_stop_rule":
        return (("asked for", str(event.payload.get("action", "")).replace("_", " ")),)
    else:
        shown = tuple(SHOWN_IN_HISTORY)
    found = ((name, event.payload[name]) for name in shown if event.payload.get(name) not in (None, "", []))
    return tuple((SHOWN_IN_HISTORY[name], _value(visit, name, value)) for name, value in found)


def _value(visit: Visit, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_email"):
        return visit.name_of(str(value))
    if isinstance(value, list):
        return ", ".join(str(one).replace("_", " ") for one in value)
    return str(value)[:10] if name == "expires_at" else str(value).replace("_", " ")


def _text(name: str, reference: Mapping[str, str], may_read: bool, texts: Mapping[str, str | None]) -> WrittenText:
    label = FIELD_WORDS.get(name, name).lower()
    if not may_read:
        return WrittenText(label, None, HIDDEN)
    text = texts.get(reference["text_id"])
    return WrittenText(label, text, "" if text is not None else ERASED)
