"""Checks a brief against the facts it cites: each number, date, name and direction, nothing left out or told twice.

It reads sentences back with patterns of its own and compares what they say with the facts as plain values, so a slip
of the writer, or of whoever rewrites a brief, is found. What no pattern reads is a problem too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from health_pipeline.policy.features import features
from health_pipeline.policy.wording import describe, readable
from health_pipeline.risk.reading_back import (
    QUOTE,
    Amount,
    Number,
    Text,
    agrees,
    days_in,
    is_said_of,
)
from health_pipeline.risk.sentence_readers import READERS

Facts = Mapping[str, Any]
# label and slot to what a reader sees; None where the text was deleted or is not kept
Texts = Callable[[str, str], str | None]

_CITES = re.compile(r"(?: \[([A-Z]\d+)\])+$")
_ONE_CITE = re.compile(r"\[([A-Z]\d+)\]")
_NOTHING_MISSING = "Every domain that applies to the account could be read."
_NOTHING_AGAINST = "Evidence against it was looked for; none was found."
_HEADINGS = {
    "header": "",
    "missing": "What is not known",
    "event": "What may happen",
    "quiet": "What may happen",
    "supports": "What was seen",
    "contradicts": "What speaks against it",
    "goal": "What the customer wants",
    "goals_reached": "What the customer wants",
    "change": "What changed",
    "person": "Who is there",
    "value": "Contract and money",
    "contract": "Contract and money",
    "deal": "Contract and money",
    "mood": "Mood over the weeks",
    "register": "Earlier risks",
    "episode": "Earlier risks",
    "rating": "Rating",
    "cause": "Causes looked into",
    "assumption": "Taken for granted",
    "option": "Options, none chosen",
    "stop_rule": "What holds it",
}


@dataclass(frozen=True)
class Problem:
    """What is wrong with a line of a brief: its place from 1, the labels it cites, what. Never a customer's text."""

    line: int
    labels: tuple[str, ...]
    what: str


def verify(lines: Sequence[tuple[str, str]], facts: Mapping[str, Facts], texts: Texts) -> tuple[Problem, ...]:
    """Check a rendered brief.

    Parameters
    ----------
    lines : heading and sentence with its citations, as a reader sees them
    facts : by label, as the packet's body holds them: `kind`, `values`, `supported_by`
    texts : what a reader sees of a text

    Returns
    -------
    tuple of Problem
        Empty where everything follows from what it cites.
    """
    problems: list[Problem] = []
    told: Counter[str] = Counter()
    order: list[str] = []
    for place, (heading, line) in enumerate(lines, 1):
        found = _CITES.search(line)
        labels = tuple(_ONE_CITE.findall(found.group(0))) if found else ()
        text = line[: found.start()] if found else line
        subjects = _subjects(labels, facts)
        told.update(subjects)
        order.append(heading)
        problems += [
            Problem(place, labels, what) for what in _line_problems(heading, text, labels, subjects, facts, texts)
        ]
    problems += [
        Problem(0, (label,), "is told nowhere" if not told[label] else "is told twice")
        for label in facts
        if told[label] != 1
    ]
    for pair in _nothing_to_tell(facts):
        if list(lines).count(pair) != 1:
            problems.append(Problem(0, (), f"that there is nothing is to be said once under {pair[0]!r}"))
    headings = list(dict.fromkeys(_HEADINGS.values()))
    places = [headings.index(heading) for heading in order if heading in headings]
    if places != sorted(places):
        problems.append(Problem(0, (), "the headings are out of order; what is missing comes first"))
    return tuple(problems)


