"""Sentences on evidence: the pieces of one signal that speak of one figure are told together, each of them cited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from health_pipeline.risk.citations import Citation
from health_pipeline.risk.phrasing import (
    TABLE_NOUNS,
    amount,
    claim,
    days_listed,
    is_yes_or_no,
    listed,
    number,
    sentence,
    several,
    spread,
    words,
)

# Quotes told in one sentence, and figures told with their line and records; the desk shows all of them.
SHOWN_QUOTES = 2
SHOWN_WITH_RECORDS = 3


def evidence_sentences(pieces: Sequence[Citation]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Tell pieces of one direction; the sentences, each with the labels it rests on, in the order of their pieces.

    Parameters
    ----------
    pieces : citations of kind `evidence`
    """
    groups: dict[tuple[Any, ...], list[Citation]] = {}
    for one in pieces:
        groups.setdefault(_same_figure(one), []).append(one)
    whole: list[list[Citation]] = []
    rest: list[list[Citation]] = []
    for group in groups.values():
        # a quote and what is inferred from absence are not shortened
        is_short = len(whole) >= SHOWN_WITH_RECORDS and not group[0].texts and not _is_absent(group[0])
        (rest if is_short else whole).append(group)
    for group in whole:
        yield _told(group), tuple(one.label for one in group)
    if rest:
        yield (
            f"Also: {'; '.join(_claims(group) for group in rest)}.",
            tuple(one.label for group in rest for one in group),
        )


def _is_absent(one: Citation) -> bool:
    return bool(one.values["kind"] == "inferred_from_absence")


def _same_figure(one: Citation) -> tuple[Any, ...]:
    names = ("subject", "metric", "threshold", "baseline", "kind")
    return (*(one.values[name] for name in names), bool(one.texts))


def _told(group: Sequence[Citation]) -> str:
    first = group[0].values
    said = _claims(group) + _line(first)
    if group[0].texts:
        quotes = [f"“⟦{one.label}.quote⟧”" for one in group[:SHOWN_QUOTES]]
        more = [f"{len(group) - SHOWN_QUOTES} more"] if len(group) > SHOWN_QUOTES else []
        return f"{listed([*quotes, *more])} in {' and in '.join(_records(group))}: {said}."
    if _is_absent(group[0]):
        return f"Inferred from absence: {said}; last on record: {', '.join(_records(group))}."
    return f"{sentence(said)}, by {' and by '.join(_records(group))}."


def _claims(group: Sequence[Citation]) -> str:
    """What the figure says; the least and the greatest where the records give several."""
    metric, is_against = group[0].values["metric"], group[0].values["direction"] == "contradicts"
    values = {one.values["value"] for one in group}
    known = sorted(value for value in values if value is not None)
    said = list(dict.fromkeys(claim(metric, value, is_against) for value in known)) or [claim(metric, None)]
    return said[0] if len(said) == 1 else spread(said[0], said[-1], "to" if len(said) > 2 else "and")


def _records(group: Sequence[Citation]) -> list[str]:
    """The records cited by their kind, each record once: how many, of which days."""
    found: dict[str, dict[Any, date]] = {}
    for one in group:
        table = one.values["table"]
        found.setdefault(TABLE_NOUNS.get(table, words(table)), {})[one.record] = one.values["observed_on"]
    return [
        f"{several(len(records), noun)} of {days_listed(sorted(set(records.values())))}"
        for noun, records in found.items()
    ]


def _line(values: Mapping[str, Any]) -> str:
    """The threshold and what the value is compared with; a yes or no has none to show."""
    metric = values["metric"]
    if is_yes_or_no(metric):
        return ""
    parts = [] if values["threshold"] is None else [f"threshold {amount(metric, values['threshold'])}"]
    if values["baseline"] is not None:
        # a count of another feature: the seats behind a share of them
        parts.append(f"compared with {number(values['baseline'])}")
    return f" ({', '.join(parts)})" if parts else ""
