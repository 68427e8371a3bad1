"""Checks a brief against the facts it cites: each number, date, name and direction, nothing left out or told twice.

It reads sentences back with patterns of its own and compares what they say with the facts as plain values, so a slip
of the writer, or of whoever rewrites a brief, is found. What no pattern reads is a problem too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from health_pipeline.risk.evidence_reader import Texts, evidence_problems
from health_pipeline.risk.list_readers import is_list, list_problems
from health_pipeline.risk.reading_back import Text, agrees, with_year
from health_pipeline.risk.sentence_readers import READERS

Facts = Mapping[str, Any]

_CITES = re.compile(r"(?: \[[A-Z]\d+(?: to [A-Z]\d+)?\])+$")
_ONE_CITE = re.compile(r"\[([A-Z])(\d+)(?: to ([A-Z])(\d+))?\]")
_SAID_LABELS = 6
_MOST_IN_A_RANGE = 1000
_NOTHING_MISSING = "Every domain that applies to the account could be read."
_NOTHING_AGAINST = "Evidence against it was looked for; none was found."
_HEADINGS = {
    "header": "",
    "missing": "What is not known",
    "ending": "What happened",
    "done": "What happened",
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
    """What is wrong with a line of a brief: never a customer's text, so a log and an audit may say it.

    Attributes
    ----------
    line : its place from 1; 0 where no line says it
    labels : what it cites
    what : in words of our own
    kind : of the fact it tells, such as `evidence`
    """

    line: int
    labels: tuple[str, ...]
    what: str
    kind: str = ""

    @property
    def said(self) -> str:
        """In one line, such as `sentence 7 (evidence, E3 E4): counts other records than it cites`."""
        about = ", ".join(part for part in (self.kind, " ".join(self.labels[:_SAID_LABELS])) if part)
        return f"{f'sentence {self.line}' if self.line else 'no sentence'}{f' ({about})' if about else ''}: {self.what}"


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
    year = next((str(fact["values"]["week"])[:4] for fact in facts.values() if fact["kind"] == "header"), "")
    for place, (heading, line) in enumerate(lines, 1):
        found = _CITES.search(line)
        labels = _labels(found.group(0)) if found else ()
        text = line[: found.start()] if found else line
        subjects = _subjects(labels, facts)
        told.update(subjects)
        order.append(heading)
        kind = _kind(labels, facts)
        problems += [
            Problem(place, labels, what, kind)
            for what in _line_problems(heading, text, labels, subjects, facts, texts, year)
        ]
    problems += untold(told, facts)
    for pair in _nothing_to_tell(facts):
        if list(lines).count(pair) != 1:
            problems.append(Problem(0, (), f"that there is nothing is to be said once under {pair[0]!r}"))
    headings = list(dict.fromkeys(_HEADINGS.values()))
    places = [headings.index(heading) for heading in order if heading in headings]
    if places != sorted(places):
        problems.append(Problem(0, (), "the headings are out of order; what is missing comes first"))
    return tuple(problems)


def untold(told: Counter[str], facts: Mapping[str, Facts]) -> list[Problem]:
    """Facts that no line tells, or more than one."""
    return [
        Problem(0, (label,), "is told nowhere" if not told[label] else "is told twice", _kind((label,), facts))
        for label in facts
        if told[label] != 1
    ]


def _kind(labels: Sequence[str], facts: Mapping[str, Facts]) -> str:
    return str(facts.get(labels[0], {}).get("kind", "")) if labels else ""


def _labels(cites: str) -> tuple[str, ...]:
    """The labels of citations; `[E3 to E5]` cites E3, E4 and E5, and of a range that is none its two ends."""
    labels: list[str] = []
    for letter, first, other, last in _ONE_CITE.findall(cites):
        if not last:
            labels.append(f"{letter}{first}")
        elif letter == other and int(first) < int(last) < int(first) + _MOST_IN_A_RANGE:
            labels += [f"{letter}{place}" for place in range(int(first), int(last) + 1)]
        else:
            labels += [f"{letter}{first}", f"{other}{last}"]
    return tuple(labels)


def _subjects(labels: Sequence[str], facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """The facts a line tells: those of its first one's kind; what an event or a cause rests on is told elsewhere."""
    first = facts.get(labels[0], {}) if labels else {}
    if first and first["kind"] != "evidence" and first["supported_by"]:
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
    year: str,
) -> Iterator[str]:
    if not labels:
        if (heading, text) not in _nothing_to_tell(facts):
            yield "cites nothing"
        return
    if unknown := [label for label in labels if label not in facts]:
        yield f"cites {', '.join(unknown)}, which the packet does not have"
        return
    text, first = with_year(text, year), facts[labels[0]]
    kind = first["values"]["direction"] if first["kind"] == "evidence" else first["kind"]
    if _HEADINGS[kind] != heading:
        yield f"stands under another heading than {_HEADINGS[kind]!r}"
    if first["kind"] == "evidence":
        yield from evidence_problems(text, subjects, facts, texts)
        return
    if is_list(first):
        if any(not is_list(facts[label]) or facts[label]["kind"] != first["kind"] for label in labels):
            yield "mixes facts of several kinds"
            return
        yield from list_problems(text, labels, facts, lambda label, slot: _text(label, slot, facts[label], texts))
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
