"""Writes a packet's brief: one page in plain words, every fact cited once, what is missing first. Deterministic.

Facts of one kind that have something in common share a sentence; the evidence behind one is on the packet's page.
A date without a year is of the year of the week. Texts of records stand as placeholders, `“⟦F1.name⟧”`: what is stored
holds no word of a customer, and a text that is deleted disappears from every brief. `render` fills them in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from health_pipeline.policy.wording import counted
from health_pipeline.risk.citations import Citation
from health_pipeline.risk.ending import ENDING_WRITERS, HEADING
from health_pipeline.risk.evidence_sentences import evidence_sentences
from health_pipeline.risk.listed_facts import LISTINGS, is_listed
from health_pipeline.risk.phrasing import (
    ERASED,
    cited,
    claim,
    day,
    listed,
    number,
    quoted,
    sentence,
    shown,
    without_year,
    words,
)

# Headings in order, with the kinds of fact told under each.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("header",)),
    ("What is not known", ("missing",)),
    (HEADING, tuple(ENDING_WRITERS)),
    ("What may happen", ("event", "quiet")),
    ("What was seen", ("supports",)),
    ("What speaks against it", ("contradicts",)),
    ("What the customer wants", ("goal", "goals_reached")),
    ("What changed", ("change",)),
    ("Who is there", ("person",)),
    ("Contract and money", ("value", "contract", "deal")),
    ("Mood over the weeks", ("mood",)),
    ("Earlier risks", ("register", "episode")),
    ("Rating", ("rating",)),
    ("Causes looked into", ("cause",)),
    ("Taken for granted", ("assumption",)),
    ("Options, none chosen", ("option",)),
    ("What holds it", ("stop_rule",)),
)
NOTHING_MISSING = "Every domain that applies to the account could be read."
NOTHING_AGAINST = "Evidence against it was looked for; none was found."
PLACEHOLDER = re.compile(r"⟦([A-Z]\d+)\.([a-z]+)⟧")


@dataclass(frozen=True)
class Statement:
    """One sentence of a brief, under its heading, with the labels of the facts it tells."""

    section: str
    text: str
    cites: tuple[str, ...]

    @property
    def line(self) -> str:
        """The sentence with its citations."""
        return cited(self.text, self.cites)


def write_brief(citations: Sequence[Citation]) -> tuple[Statement, ...]:
    """Write the brief of a packet's facts; the same facts give the same text.

    Parameters
    ----------
    citations : as `citations_of` gives them

    Returns
    -------
    tuple of Statement
        In the order of `SECTIONS`; a heading without a fact is left out, but for what is missing or speaks against.
    """
    statements: list[Statement] = []
    for heading, kinds in SECTIONS:
        told = [statement for kind in kinds for statement in _told(kind, citations, heading)]
        if not told and heading == "What is not known":
            told = [Statement(heading, NOTHING_MISSING, ())]
        if not told and heading == "What speaks against it":
            told = [Statement(heading, NOTHING_AGAINST, ())]
        statements += told
    year = next((one.values["week"].year for one in citations if one.kind == "header"), 0)
    return tuple(replace(one, text=without_year(one.text, year)) if one.section else one for one in statements)


def _told(kind: str, citations: Sequence[Citation], heading: str) -> Iterator[Statement]:
    if kind in ("supports", "contradicts"):
        pieces = [one for one in citations if one.kind == "evidence" and one.values["direction"] == kind]
        for text, labels in evidence_sentences(pieces):
            yield Statement(heading, text, labels)
        return
    together: dict[object, list[Citation]] = {}
    for one in citations:
        if one.kind == kind:
            shared = ("shared", LISTINGS[kind].shared(one)) if is_listed(one) else ("alone", one.label)
            together.setdefault(shared, []).append(one)
    for group in together.values():
        first = group[0]
        if is_listed(first):
            yield Statement(heading, LISTINGS[kind].told(group), tuple(one.label for one in group))
        else:
            yield Statement(heading, _WRITERS[kind](first), (first.label, *first.supported_by))


def _header(one: Citation) -> str:
    v = one.values
    severity = f"{v['severity']} severity ({v['severity_status']})" if v["severity"] else "severity not assessed"
    owner = f"Owner {quoted(v['owner'])}" if v["owner"] else "No owner"
    return (
        f"{quoted(v['account'] or v['account_id'])}: {words(v['category'])}, {severity}. "
        f"Week of {day(v['week'])}, known on {day(v['known_on'])}; open since the week of {day(v['opened_week'])}, "
        f"{counted(v['occurrences'], 'week')} with signals. {owner}; "
        f"the {words(v['role'])} answers by {day(v['respond_by'])} ({v['channel']})."
    )


def _event(one: Citation) -> str:
    v = one.values
    observed = listed([claim(metric, value) for metric, value in v["because_of"]])
    return (
        f"Because of {observed}, affecting {v['affecting']}, there is a possibility that {v['possibility']}, "
        f"resulting in {v['resulting_in']}."
    )


def _quiet(one: Citation) -> str:
    last = f"Nothing fired in this week; the last time was the week of {day(one.values['last_fired_week'])}"
    return f"{last}. It is proposed for closing, and only a person closes it." if one.values["is_quiet"] else f"{last}."


def _goal(one: Citation) -> str:
    v, label = one.values, one.label
    name = f"“⟦{label}.name⟧”" if "name" in one.texts else "A goal without a name"
    status = f" ({words(v['status'])})" if v["status"] else ""
    due = ", without a date"
    if v["due_date"] is not None:
        due = f", due on {day(v['due_date'])}{', overdue' if v['is_overdue'] else ''}"
    figures = [
        f"{said} {number(v[key])}"
        for said, key in (("now", "current"), ("agreed", "target"), ("start", "baseline"))
        if v[key] is not None
    ]
    unit = f" “⟦{label}.unit⟧”" if "unit" in one.texts and figures else ""
    validated = f"validated on {day(v['validated_on'])}" if v["validated_on"] else "never validated"
    return "; ".join(part for part in (f"{name}{status}{due}", f"{', '.join(figures)}{unit}", validated) if part) + "."


def _goals_reached(one: Citation) -> str:
    v = one.values
    return f"{counted(v['goals'], 'goal')} on record: {v['reached']} reached, {v['open']} open."


def _value(one: Citation) -> str:
    return f"Recurring revenue of {one.values['amount']:,.0f} {one.values['currency']} a year."


def _contract(one: Citation) -> str:
    v = one.values
    renews = {
        True: "renews by itself",
        False: "does not renew by itself",
        None: "whether it renews by itself is unknown",
    }
    ends = "The end of the contract's period is unknown"
    if v["period_ends_on"] is not None:
        when = f"in {counted(v['days'], 'day')}" if v["days"] >= 0 else f"{counted(-v['days'], 'day')} ago"
        ends = f"The contract's period ends on {day(v['period_ends_on'])}, {when}"
    notice = f"; a notice ends it on {day(v['ends_on'])}" if v["ends_on"] else ""
    return f"{ends}; {'it ' if v['is_auto_renewing'] is not None else ''}{renews[v['is_auto_renewing']]}{notice}."


def _deal(one: Citation) -> str:
    v = one.values
    stage = f"in the stage {quoted(v['stage'])}" if v["stage"] else "in a stage that is not known"
    due = f", due on {day(v['due_date'])}" if v["due_date"] else ""
    return f"A renewal is open {stage}{due}."


def _register(one: Citation) -> str:
    v, label = one.values, one.label
    title = f"“⟦{label}.title⟧”" if "title" in one.texts else "An entry without a title"
    category = f" ({words(v['category'])})" if v["category"] else ""
    status = words(v["status"]) if v["status"] else "of unknown status"
    rated = ""
    if v["likelihood"] is not None and v["impact"] is not None:
        rated = f", likelihood {v['likelihood']} and impact {v['impact']} of 5"
    closed = f" on {day(v['closed_on'])}" if v["closed_on"] else ""
    return f"{title}{category}: {status}{closed}, in the register since {day(v['identified_on'])}{rated}."


def _episode(one: Citation) -> str:
    v = one.values
    severity = f"{v['severity']} severity" if v["severity"] else "severity not assessed"
    return (
        f"An earlier {v['side']} ({words(v['category'])}, {severity}) ran from the week of "
        f"{day(v['opened_week'])} to the "
        f"week of {day(v['last_week'])}; its state was {words(v['state'])}."
    )


_RULES = {
    "matrix": "by the matrix",
    "always_critical": "because a critical signal fired",
    "as_last_fired": "as when something fired last",
    "nothing_fired": "because nothing fires",
    "no_evidence": "because nothing supports it",
    "value_unknown": "because the value at stake is not known",
    "confirmed": "confirmed by a person",
}


def _rating(one: Citation) -> str:
    v = one.values
    before, now = (
        [f"{rating}" if rating else "not assessed" for rating in v[name]] for name in ("inherent", "current")
    )
    reasons = [
        f"{words(category)} ({counted(signals, 'signal')}, strongest {strongest}, {counted(kinds, 'kind')} of source)"
        if place == 0
        else f"{words(category)} ({counted(signals, 'signal')}, {strongest}, {counted(kinds, 'kind')})"
        for place, (category, signals, strongest, kinds) in enumerate(v["reasons"][:2])
    ]
    category = f" Category: {', ahead of '.join(reasons)}." if reasons else ""
    return (
        f"Likelihood {before[0]} and impact {before[1]} of 5 before any control, {now[0]} and {now[1]} as it stands; "
        f"{_residual(*v['residual'])}. Severity: {v['severity'] or 'none suggested'}, {_RULES[v['rule']]}.{category}"
    )


def _residual(target: str | None, actual: str | None) -> str:
    """What a person said may remain, and what a person found to remain."""
    said = [f"{what} is {risk}" for what, risk in (("may remain", target), ("remains", actual)) if risk]
    return f"the risk that {' and that '.join(said)}" if said else "residual risk not set"


def _cause(one: Citation) -> str:
    return f"{sentence(one.values['status'])}: {one.values['says']}"


def _told_of_ending(one: Citation) -> str:
    return ENDING_WRITERS[one.kind](one.values)


_WRITERS: dict[str, Callable[[Citation], str]] = {
    "header": _header,
    "event": _event,
    "quiet": _quiet,
    "goal": _goal,
    "goals_reached": _goals_reached,
    "value": _value,
    "contract": _contract,
    "deal": _deal,
    "register": _register,
    "episode": _episode,
    "rating": _rating,
    "cause": _cause,
    **dict.fromkeys(ENDING_WRITERS, _told_of_ending),
}


def render(line: str, texts: Callable[[str, str], str | None]) -> str:
    """Fill in the texts of one line, once: what a text holds is not looked at again.

    Parameters
    ----------
    texts : label and slot to text; None where it was deleted or is not kept
    """

    def fill(found: re.Match[str]) -> str:
        text = texts(found.group(1), found.group(2))
        return ERASED if text is None else shown(text)

    return PLACEHOLDER.sub(fill, line)
