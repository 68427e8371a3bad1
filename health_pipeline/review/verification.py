"""Verifies a whole ledger: the chain, the anchors, the texts against their digests, the cases against their events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from health_pipeline.contract.event_chain import MAX_PROBLEMS, ChainHead, ChainReport, verify_events
from health_pipeline.review.events import ROWS_AT_ONCE, read_events, row_values
from health_pipeline.review.projection import differing_cases
from health_pipeline.review.schema import EVENT, TEXT
from health_pipeline.review.texts import changed_texts


def verify_ledger(connection: Connection, key: bytes, anchors: Iterable[ChainHead] = ()) -> ChainReport:
    """Follow the chain from its first event; then compare what lies beside it.

    Parameters
    ----------
    key : of the digests of the texts
    anchors : heads that were written down elsewhere
    """
    report = verify_events(_rows(connection), anchors)
    problems = list(report.problems)
    if report.holds:
        # Only a chain that holds can say what the rest should be.
        problems += [f"Text {one} was changed: it does not give its digest." for one in changed_texts(connection, key)]
        problems += [f"Text {one} is gone, and nobody erased it." for one in _lost_texts(connection)]
        problems += [
            f"Case {one} is not what its events say; `health-pipeline ledger rebuild` makes it anew."
            for one in differing_cases(connection, read_events(connection))
        ]
    return replace(report, problems=tuple(problems[:MAX_PROBLEMS]))


def _rows(connection: Connection) -> Iterator[Mapping[str, Any]]:
    query = select(EVENT).order_by(EVENT.c.seq)
    for row in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}):
        yield row_values(row)


def _lost_texts(connection: Connection) -> list[str]:
    """Texts the chain speaks of that have no row, or were erased without an event that says so."""
    bodies = {row.text_id: row.body for row in connection.execute(select(TEXT.c.text_id, TEXT.c.body))}
    named, erased = set(), set()
    for event in read_events(connection):
        named |= {reference["text_id"] for reference in event.payload.get("texts", {}).values()}
        if event.type == "text_erased":
            erased.add(event.payload["text_id"])
    return sorted(one for one in named if bodies.get(one) is None and one not in erased)
