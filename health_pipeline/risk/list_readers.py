"""How sentences that tell several facts are read back: what they share, and each member of the list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from health_pipeline.policy.wording import named
from health_pipeline.risk.reading_back import DAY, QUOTE, Amount, Day, Number, Text, Words, agrees

Facts = Mapping[str, Any]
TextOf = Callable[[str], Text | None]
# not within quotation marks: a customer's text may hold one
_BETWEEN = re.compile(r"; (?=(?:[^“”]*“[^“”]*”)*[^“”]*$)")


@dataclass(frozen=True)
class ListReader:
    """How a list of facts is read.

    Attributes
    ----------
    sentence : the whole, with the list as the group `members`
    shared : what the sentence says of every fact it cites
    member : one part of the list
    of_member : what that part must say by its fact
    between : separates the members
    """

    sentence: re.Pattern[str]
    shared: Callable[[Facts], dict[str, Any]]
    member: re.Pattern[str]
    of_member: Callable[[Facts, TextOf], dict[str, Any]]
    between: re.Pattern[str] = _BETWEEN


def is_list(fact: Facts) -> bool:
    """Whether a fact is told in a list; a cause that evidence speaks of has its own sentence."""
    if fact["kind"] == "cause":
        return fact["values"]["status"] == "unknown" and not fact["supported_by"]
    return fact["kind"] in LIST_READERS


def list_problems(
    text: str, labels: Sequence[str], facts: Mapping[str, Facts], text_of: Callable[[str, str], Text | None]
) -> Iterator[str]:
    """What of a list does not follow from the facts it cites, in their order.

    Parameters
    ----------
    labels : all of one kind
    text_of : label and slot to what a reader sees
    """
    reader = LIST_READERS[facts[labels[0]]["kind"]]
    found = reader.sentence.fullmatch(text)
    if found is None:
        yield "can't be read back as a sentence of its kind"
        return
    said = found.groupdict()
    parts = reader.between.split(said.pop("members"))
    for label in labels:
        yield from shared_problems(reader, said, label, facts[label])
    yield from length_problems(parts, labels)
    for label, part in zip(labels, parts, strict=False):
        yield from member_problems(reader, part, label, facts[label], text_of)


def shared_problems(reader: ListReader, said: Mapping[str, str | None], label: str, fact: Facts) -> Iterator[str]:
    """What the sentence says of all must hold of each."""
    shared = reader.shared(fact["values"])
    yield from (f"{name} does not follow from {label}" for name in said if not agrees(said[name], shared[name]))


def length_problems(parts: Sequence[str], labels: Sequence[str]) -> Iterator[str]:
    """A list has as many members as facts are cited."""
    if len(parts) != len(labels):
        yield "lists other facts than it cites"


def member_problems(
    reader: ListReader, part: str, label: str, fact: Facts, text_of: Callable[[str, str], Text | None]
) -> Iterator[str]:
    """A member says what its own fact says."""
    read = reader.member.fullmatch(part)
    if read is None:
        yield f"can't be read back as a part that tells {label}"
        return
    expected = reader.of_member(fact["values"], lambda slot: text_of(label, slot))
    for name, value in read.groupdict().items():
        if not agrees(value, expected.get(name)):
            yield f"{name} does not follow from {label}"


_WHY = {
    "missing": "no data came for this account",
    "stale": "the newest data is too old",
    "not_on_record": "nothing is on record",
    "no_record": "no record was found behind the figure",
    "not_connected": "no source is connected",
}


def moved(before: Any, now: Any) -> str | None:
    """The word for the direction from one value to another; None where it is the same, or one is unknown."""
    return None if before is None or now is None or before == now else "rose" if float(now) > float(before) else "fell"


def _number_of(value: Any) -> bool:
    return (
        value is not None and not isinstance(value, bool) and re.fullmatch(r"-?[\d.]+(e-?\d+)?", str(value)) is not None
    )


def _change(v: Facts, _: TextOf) -> dict[str, Any]:
    before, now, what = v["before"], v["now"], v["what"]
    expected: dict[str, Any] = {"what": named(what)}
    if _number_of(before) and _number_of(now):
        return expected | {"moved": moved(before, now), "from": Amount(what, before), "to": Amount(what, now)}
    return expected | {"was": _state(what, before), "is": _state(what, now)}


def _state(what: str, value: Any) -> Any:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _number_of(value):
        return Amount(what, value)
    return value.replace("expansion_ready", "expansion-ready").replace("_", " ") if what == "tier" else f"“{value}”"


def _person(v: Facts, text: TextOf) -> dict[str, Any]:
    return {
        "name": text("name"),
        "title": text("title"),
        "role": Words(v["role"]) if v["role"] else "role unknown",
        "left": Day(v["left_on"]) if v["left_on"] and not v["is_there"] else None,
        "gone": "since when is not known" if not v["is_there"] and not v["left_on"] else None,
        "touched": Day(v["touched_on"]) if v["touched_on"] else None,
        "missed": Number(v["missed"]) if v["missed"] else None,
    }


def _weeks(v: Facts) -> dict[str, Any]:
    is_one = v["first_week"] == v["last_week"]
    return {
        "only_week": Day(v["last_week"]) if is_one else None,
        "first_week": None if is_one else Day(v["first_week"]),
        "last_week": None if is_one else Day(v["last_week"]),
    }


def _mood(v: Facts, _: TextOf) -> dict[str, Any]:
    direction = moved(v["first"], v["last"])
    first, last = Amount(v["metric"], v["first"]), Amount(v["metric"], v["last"])
    is_one_week = v["first_week"] == v["last_week"]
    return {
        "what": named(v["metric"]),
        "is": last if direction is None or is_one_week else None,
        "same": "unchanged" if direction is None and not is_one_week else None,
        "moved": None if is_one_week else direction,
        "from": first if direction and not is_one_week else None,
        "to": last if direction and not is_one_week else None,
    }


def as_part(says: str) -> str:
    """A sentence of the policy as it stands in a list."""
    return says.strip().rstrip(".").replace("; ", ", ")


def _option(v: Facts, _: TextOf) -> dict[str, Any]:
    def left(state: str) -> str | None:
        says = [as_part(one) for one, met in v["preconditions"] if met == state]
        return ", ".join(one if one[1:2].isupper() else one[:1].lower() + one[1:] for one in says) or None

    return {
        "title": v["title"],
        "hours": Number(v["hours"]),
        "not_met": left("not_met"),
        "to_check": left("to_be_checked"),
    }


_UNIT = r"\S+(?: (?:%|days?|hours?|minutes?))?"
LIST_READERS: dict[str, ListReader] = {
    "missing": ListReader(
        re.compile(r"Not known, because (?P<why>[^:]+): (?P<members>.+)\."),
        lambda v: {"why": _WHY.get(v["why"], v["why"].replace("_", " "))},
        re.compile(r"(?P<what>.+)"),
        lambda v, _: {"what": Words(v["what"])},
        re.compile(", "),
    ),
    "change": ListReader(
        re.compile(rf"Since the week of {DAY('since')}: (?P<members>.+)\."),
        lambda v: {"since": Day(v["since"])},
        re.compile(
            r"(?P<what>.+?) (?:(?P<moved>rose|fell) from (?P<from>.+) to (?P<to>.+)|was (?P<was>.+) and is (?P<is>.+))"
        ),
        _change,
    ),
    "person": ListReader(
        re.compile(r"(?P<there>There|No longer there) \(last two-way touch\): (?P<members>.+)\."),
        lambda v: {"there": "There" if v["is_there"] else "No longer there"},
        re.compile(
            rf"(?:{QUOTE('name')}|a contact without a name)(?:, {QUOTE('title')})?, (?P<role>[a-z ]+)"
            rf"(?:, left on {DAY('left')}|, (?P<gone>since when is not known))? "
            rf"\((?:{DAY('touched')}|none on record)(?:, (?P<missed>[\d,]+) meetings? missed(?: since)?)?\)"
        ),
        _person,
    ),
    "mood": ListReader(
        re.compile(
            rf"(?:In the week of {DAY('only_week')}|From the week of {DAY('first_week')} to that of "
            rf"{DAY('last_week')}): (?P<members>.+)\."
        ),
        _weeks,
        re.compile(
            rf"(?P<what>.+?) (?:(?P<is>{_UNIT})(?:, (?P<same>unchanged))?|"
            rf"(?P<moved>rose|fell) from (?P<from>{_UNIT}) to (?P<to>{_UNIT}))"
        ),
        _mood,
    ),
    "cause": ListReader(
        re.compile(r"(?P<status>Unknown): (?P<members>.+)\."),
        lambda v: {"status": Words(v["status"])},
        re.compile(r"(?P<cause>.+)"),
        lambda v, _: {"cause": Words(v["cause"])},
        re.compile(", "),
    ),
    "assumption": ListReader(
        re.compile(r"(?P<verified>Not verified|Verified): (?P<members>.+)\."),
        lambda v: {"verified": "Verified" if v["is_verified"] else "Not verified"},
        re.compile(r"(?P<says>.+)"),
        lambda v, _: {"says": as_part(v["says"])},
    ),
    "option": ListReader(
        re.compile(r"Approved by the (?P<role>[a-z ]+)(?P<alone>, a person's choice alone)?: (?P<members>.+)\."),
        lambda v: {
            "role": Words(v["approval_role"]),
            "alone": ", a person's choice alone" if v["is_sensitive"] else None,
        },
        re.compile(
            r"(?P<title>.+?), (?P<hours>[\d.,]*\d) h(?:, not met: (?P<not_met>.+?))?"
            r"(?:, check: (?P<to_check>.+))?"
        ),
        _option,
    ),
    "stop_rule": ListReader(
        re.compile(r"(?P<blocks>[A-Z][a-z]+) is blocked: (?P<members>.+)\."),
        lambda v: {"blocks": v["blocks"]},
        re.compile(r"(?P<says>.+)"),
        lambda v, _: {"says": as_part(v["says"])},
    ),
}
