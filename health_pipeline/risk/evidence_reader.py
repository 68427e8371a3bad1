"""How a sentence on evidence is read back: its figure, quotes, and which records of which days it counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from health_pipeline.policy.features import features
from health_pipeline.policy.wording import describe, describe_against, readable
from health_pipeline.risk.reading_back import QUOTE, Amount, Number, Text, agrees, days_in, is_said_of

Facts = Mapping[str, Any]
# label and slot to what a reader sees; None where the text was deleted or is not kept
Texts = Callable[[str, str], str | None]

_FIGURE = r"(?P<said>.+?)(?: \(((?:threshold (?P<line>[^()]+?))?(?:, )?(?:compared with (?P<before>[^()]+?))?)\))?"
_QUOTED = re.compile(
    rf"{QUOTE('quote')}(?:(?:, | and ){QUOTE('second')})?(?: and (?P<more>[\d,]+) more)? in (?P<records>[^:]+): "
    rf"{_FIGURE}\."
)
_ABSENT = re.compile(rf"Inferred from absence: {_FIGURE}; last on record: (?P<records>.+)\.")
_ALSO = re.compile(r"Also: (?P<members>.+)\.")
_SEEN = re.compile(rf"{_FIGURE}, by (?P<records>(?:(?!, by )[^()])+)\.")
_BETWEEN = re.compile(r" and (?:by|in) |, ")
_RECORDS = re.compile(r"(?:(?P<count>[\d,]+) )?(?P<noun>[a-z][a-z ]*?) of (?P<days>.+)")
_NOUNS = {
    "usage_event": "use",
    "usage_daily": "use",
    "cs_note": "note or meeting",
    "survey_response": "survey answer",
    "support_ticket": "support ticket",
    "support_message": "support message",
    "cs_goal": "goal",
    "crm_contact": "contact",
    "crm_opportunity": "deal",
    "billing_subscription": "subscription",
    "billing_invoice": "invoice",
    "billing_payment": "payment",
    "pm_project": "project",
    "pm_milestone": "milestone",
    "risk": "register entry",
}


def evidence_problems(text: str, labels: Sequence[str], facts: Mapping[str, Facts], texts: Texts) -> Iterator[str]:
    """What of a sentence on evidence does not follow from the pieces it cites: one figure, each record counted once."""
    pieces = [facts[label] for label in labels]
    if any(piece["kind"] != "evidence" for piece in pieces):
        yield "mixes evidence with other facts"
        return
    if also := _ALSO.fullmatch(text):
        yield from also_problems(also["members"], labels, pieces)
        return
    values, has_quote = pieces[0]["values"], bool(pieces[0]["texts"])
    if any(bool(piece["texts"]) != has_quote for piece in pieces):
        yield "mixes quotes with other evidence"
        return
    yield from same_figure_problems(pieces)
    is_absent = values["kind"] == "inferred_from_absence"
    found = (_QUOTED if has_quote else _ABSENT if is_absent else _SEEN).fullmatch(text)
    if found is None:
        yield "can't be read back as a sentence of evidence"
        return
    said = found.groupdict()
    if has_quote:
        yield from quote_problems(said, labels, texts)
    yield from record_problems(said["records"], pieces)
    yield from figure_problems(said, labels[0], [piece["values"] for piece in pieces])


def also_problems(said: str, labels: Sequence[str], pieces: Sequence[Facts]) -> Iterator[str]:
    """Figures told without their records: as many as there are among the pieces, each what its own pieces say."""
    groups: dict[tuple[str, ...], list[tuple[str, Facts]]] = {}
    for label, piece in zip(labels, pieces, strict=True):
        groups.setdefault(_figure(piece), []).append((label, piece))
        if piece["texts"] or piece["values"]["kind"] == "inferred_from_absence":
            yield f"tells a quote or an absence in passing ({label})"
    parts = said.split("; ")
    if len({piece["values"]["direction"] for piece in pieces}) > 1:
        yield "mixes what speaks for it with what speaks against it"
    if len(parts) != len(groups):
        yield "tells other figures than it cites"
        return
    for part, group in zip(parts, groups.values(), strict=True):
        yield from claim_problems(part, group[0][0], [piece["values"] for _, piece in group])


def _figure(piece: Facts) -> tuple[str, ...]:
    names = ("subject", "direction", "metric", "threshold", "baseline", "kind")
    return (*(str(piece["values"][name]) for name in names), str(bool(piece["texts"])))


def same_figure_problems(pieces: Sequence[Facts]) -> Iterator[str]:
    """One sentence tells one figure of one signal, in one direction."""
    if len({_figure(piece) for piece in pieces}) > 1:
        yield "tells several figures as one"


def quote_problems(said: Mapping[str, str | None], labels: Sequence[str], texts: Texts) -> Iterator[str]:
    """The first two quotes are shown, the others counted."""
    for place, name in enumerate(("quote", "second")):
        expected = Text(texts(labels[place], "quote")) if place < len(labels) else None
        if not agrees(said[name], expected):
            yield f"{name} does not follow from {labels[min(place, len(labels) - 1)]}"
    if not agrees(said["more"], Number(len(labels) - 2) if len(labels) > 2 else None):
        yield "counts other quotes than it cites"


def record_problems(said: str, pieces: Sequence[Facts]) -> Iterator[str]:
    """Records by kind, in the order of the pieces: how many different ones, of which days."""
    expected: dict[str, dict[str, str]] = {}
    for piece in pieces:
        table = piece["values"]["table"]
        noun = _NOUNS.get(table, table.replace("_", " "))
        expected.setdefault(noun, {})[str(piece["record"])] = piece["values"]["observed_on"]
    parts = [_RECORDS.fullmatch(part) for part in _BETWEEN.split(said)]
    if [part and _singular(part["noun"]) for part in parts] != list(expected):
        yield "names other kinds of record than it cites"
        return
    for part, (noun, records) in zip(parts, expected.items(), strict=True):
        assert part is not None
        # of use nobody counts the rows
        count = None if noun == "use" else len(records)
        if (part["count"] is None) != (count is None) or (
            count is not None and not agrees(part["count"], Number(count))
        ):
            yield f"counts other records than it cites ({noun})"
        if not _are_days(part["days"], sorted(set(records.values()))):
            yield f"days do not follow from the records cited ({noun})"


def _singular(noun: str) -> str:
    parts = [f"{part[:-3]}y" if part.endswith("ies") else part.removesuffix("s") for part in noun.split(" or ")]
    return " or ".join(parts)


def _are_days(said: str, days: Sequence[str]) -> bool:
    """One day, two joined by `and`, or the first and the last of more joined by `to`."""
    if len(days) < 3:
        return days_in(said, " and ") == list(days)
    return days_in(said, " to ") == [days[0], days[-1]]


def figure_problems(said: Mapping[str, str | None], label: str, pieces: Sequence[Facts]) -> Iterator[str]:
    """The figure, its line and what it is compared with."""
    metric = pieces[0]["metric"]
    yield from claim_problems(said["said"] or "", label, pieces)
    # a yes or no has no line to show
    known = features().get(metric)
    is_shown = known is None or known.type != "boolean"
    for name, key in (("line", "threshold"), ("before", "baseline")):
        wanted: Amount | Number | None = None
        if is_shown and pieces[0][key] is not None:
            # what it is compared with is a count of another feature
            wanted = Amount(metric, pieces[0][key]) if key == "threshold" else Number(pieces[0][key])
        if not agrees(said[name], wanted):
            yield f"{key} does not follow from {label}"


def claim_problems(told: str, label: str, pieces: Sequence[Facts]) -> Iterator[str]:
    """What a figure is said to be; of several values the least and the greatest."""
    metric = pieces[0]["metric"]
    values = sorted({float(piece["value"]) for piece in pieces if piece["value"] is not None})
    says = describe_against if pieces[0]["direction"] == "contradicts" else describe
    claims = list(dict.fromkeys(says(metric, value) for value in values)) or [readable(metric)]
    expected = claims[0] if len(claims) == 1 else _joined(claims[0], claims[-1], " to " if len(claims) > 2 else " and ")
    if told[:1].lower() + told[1:] != expected[:1].lower() + expected[1:]:
        yield f"does not say what {label} says"
    if any(not is_said_of(says(metric, value), metric, value) for value in values):
        yield f"number or direction does not follow from {label}"


def _joined(first: str, last: str, between: str) -> str:
    """Two claims as one: the words both begin with, what differs in each, the words both end with."""
    both = re.fullmatch(r"((?:\S+ )*)(\S.*?)((?: \S+)*)\n\1(\S.*?)\3", f"{first}\n{last}")
    if both is None or not both[1]:
        return f"{first}{between}{last}"
    return f"{both[1]}{both[2]}{between}{both[4]}{both[3]}"
