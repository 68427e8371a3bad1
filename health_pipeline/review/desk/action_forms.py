"""The forms of a case: which actions are offered to whom, with which fields, choices and already typed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from health_pipeline.review.cases import Case
from health_pipeline.review.desk.action_words import ACTION_WORDS, FIELD_WORDS, ActionWords
from health_pipeline.review.desk.published_packets import PublishedPacket
from health_pipeline.review.desk.visits import Visit
from health_pipeline.review.forms import FORMS, TEXT_CHARACTERS, Field
from health_pipeline.review.states import BY_ACTION, possible

# Whom a field of people may name, by the role they have.
_ROLES = {"owner_email": ("csm", "lead"), "approver_email": ("lead",)}


@dataclass(frozen=True)
class FormField:
    """One field as the page shows it.

    Attributes
    ----------
    control : text, line, date, select or boxes
    choices : value and words; for select and boxes
    values : what is typed or chosen already
    """

    name: str
    label: str
    control: str
    is_required: bool
    choices: tuple[tuple[str, str], ...] = ()
    values: tuple[str, ...] = ()
    longest: int = TEXT_CHARACTERS


@dataclass(frozen=True)
class ActionForm:
    """One action the person may ask for, with its fields; `is_open` where its form is shown at once."""

    action: str
    words: ActionWords
    fields: tuple[FormField, ...]
    is_open: bool = False

    @property
    def has_required(self) -> bool:
        """Whether anything must be filled in."""
        return any(one.is_required for one in self.fields)


@dataclass(frozen=True)
class Choices:
    """What the fields of a case's forms can name: ids and words by field."""

    by_field: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


def choices_of(
    case: Case,
    packet: PublishedPacket | None,
    visit: Visit,
    option_titles: Mapping[str, str],
    other_cases: Sequence[Case],
    causes: Sequence[Mapping[str, Any]] = (),
    signals: tuple[tuple[str, str], ...] = (),
) -> Choices:
    """What may be chosen on this case: options, what was approved, evidence, causes, signals, people, other cases."""
    options = packet.listed("mitigation_options") if packet else []
    approved = case.proposal.mitigations if case.proposal else ()
    found: dict[str, tuple[tuple[str, str], ...]] = {
        "mitigations": tuple((one, option_titles.get(one, one.replace("_", " "))) for one in options),
        "mitigation": tuple((one, option_titles.get(one, one.replace("_", " "))) for one in approved),
        "evidence_ids": tuple(
            (
                piece.evidence_id,
                f"{piece.metric.replace('_', ' ')} ({piece.source_system}, {piece.kind.replace('_', ' ')})",
            )
            for piece in (packet.evidence if packet else ())
        ),
        "missed_signal": signals,
        "cause_id": tuple((one["cause_id"], one["cause_id"].replace("_", " ")) for one in causes),
        "by_case_id": tuple(
            (one.case_id, f"{one.category.replace('_', ' ')}, {one.state.replace('_', ' ')}") for one in other_cases
        ),
    }
    for name, roles in _ROLES.items():
        found[name] = tuple(
            (person.email, f"{person.name} ({person.role})")
            for person in visit.people.values()
            if person.is_active and person.role in roles
        )
    return Choices(found)


def offered_forms(
    case: Case, visit: Visit, choices: Choices, typed: Mapping[str, list[str]] | None = None, asked: str = ""
) -> list[ActionForm]:
    """The actions that this person may ask for in the case's state, in the order of the words' table.

    Parameters
    ----------
    typed, asked : what was typed into the form of which action, when it comes back to the person
    """
    allowed = {
        row.action
        for row in possible(case.state)
        if row.action in FORMS and visit.may(row.permission, case.owner_email)  # type: ignore[arg-type]
    }
    return [
        ActionForm(
            action,
            words,
            tuple(_field(one, case, choices, (typed or {}) if action == asked else {}) for one in FORMS[action]),
            action == asked,
        )
        for action, words in ACTION_WORDS.items()
        # Who is in the review need not start it, and who is there has not left.
        if action in allowed
        and (action, case.state) != ("start_review", "in_review")
        and (action != "record_loss" or case.left_by is not None)
    ]


def lost_form(action: str, case: Case, choices: Choices, typed: Mapping[str, list[str]]) -> ActionForm | None:
    """The form of an action that is not possible any more: its text is not lost with it."""
    if action not in FORMS or action not in ACTION_WORDS:
        return None
    fields = tuple(_field(one, case, choices, typed) for one in FORMS[action])
    return ActionForm(action, ACTION_WORDS[action], tuple(one for one in fields if one.values), True)


def _field(one: Field, case: Case, choices: Choices, typed: Mapping[str, list[str]]) -> FormField:
    known = choices.by_field.get(one.name, ())
    if one.kind in {"choice", "choices"}:
        known = tuple((choice, choice.replace("_", " ")) for choice in one.choices)
    control = {"text": "text", "date": "date", "choices": "boxes", "ids": "boxes" if known else "line"}.get(
        one.kind, "select" if known else "line"
    )
    values = tuple(typed.get(one.name, ())) or _present(one.name, case)
    return FormField(one.name, FIELD_WORDS.get(one.name, one.name), control, one.is_required, known, values)


def _present(name: str, case: Case) -> tuple[str, ...]:
    """What a field begins with: what the case says already. Nothing that decides is chosen beforehand."""
    if name == "follow_up_on" and case.follow_up_on is not None:
        return (case.follow_up_on.isoformat(),)
    return ()


def form_values(action: str, form: Mapping[str, list[str]]) -> dict[str, object]:
    """The fields of an action's form as the ledger reads them; other fields of the page are left out."""
    found: dict[str, object] = {}
    for one in FORMS.get(action, ()):
        values = [value for value in form.get(one.name, ()) if value.strip()]
        if values:
            found[one.name] = values if one.kind in {"ids", "choices"} else values[0]
    return found


def is_offered(action: str) -> bool:
    """Whether a page may ask for the action at all: looking is not asked for, time and the pipeline ask for others."""
    return action in ACTION_WORDS and action in BY_ACTION
