"""The chain in the database: read its head, append to it, read events. Only `append` ever writes the table."""

from __future__ import annotations

import heapq
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.contract.content import json_text
from health_pipeline.contract.event_chain import EVENT_COLUMNS, GENESIS, ChainHead, event_hash
from health_pipeline.review.cases import Event
from health_pipeline.review.database import in_parts
from health_pipeline.review.schema import EVENT

ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Draft:
    """An event that is not in the chain yet."""

    type: str
    actor: str
    at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)
    case_id: str | None = None
    case_version: int | None = None
    packet_hash: str | None = None
    idempotency_key: str | None = None
    event_id: str = field(default_factory=lambda: f"e-{uuid.uuid4().hex}")


def head(connection: Connection) -> ChainHead | None:
    """The newest event's number and hash, and how many events there are; None where there is none."""
    newest = connection.execute(select(EVENT.c.seq, EVENT.c.hash).order_by(EVENT.c.seq.desc()).limit(1)).first()
    if newest is None:
        return None
    count = connection.execute(select(func.count()).select_from(EVENT)).scalar_one()
    return ChainHead(newest.seq, newest.hash, count)


def append(connection: Connection, drafts: Sequence[Draft]) -> list[Event]:
    """Put events at the end of the chain, in order.

    Parameters
    ----------
    connection : in a transaction of `database.writing`, which nobody else writes beside

    Returns
    -------
    list of Event
        As they are in the chain; acknowledged once the transaction has committed.
    """
    newest = connection.execute(select(EVENT.c.seq, EVENT.c.hash).order_by(EVENT.c.seq.desc()).limit(1)).first()
    seq, before = (newest.seq, newest.hash) if newest else (0, GENESIS)
    rows: list[dict[str, Any]] = []
    for draft in drafts:
        seq += 1
        row: dict[str, Any] = {
            "seq": seq,
            "event_id": draft.event_id,
            "case_id": draft.case_id,
            "case_version": draft.case_version,
            "type": draft.type,
            "actor": draft.actor,
            "at": naive_utc(draft.at),
            "payload": json_text(draft.payload),
            "packet_hash": draft.packet_hash,
            "idempotency_key": draft.idempotency_key,
            "prev_hash": before,
        }
        before = row["hash"] = event_hash(before, row)
        rows.append(row)
    if rows:
        connection.execute(EVENT.insert(), rows)
    return [_event(row) for row in rows]


def event_of_key(connection: Connection, idempotency_key: str) -> Event | None:
    """The event that a request with that key left; None where it was never made."""
    found = connection.execute(select(EVENT).where(EVENT.c.idempotency_key == idempotency_key)).first()
    return _event(row_values(found)) if found else None


def read_events(
    connection: Connection,
    case_ids: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
    after_seq: int = 0,
    up_to_seq: int | None = None,
    limit: int | None = None,
) -> Iterator[Event]:
    """Events in order, of some cases, of some types, after a number; all of them by default."""
    query = select(EVENT).where(EVENT.c.seq > after_seq).order_by(EVENT.c.seq).limit(limit)
    if types is not None:
        query = query.where(EVENT.c.type.in_(types))
    if up_to_seq is not None:
        query = query.where(EVENT.c.seq <= up_to_seq)
    queries = [query]
    if case_ids is not None:
        queries = [query.where(EVENT.c.case_id.in_(part)) for part in in_parts(case_ids)]
    found = [_run(connection, one) for one in queries]
    return islice(heapq.merge(*found, key=lambda event: event.seq), limit)


def _run(connection: Connection, query: Select[Any]) -> Iterator[Event]:
    for row in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}):
        yield _event(row_values(row))


def row_values(row: Row[Any]) -> dict[str, Any]:
    """A row of the event table, by column."""
    return dict(zip(EVENT_COLUMNS, row, strict=True))


def _event(row: Mapping[str, Any]) -> Event:
    values = {**row, "payload": json.loads(row["payload"]), "at": row["at"].replace(tzinfo=UTC)}
    return Event(**values)
