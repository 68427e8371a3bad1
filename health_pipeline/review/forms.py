"""What each action's form may say: its fields as a table, and the reading of a form into plain values and texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args

from health_pipeline.contract.case_states import Outcome
from health_pipeline.contract.closest import closest
from health_pipeline.policy.review import Severity
from health_pipeline.policy.risk_signals import CATEGORIES, EXPANSION
from health_pipeline.review.cases import AssumptionState, CauseState
from health_pipeline.review.states import BY_ACTION

SEEN = "packet_hash"
TEXT_CHARACTERS = 10_000
ID_CHARACTERS = 200
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
Kind = Literal["text", "id", "ids", "name", "email", "date", "choice", "choices"]

SEVERITIES = get_args(Severity)
TOUCHES = ("customer", "budget", "product")
DISMISSAL_REASONS = ("signal_wrong", "benign_explanation", "data_error", "already_handled", "duplicate", "not_material")
RESPONSES = ("positive", "neutral", "negative", "none")
RISK_CATEGORIES = tuple(one for one in CATEGORIES if one != EXPANSION)
# Of what was missed: a signal of the policy, or that it has none for it.
NO_SIGNAL = "no_signal_exists"
CHANNELS = ("meeting", "call", "email", "product", "internal")


class FormError(ValueError):
    """A form says what can't be read; the sentence names the field. Nothing is logged: it is no decision yet."""


@dataclass(frozen=True)
class Field:
    """One field of a form. A `text` goes to the erasable side table, everything else into the event."""

    name: str
    kind: Kind
    is_required: bool = False
    choices: tuple[str, ...] = ()


def _required(name: str, kind: Kind, choices: tuple[str, ...] = ()) -> Field:
    return Field(name, kind, True, choices)


_REASON = _required("reason", "text")
_EVIDENCE = Field("evidence_ids", "ids")
_NOTE = Field("note", "text")
FORMS: dict[str, tuple[Field, ...]] = {
    "view_packet": (),
    "open_evidence": (_required("evidence_id", "id"),),
    "start_review": (),
    "request_evidence": (_REASON,),
    "assign_owner": (_required("owner_email", "email"), Field("reason", "text")),
    "confirm_severity": (_required("severity", "choice", SEVERITIES), _NOTE),
    "set_cause": (
        _required("cause_id", "id"),
        _required("cause_state", "choice", tuple(one for one in get_args(CauseState) if one != "confirmed")),
        _EVIDENCE,
        _NOTE,
    ),
    "confirm_cause": (_required("cause_id", "id"), _required("evidence_ids", "ids"), _NOTE),
    "verify_assumption": (
        _required("assumption_id", "id"),
        _required("assumption_state", "choice", get_args(AssumptionState)),
        _EVIDENCE,
        _NOTE,
    ),
    "escalate": (
        _required("decision", "choice", ("escalated", "not_needed")),
        Field("role", "id"),
        Field("reason", "text"),
    ),
    "set_follow_up": (_required("follow_up_on", "date"),),
    "propose": (
        _required("mitigations", "ids"),
        Field("touches", "choices", choices=TOUCHES),
        Field("follow_up_on", "date"),
        Field("residual_target", "choice", choices=SEVERITIES),
        Field("reason", "text"),
        Field("message", "text"),
    ),
    # What is missing of approver, reason and expiry is refused by a stop rule, and so logged.
    "accept": (
        Field("reason", "text"),
        Field("approver_email", "email"),
        Field("expires_on", "date"),
        Field("follow_up_on", "date"),
        Field("residual_target", "choice", choices=SEVERITIES),
    ),
    "write_message": (_required("message", "text"),),
    "request_changes": (_REASON,),
    "reject": (_REASON,),
    "withdraw": (Field("reason", "text"),),
    "approve": (Field("note", "text"),),
    "defer": (Field("until", "date"), _REASON),
    "dismiss": (_required("reason_code", "choice", DISMISSAL_REASONS), _REASON),
    "supersede": (_required("by_case_id", "id"), Field("reason", "text")),
    "take_action": (
        _required("mitigation", "id"),
        _required("channel", "choice", CHANNELS),
        Field("done_on", "date"),
        _NOTE,
    ),
    "record_response": (_required("response", "choice", RESPONSES), _NOTE),
    "await_outcome": (),
    "record_outcome": (_required("outcome", "choice", get_args(Outcome)), Field("reason", "text")),
    "record_loss": (_required("outcome", "choice", ("lost",)), _REASON),
    "record_residual_risk": (_required("residual_actual", "choice", SEVERITIES), _NOTE),
    "close": (_NOTE,),
    "reopen": (_REASON,),
    "find_no_risk": (_NOTE,),
    "find_missed_risk": (
        _required("missed_category", "choice", RISK_CATEGORIES),
        Field("missed_signal", "name"),
        _REASON,
    ),
    "find_nothing_certain": (_REASON,),
}


