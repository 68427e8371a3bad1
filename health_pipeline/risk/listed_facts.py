"""Sentences that tell several facts of one kind at once: what they have in common is said once, each is cited."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import date
from typing import Any

from health_pipeline.policy.wording import TIER_WORDS, counted, named
from health_pipeline.risk.citations import Citation
from health_pipeline.risk.phrasing import (
    MISSING_WORDS,
    amount,
    clause,
    day,
    number,
    quoted,
    sentence,
    words,
)


@dataclass(frozen=True)
class Listing:
    """How facts of a kind are told together.

    Attributes
    ----------
    shared : what facts of one sentence have in common
    opening : of the sentence, before the list
    member : one fact in the list
    """

    shared: Callable[[Citation], Hashable]
    opening: Callable[[Citation], str]
    member: Callable[[Citation], str]
    separator: str = "; "

    def told(self, facts: list[Citation]) -> str:
        """The sentence on facts that have the same in common."""
        return f"{self.opening(facts[0])}{self.separator.join(self.member(one) for one in facts)}."


def is_listed(one: Citation) -> bool:
    """Whether a fact may share its sentence; a cause that evidence speaks of has its own."""
    return one.kind in LISTINGS and (
        one.kind != "cause" or (one.values["status"] == "unknown" and not one.supported_by)
    )


def _change(one: Citation) -> str:
    what, before, now = one.values["what"], one.values["before"], one.values["now"]
    if _is_number(before) and _is_number(now):
        moved = "rose" if now > before else "fell"
        return f"{named(what)} {moved} from {amount(what, before)} to {amount(what, now)}"
    return f"{named(what)} was {_state(what, before)} and is {_state(what, now)}"


def _is_number(value: object) -> bool:
    return value is not None and not isinstance(value, bool | str | date)


def _state(what: str, value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return TIER_WORDS[value].lower() if what == "tier" and value in TIER_WORDS else quoted(value)
    return amount(what, value)


def _person(one: Citation) -> str:
    v, label = one.values, one.label
    name = f"“⟦{label}.name⟧”" if "name" in one.texts else "a contact without a name"
    title = f", “⟦{label}.title⟧”" if "title" in one.texts else ""
    role = words(v["role"]) if v["role"] else "role unknown"
    left = ""
    if not v["is_there"]:
        left = f", left on {day(v['left_on'])}" if v["left_on"] else ", since when is not known"
    touch = day(v["touched_on"]) if v["touched_on"] else "none on record"
    since = " since" if v["touched_on"] else ""
    missed = f", {counted(v['missed'], 'meeting')} missed{since}" if v["missed"] else ""
    return f"{name}{title}, {role}{left} ({touch}{missed})"


def _weeks(one: Citation) -> str:
    first, last = one.values["first_week"], one.values["last_week"]
    return (
        f"In the week of {day(last)}: " if first == last else f"From the week of {day(first)} to that of {day(last)}: "
    )


def _mood(one: Citation) -> str:
    v = one.values
    what = named(v["metric"])
    first, last = amount(v["metric"], v["first"]), amount(v["metric"], v["last"])
    if v["first_week"] == v["last_week"]:
        return f"{what} {last}"
    if v["first"] == v["last"]:
        return f"{what} {last}, unchanged"
    return f"{what} {'rose' if v['last'] > v['first'] else 'fell'} from {first} to {last}"


def _option(one: Citation) -> str:
    v = one.values
    # what is met already needs no reader
    asked = [
        (said, [clause(says) for says, met in v["preconditions"] if met == state])
        for state, said in (("not_met", "not met"), ("to_be_checked", "check"))
    ]
    parts = [f", {said}: {', '.join(says)}" for said, says in asked if says]
    return f"{v['title']}, {number(v['hours'])} h{''.join(parts)}"


def _approver(one: Citation) -> str:
    alone = ", a person's choice alone" if one.values["is_sensitive"] else ""
    return f"Approved by the {words(one.values['approval_role'])}{alone}: "


LISTINGS: dict[str, Listing] = {
    "missing": Listing(
        lambda one: one.values["why"],
        lambda one: f"Not known, because {MISSING_WORDS.get(one.values['why'], words(one.values['why']))}: ",
        lambda one: words(one.values["what"]),
        ", ",
    ),
    "change": Listing(
        lambda one: one.values["since"], lambda one: f"Since the week of {day(one.values['since'])}: ", _change
    ),
    "person": Listing(
        lambda one: one.values["is_there"],
        lambda one: f"{'There' if one.values['is_there'] else 'No longer there'} (last two-way touch): ",
        _person,
    ),
    "mood": Listing(lambda one: (one.values["first_week"], one.values["last_week"]), _weeks, _mood),
    "cause": Listing(lambda one: True, lambda one: "Unknown: ", lambda one: words(one.values["cause"]), ", "),
    "assumption": Listing(
        lambda one: one.values["is_verified"],
        lambda one: f"{'Verified' if one.values['is_verified'] else 'Not verified'}: ",
        lambda one: clause(one.values["says"]),
    ),
    "option": Listing(lambda one: (one.values["approval_role"], one.values["is_sensitive"]), _approver, _option),
    "stop_rule": Listing(
        lambda one: one.values["blocks"],
        lambda one: f"{sentence(one.values['blocks'])} is blocked: ",
        lambda one: clause(one.values["says"]),
    ),
}
