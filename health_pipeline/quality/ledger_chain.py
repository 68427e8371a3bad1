"""Reads the ledger's hash chain: its head for a manifest, and the check that nothing in it was changed or lost.

The tables are the review's, to the right of here; what a chain is, is the contract's. Nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, String, column, create_engine, func, inspect, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from health_pipeline.contract.event_chain import (
    EVENT_COLUMNS,
    EVENT_TABLE,
    LOSS_ACCEPTED,
    ChainHead,
    ChainReport,
    verify_events,
)
from health_pipeline.quality.suites import Check
from health_pipeline.quality.verdict import CheckResult

_EVENTS = table(EVENT_TABLE, *(column(name, DateTime() if name == "at" else String()) for name in EVENT_COLUMNS))
ROWS_AT_ONCE = 2000


def ledger_head(ledger_url: str) -> ChainHead | None:
    """The newest event of the ledger; None where there is no ledger, or nothing in it yet."""
    with _reading(ledger_url) as connection:
        if connection is None:
            return None
        # One statement, so one moment of a ledger that people write to. Counted without a condition: by the smallest
        # index, where a count up to a number reads every event.
        count = select(func.count()).select_from(_EVENTS).scalar_subquery().label("events")
        newest = connection.execute(
            select(_EVENTS.c.seq, _EVENTS.c.hash, count).order_by(_EVENTS.c.seq.desc()).limit(1)
        ).first()
        return ChainHead(int(newest.seq), newest.hash, newest.events) if newest is not None else None


def verify_chain(ledger_url: str, anchors: Iterable[ChainHead] = ()) -> ChainReport:
    """Follow the ledger's chain; a head that is anchored in a release must still be in it.

    An anchor whose loss an admin has accepted on the record (an event of the chain itself) is not asked for again.
    """
    wanted = list(anchors)
    with _reading(ledger_url) as connection:
        if connection is None:
            return verify_events((), wanted)
        accepted = {
            json.loads(row.payload)["hash"]
            for row in connection.execute(select(_EVENTS.c.payload).where(_EVENTS.c.type == LOSS_ACCEPTED))
        }
        return verify_events(_rows(connection), [anchor for anchor in wanted if anchor.hash not in accepted])


def anchors_of(*manifests: Mapping[str, Any] | None) -> list[ChainHead]:
    """The heads that releases' manifests hold; a release from before the ledger holds none."""
    heads = [manifest.get("ledger_head") for manifest in manifests if manifest]
    return [ChainHead(**head) for head in heads if head]


def check_chain(checks: Sequence[Check], ledger_url: str, anchors: Sequence[ChainHead]) -> list[CheckResult]:
    """The result of each check of type `ledger_chain`: failed where the chain is broken or an anchored head is gone."""
    if not checks:
        return []
    error, report = "", ChainReport(None, ())
    try:
        report = verify_chain(ledger_url, anchors)
    except DBAPIError as failure:
        # A ledger that can't be read refuses publication; it does not end the audit of everything else.
        error = type(failure).__name__
    count = report.head.count if report.head else 0
    return [
        CheckResult(
            check.suite,
            check.name,
            check.type,
            check.severity,
            check.reason,
            passed=not error and report.holds,
            evaluated=not error,
            observed="" if error else " ".join(report.problems[:3]) or f"{count} events, {len(anchors)} anchors",
            unexpected_count=len(report.problems),
            error=error,
        )
        for check in checks
    ]


@contextmanager
def _reading(ledger_url: str) -> Iterator[Connection | None]:
    """A connection that only reads; None where there is no ledger yet, which is not made by looking."""
    url = make_url(ledger_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        yield None
        return
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            yield connection if inspect(connection).has_table(EVENT_TABLE) else None
    finally:
        engine.dispose()


def _rows(connection: Connection) -> Iterator[dict[str, Any]]:
    query = select(_EVENTS).order_by(_EVENTS.c.seq)
    for row in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}):
        yield dict(zip(EVENT_COLUMNS, row, strict=True))