def _subjects(labels: Sequence[str], facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """The facts a line tells: all that it cites, but of an event or a cause itself alone."""
    if labels and facts.get(labels[0], {}).get("kind") in ("event", "cause"):
        return (labels[0],)
    return tuple(labels)


def _nothing_to_tell(facts: Mapping[str, Facts]) -> tuple[tuple[str, str], ...]:
    """The sentences that say that there is nothing: each is told where it holds, and only there."""
    is_missing = any(fact["kind"] == "missing" for fact in facts.values())
    is_against = any(fact["values"].get("direction") == "contradicts" for fact in facts.values())
    missing = (_HEADINGS["missing"], _NOTHING_MISSING)
    against = (_HEADINGS["contradicts"], _NOTHING_AGAINST)
    return tuple(pair for pair, is_told in ((missing, not is_missing), (against, not is_against)) if is_told)


def _line_problems(
    heading: str,
    text: str,
    labels: tuple[str, ...],
    subjects: tuple[str, ...],
    facts: Mapping[str, Facts],
    texts: Texts,
) -> Iterator[str]:
    if not labels:
        if (heading, text) not in _nothing_to_tell(facts):
            yield "cites nothing"
        return
    if unknown := [label for label in labels if label not in facts]:
        yield f"cites {', '.join(unknown)}, which the packet does not have"
        return
    first = facts[labels[0]]
    kind = first["values"]["direction"] if first["kind"] == "evidence" else first["kind"]
    if _HEADINGS[kind] != heading:
        yield f"stands under another heading than {_HEADINGS[kind]!r}"
    if first["kind"] == "evidence":
        yield from _evidence(text, subjects, facts, texts)
        return
    if labels[1:] != tuple(first["supported_by"]):
        yield "rests on other pieces than the packet says"
    yield from _read(text, labels[0], first, texts)


def _read(text: str, label: str, fact: Facts, texts: Texts) -> Iterator[str]:
    pattern, expected_of = READERS[fact["kind"]]
    found = pattern.fullmatch(text)
    if found is None:
        yield "can't be read back as a sentence of its kind"
        return
    expected = expected_of(fact["values"], lambda slot: _text(label, slot, fact, texts))
    for name, said in found.groupdict().items():
        if not agrees(said, expected.get(name)):
            yield f"{name} does not follow from {label}"


def _text(label: str, slot: str, fact: Facts, texts: Texts) -> Text | None:
    return Text(texts(label, slot)) if slot in fact["texts"] else None


_OF_RECORDS = r"(?P<said>.+?)(?: \(((?:line (?P<line>[^()]+?))?(?:, )?(?:compared with (?P<before>[^()]+?))?)\))?"
_NOUN = r"(?P<noun>[a-z][a-z ]*?)"
_QUOTED = re.compile(rf"{QUOTE('quote')}, says a {_NOUN} of (?P<days>.+?): {_OF_RECORDS}\.")
_ABSENT = re.compile(rf"Inferred from absence: {_OF_RECORDS}; the last record is a {_NOUN} of (?P<days>.+)\.")
_SEEN = re.compile(rf"{_OF_RECORDS}, by (?:(?P<count>[\d,]+) )?{_NOUN} of (?P<days>[^()]+)\.")
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


def _evidence(text: str, labels: Sequence[str], facts: Mapping[str, Facts], texts: Texts) -> Iterator[str]:
    """Several pieces in one sentence must say the same: each is held against it."""
    pieces = [facts[label] for label in labels]
    if any(piece["kind"] != "evidence" for piece in pieces):
        yield "mixes evidence with other facts"
        return
    values = pieces[0]["values"]
    is_quote = "quote" in pieces[0]["texts"]
    absent = values["kind"] == "inferred_from_absence"
    found = (_QUOTED if is_quote else _ABSENT if absent else _SEEN).fullmatch(text)
    if found is None:
        yield "can't be read back as a sentence of evidence"
        return
    said = found.groupdict()
    if is_quote and not agrees(said["quote"], Text(texts(labels[0], "quote"))):
        yield f"quote does not follow from {labels[0]}"
    count = said.get("count")
    if count is not None and int(count.replace(",", "")) != len(pieces):
        yield "counts other records than it cites"
    noun = _NOUNS.get(values["table"], values["table"].replace("_", " "))
    if said["noun"].removesuffix("s") != noun.removesuffix("s"):
        yield "names another kind of record"
    if days_in(said["days"]) != sorted({piece["values"]["observed_on"] for piece in pieces}):
        yield "days do not follow from the records cited"
    for label, piece in zip(labels, pieces, strict=True):
        yield from _claim(said, label, piece["values"])


def _claim(said: Mapping[str, str | None], label: str, values: Facts) -> Iterator[str]:
    metric, value = values["metric"], values["value"]
    expected = readable(metric) if value is None else describe(metric, float(value))
    told = said["said"] or ""
    if told[:1].lower() + told[1:] != expected[:1].lower() + expected[1:]:
        yield f"does not say what {label} says"
    if value is not None and not is_said_of(told, metric, float(value)):
        yield f"number or direction does not follow from {label}"
    # a yes or no has no line to show
    known = features().get(metric)
    is_shown = known is None or known.type != "boolean"
    for name, key in (("line", "threshold"), ("before", "baseline")):
        wanted: Amount | Number | None = None
        if is_shown and values[key] is not None:
            # what it is compared with is a count of another feature
            wanted = Amount(metric, values[key]) if key == "threshold" else Number(values[key])
        if not agrees(said[name], wanted):
            yield f"{key} does not follow from {label}"
