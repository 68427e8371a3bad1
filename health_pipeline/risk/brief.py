"""Writes a packet's brief: one page in plain words, one cited sentence per fact, what is missing first. Deterministic.

Texts of records stand as placeholders, `“⟦F1.name⟧”`: what is stored holds no word of a customer, and a text that is
deleted disappears from every brief. `render` fills them in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from health_pipeline.policy.wording import TIER_WORDS, counted, readable
from health_pipeline.risk.citations import Citation
from health_pipeline.risk.phrasing import (
    ERASED,
    MISSING_WORDS,
    TABLE_NOUNS,
    amount,
    claim,
    day,
    is_yes_or_no,
    listed,
    number,
    quoted,
    sentence,
    shown,
    words,
)

# Headings in order, with the kinds of fact told under each.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("header",)),
    ("What is not known", ("missing",)),
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
        return " ".join([self.text, *(f"[{label}]" for label in self.cites)])


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
    return tuple(statements)


def _told(kind: str, citations: Sequence[Citation], heading: str) -> Iterator[Statement]:
    if kind in ("supports", "contradicts"):
        pieces = [one for one in citations if one.kind == "evidence" and one.values["direction"] == kind]
        for same, group in groupby(pieces, key=_same_sentence):
            yield _evidence(list(group), heading, is_quote=same[-1] is not None)
        return
    for one in citations:
        if one.kind == kind:
            yield Statement(heading, _WRITERS[kind](one), (one.label, *one.supported_by))


def _same_sentence(one: Citation) -> tuple[Any, ...]:
    """Pieces that say the same of several records are told in one sentence; a quote has its own."""
    names = ("subject", "metric", "value", "baseline", "threshold", "kind", "table")
    return (*(one.values[name] for name in names), one.label if one.texts else None)


def _evidence(group: Sequence[Citation], heading: str, is_quote: bool) -> Statement:
    first, labels = group[0].values, tuple(one.label for one in group)
    noun = TABLE_NOUNS.get(first["table"], words(first["table"]))
    days = listed([day(moment) for moment in sorted({one.values["observed_on"] for one in group})])
    said = claim(first["metric"], first["value"]) + _line(first)
    if is_quote:
        text = f"“⟦{labels[0]}.quote⟧”, says a {noun} of {days}: {said}."
    elif first["kind"] == "inferred_from_absence":
        text = f"Inferred from absence: {said}; the last record is a {noun} of {days}."
    elif noun == "use":
        text = f"{sentence(said)}, by use of {days}."
    else:
        text = f"{sentence(said)}, by {counted(len(group), noun) if noun != 'use' else noun} of {days}."
    return Statement(heading, text, labels)


def _line(values: Mapping[str, Any]) -> str:
    """The threshold and what the value is compared with; a yes or no has none to show."""
    metric = values["metric"]
    if is_yes_or_no(metric):
        return ""
    parts = [] if values["threshold"] is None else [f"line {amount(metric, values['threshold'])}"]
    if values["baseline"] is not None:
        # a count of another feature: the seats behind a share of them
        parts.append(f"compared with {number(values['baseline'])}")
    return f" ({', '.join(parts)})" if parts else ""


def _header(one: Citation) -> str:
    v = one.values
    severity = f"{v['severity']} severity, {v['severity_status']}" if v["severity"] else "severity not assessed"
    owner = quoted(v["owner"]) if v["owner"] else "nobody"
    return (
        f"{quoted(v['account'] or v['account_id'])}: {words(v['category'])}, {severity}. "
        f"Week of {day(v['week'])}, as known on {day(v['known_on'])}; opened in the week of {day(v['opened_week'])}, "
        f"{counted(v['occurrences'], 'week')} with signals. Owner: {owner}. "
        f"Answer by {day(v['respond_by'])}: {words(v['role'])}, {v['channel']}."
    )


def _missing(one: Citation) -> str:
    why = MISSING_WORDS.get(one.values["why"], words(one.values["why"]))
    return f"{sentence(words(one.values['what']))} is not known: {why}."


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
    if v["due_date"] is None:
        due = "has no date"
    elif v["is_overdue"]:
        due = f"was due on {day(v['due_date'])} and is overdue"
    else:
        due = f"is due on {day(v['due_date'])}"
    figures = [
        f"{said} {number(v[key])}"
        for said, key in (("now", "current"), ("agreed", "target"), ("at the start", "baseline"))
        if v[key] is not None
    ]
    unit = f" in “⟦{label}.unit⟧”" if "unit" in one.texts and figures else ""
    validated = f"last validated on {day(v['validated_on'])}" if v["validated_on"] else "never validated"
    return "; ".join(part for part in (f"{name}{status} {due}", f"{', '.join(figures)}{unit}", validated) if part) + "."


def _goals_reached(one: Citation) -> str:
    v = one.values
    return f"{counted(v['goals'], 'goal')} on record: {v['reached']} reached, {v['open']} open."


def _change(one: Citation) -> str:
    v = one.values
    what, before, now = sentence(readable(v["what"])), v["before"], v["now"]
    since = f" since the week of {day(v['since'])}"
    if _is_number(before) and _is_number(now):
        moved = "rose" if now > before else "fell"
        return f"{what} {moved} from {amount(v['what'], before)} to {amount(v['what'], now)}{since}."
    return f"{what} was {_state(v['what'], before)} and is {_state(v['what'], now)}{since}."


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
    name = f"“⟦{label}.name⟧”" if "name" in one.texts else "A contact without a name"
    title = f", “⟦{label}.title⟧”" if "title" in one.texts else ""
    role = words(v["role"]) if v["role"] else "role unknown"
    if v["is_there"]:
        there = "there"
    else:
        there = f"left on {day(v['left_on'])}" if v["left_on"] else "no longer there, since when is not known"
    touch = f"last two-way touch on {day(v['touched_on'])}" if v["touched_on"] else "no two-way touch on record"
    since = " since" if v["touched_on"] else ""
    missed = f"; missed {counted(v['missed'], 'meeting')}{since}" if v["missed"] else ""
    return f"{name}{title}, {role}: {there}; {touch}{missed}."


def _value(one: Citation) -> str:
    return f"Recurring revenue of {number(one.values['amount'])} {one.values['currency']} a year."


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


def _mood(one: Citation) -> str:
    v = one.values
    what = sentence(readable(v["metric"]))
    first, last = amount(v["metric"], v["first"]), amount(v["metric"], v["last"])
    if v["first_week"] == v["last_week"]:
        return f"{what} is {last} in the week of {day(v['last_week'])}."
    weeks = f"the weeks of {day(v['first_week'])} and {day(v['last_week'])}"
    if v["first"] == v["last"]:
        return f"{what} was {first} and is {last}, unchanged between {weeks}."
    return f"{what} {'rose' if v['last'] > v['first'] else 'fell'} from {first} to {last} between {weeks}."


def _register(one: Citation) -> str:
    v, label = one.values, one.label
    title = f"“⟦{label}.title⟧”" if "title" in one.texts else "An entry without a title"
    category = f" ({words(v['category'])})" if v["category"] else ""
    status = words(v["status"]) if v["status"] else "of unknown status"
    rated = ""
    if v["likelihood"] is not None and v["impact"] is not None:
        rated = f", likelihood {v['likelihood']} and impact {v['impact']} of 5"
    closed = f", closed on {day(v['closed_on'])}" if v["closed_on"] else ""
    return f"{title}{category} is {status} in the register, identified on {day(v['identified_on'])}{closed}{rated}."


def _episode(one: Citation) -> str:
    v = one.values
    severity = f"{v['severity']} severity" if v["severity"] else "severity not assessed"
    return (
        f"An earlier {v['side']} ({words(v['category'])}, {severity}) ran from the week of "
        f"{day(v['opened_week'])} to the "
        f"week of {day(v['last_week'])}; its state was {words(v['state'])}."
    )


def _rated(pair: Sequence[int]) -> str:
    names = ("likelihood", "impact")
    parts = [
        f"{name} {rating} of 5" if rating else f"{name} not assessed" for name, rating in zip(names, pair, strict=True)
    ]
    return ", ".join(parts)


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
    reasons = [
        f"{words(category)} ({counted(signals, 'signal')}, the strongest {strongest}, "
        f"{counted(kinds, 'kind')} of source)"
        for category, signals, strongest, kinds in v["reasons"][:2]
    ]
    category = f" Category: {' before '.join(reasons)}." if reasons else ""
    return (
        f"Before any control {_rated(v['inherent'])}; as it stands {_rated(v['current'])}; residual: a person's to "
        f"set. Severity: {v['severity'] or 'none suggested'}, {_RULES[v['rule']]}.{category}"
    )


def _cause(one: Citation) -> str:
    return f"{sentence(one.values['status'])}: {one.values['says']}"


def _assumption(one: Citation) -> str:
    return f"{'Verified' if one.values['is_verified'] else 'Not verified'}: {one.values['says']}"


def _option(one: Citation) -> str:
    v = one.values
    alone = ", a person's choice alone" if v["is_sensitive"] else ""
    # what is met already needs no reader
    parts = [f"{said}: {' '.join(left)}" for state, said in _LEFT if (left := _asked(v, state))]
    return f"{v['title']}, {number(v['hours'])} h, approved by the {words(v['approval_role'])}{alone}.{''.join(parts)}"


_LEFT = (("not_met", " Not met"), ("to_be_checked", " To be checked"))


def _asked(v: Mapping[str, Any], state: str) -> list[str]:
    return [says for says, met in v["preconditions"] if met == state]


def _stop_rule(one: Citation) -> str:
    return f"{one.values['says']} Blocks {one.values['blocks']}."


_WRITERS: dict[str, Callable[[Citation], str]] = {
    "header": _header,
    "missing": _missing,
    "event": _event,
    "quiet": _quiet,
    "goal": _goal,
    "goals_reached": _goals_reached,
    "change": _change,
    "person": _person,
    "value": _value,
    "contract": _contract,
    "deal": _deal,
    "mood": _mood,
    "register": _register,
    "episode": _episode,
    "rating": _rating,
    "cause": _cause,
    "assumption": _assumption,
    "option": _option,
    "stop_rule": _stop_rule,
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