@dataclass(frozen=True)
class ReadForm:
    """A form as read: plain values as they go into the event, texts by field, and the packet the person saw."""

    values: Mapping[str, Any]
    texts: Mapping[str, str]
    seen_packet_hash: str | None = None


def read_form(action: str, form: Mapping[str, Any]) -> ReadForm:
    """Read and check a form of strings, dates or lists. Any form may say `packet_hash`: the packet it was written on.

    Raises
    ------
    FormError
        If the action or a field is unknown, a required field is empty, or a value is not of its kind.
    """
    if action not in FORMS or action not in BY_ACTION:
        raise FormError(f"There is no action {action!r}{_hint(action, FORMS)}.")
    fields = {one.name: one for one in FORMS[action]}
    if unknown := sorted(form.keys() - fields.keys() - {SEEN}):
        raise FormError(f"{action} has no field {unknown[0]!r}{_hint(unknown[0], fields)}.")
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for name, one in fields.items():
        given = form.get(name)
        if isinstance(given, str):
            given = given.strip()
        if given in (None, "", [], ()):
            if one.is_required:
                raise FormError(f"{action} needs {name.replace('_', ' ')}.")
            continue
        read = _READERS[one.kind](one, given)
        (texts if one.kind == "text" else values)[name] = read
    return ReadForm(values, texts, str(form[SEEN]) if form.get(SEEN) else None)


def _hint(name: str, known: Mapping[str, object]) -> str:
    near = closest(name, known)
    return f"; did you mean {near}" if near else ""


def _text(one: Field, given: Any) -> str:
    text = str(given)
    if len(text) > TEXT_CHARACTERS:
        raise FormError(f"{one.name} has {len(text):,} characters; {TEXT_CHARACTERS:,} fit.")
    return text


def _id(one: Field, given: Any) -> str:
    text = str(given)
    if len(text) > ID_CHARACTERS or not text.isprintable():
        raise FormError(f"{one.name} is no id: at most {ID_CHARACTERS} printable characters.")
    return text


def _name(one: Field, given: Any) -> str:
    text = str(given)
    if not _NAME.fullmatch(text):
        raise FormError(f"{one.name} is no name of the policy: small letters, digits and underscores.")
    return text


def _ids(one: Field, given: Any) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given
    found = [_id(one, part.strip()) for part in parts if str(part).strip()]
    if not found:
        raise FormError(f"{one.name} names nothing.")
    return list(dict.fromkeys(found))


def _email(one: Field, given: Any) -> str:
    text = str(given).lower()
    if not _EMAIL.fullmatch(text) or len(text) > 320:
        raise FormError(f"{one.name} is no person's address, such as ana@example.com.")
    return text


def _date(one: Field, given: Any) -> str:
    if isinstance(given, date):
        return given.isoformat()[:10]
    try:
        return date.fromisoformat(str(given)).isoformat()
    except ValueError as error:
        raise FormError(f"{one.name} is not a date; write it as YYYY-MM-DD.") from error


def _choice(one: Field, given: Any) -> str:
    if given not in one.choices:
        raise FormError(f"{one.name} must be one of {', '.join(one.choices)}.")
    return str(given)


def _choices(one: Field, given: Any) -> list[str]:
    return sorted({_choice(one, part) for part in _ids(one, given)})


_READERS: dict[str, Any] = {
    "text": _text,
    "id": _id,
    "ids": _ids,
    "name": _name,
    "email": _email,
    "date": _date,
    "choice": _choice,
    "choices": _choices,
}
