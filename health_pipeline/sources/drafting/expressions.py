"""The SQL that reads one column of a file as a contract column, with what has to be said about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from health_pipeline.contract.landing import Column
from health_pipeline.sources.casts import quote, text_literal
from health_pipeline.sources.drafting.knowledge import TableWords
from health_pipeline.sources.drafting.matching import SURE, Match
from health_pipeline.sources.sentences import shown

_PLACE = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Line:
    """One line of a select: a contract column, its SQL, why it is so. With `decide` it asks, and stands as a comment.

    Attributes
    ----------
    typed : the same SQL with the contract's type, for use inside another expression
    """

    column: str
    expression: str
    why: tuple[str, ...] = ()
    decide: str = ""
    typed: str = ""
    others: tuple[str, ...] = field(default=())

    @property
    def is_open(self) -> bool:
        """Whether a person has to decide before it counts."""
        return bool(self.decide)


def line_of(match: Match, wanted: Column, words: TableWords, time_zone: str | None) -> Line:
    """The line that reads a matched column.

    Parameters
    ----------
    time_zone : zone of times that name none, where the user said one
    """
    one = match.column
    why = [f"from {_told(one.name)}" + (f" ({match.doubt})" if match.doubt and match.score >= SURE else "")]
    expression, question = quote(one.name), ""
    others: tuple[str, ...] = ()
    if wanted.type in ("date", "timestamp") and one.moment is not None:
        expression, others, question, said = _moment(match, wanted, time_zone)
        why.append(said)
    elif wanted.type in ("integer", "number", "decimal") and one.number is not None:
        expression = one.number.expression(one.name)
        if one.number.kind != "plain":
            why.append(f"numbers are written with {one.number.kind if 'comma' in one.number.kind else 'a currency'}")
    elif wanted.vocabulary:
        expression, unknown, question = _words(match, wanted, words)
        why += unknown
    elif wanted.name == "currency" and one.has_lower_case:
        expression = f"upper({expression})"
    if match.score < SURE:
        question = match.doubt or "it is only alike"
    return Line(
        wanted.name, expression, tuple(part for part in why if part), question, _typed(expression, wanted), others
    )


def _typed(expression: str, wanted: Column) -> str:
    given = f"nullif({expression}::varchar, '')"
    if wanted.type == "boolean":
        return f"coalesce(lower({given}) in ('true', 't', 'yes', 'y', '1'), false)"
    if wanted.type in ("integer", "number", "decimal"):
        return f"cast({given} as {'decimal(18, 2)' if wanted.type == 'decimal' else 'double'})"
    if wanted.type in ("date", "timestamp"):
        return f"cast({given} as timestamptz)" if expression.startswith('"') else expression
    return given if not wanted.vocabulary else f"lower({expression})" if expression.startswith('"') else expression


def _moment(match: Match, wanted: Column, time_zone: str | None) -> tuple[str, tuple[str, ...], str, str]:
    """Expression, other readings, question, and what was seen."""
    form, name = match.column.moment, match.column.name
    assert form is not None
    expression = form.expression(name)
    seen = f"{form.first[:16]} to {form.last[:16]}" if form.first else "no values"
    if form.kind == "format":
        seen += f", written {form.formats[0]}"
    elif form.kind != "iso":
        seen += f", written as {form.kind} since 1970"
    if form.is_ambiguous:
        others = tuple(form.expression(name, other) for other in form.formats[1:])
        return expression, others, f"day and month can't be told apart: {' or '.join(form.formats)}", seen
    if form.has_zone or form.is_day:
        # a cast to a date would keep the day of UTC: right for a zone, and a day has none
        return expression, (), "", seen
    zone = match.column.header.zone or time_zone
    if zone is None:
        return expression, (), "", f"{seen}; no zone is written, so it is read as UTC (--time-zone says another)"
    if zone != "UTC":
        plain = (
            expression
            if form.kind == "format"
            else f"cast(nullif(trim(cast({quote(name)} as varchar)), '') as timestamp)"
        )
        moment = f"timezone({text_literal(zone)}, {plain})"
        expression = (
            f"cast(timezone({text_literal(zone)}, {plain}) at time zone {text_literal(zone)} as date)"
            if wanted.type == "date"
            else moment
        )
    return expression, (), "", f"{seen}, {zone}"


def _words(match: Match, wanted: Column, words: TableWords) -> tuple[str, list[str], str]:
    one = match.column
    known = words.words.get(wanted.name, {})
    into = {word: target for target, list_ in known.items() for word in list_}
    cases, unknown = {}, []
    for word in one.words:
        if word in wanted.vocabulary:
            continue
        target = into.get(word)
        if target:
            cases[word] = target
        else:
            unknown.append(word)
    plain = f"lower(trim({quote(one.name)}))" if one.type == "VARCHAR" else quote(one.name)
    expression = quote(one.name)
    why = []
    if cases:
        branches = " ".join(f"when {text_literal(word)} then {text_literal(to)}" for word, to in cases.items())
        expression = f"case {plain} {branches} else {plain} end"
    if unknown:
        becomes = "other" if wanted.is_required or "other" in wanted.vocabulary else "null"
        why.append(
            f"{', '.join(shown(word) for word in unknown[:5])} would become {becomes}; add a when for it, to one of "
            f"{', '.join(wanted.vocabulary)}"
        )
    return expression, why, ""


def filled_in(template: str, lines: dict[str, Line]) -> str | None:
    """A stated expression with its {places} replaced by the lines that give them; None where one is not given."""
    names = _PLACE.findall(template)
    if any(name not in lines or lines[name].is_open for name in names):
        return None
    return _PLACE.sub(lambda found: lines[found.group(1)].typed, template)


def _told(name: str) -> str:
    return shown(name)
