"""Lands the ledger's events on cases, like any source: each once, by sequence, with the case as it is after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy import Connection, select

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.contract.event_chain import GENESIS, LOSS_ACCEPTED, LOST, LOST_PREFIX, ChainHead
from health_pipeline.contract.landing import landing_tables, schema_of
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.quality.ledger_chain import ledger_head
from health_pipeline.review.action_queue import HANDED_OUT
from health_pipeline.review.cases import Case, Event
from health_pipeline.review.database import LedgerError, reading
from health_pipeline.review.events import read_events
from health_pipeline.review.fold import fold
from health_pipeline.review.ledger import Ledger
from health_pipeline.review.measurement import measured_as
from health_pipeline.review.permissions import SYSTEM
from health_pipeline.review.schema import EVENT
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing, LoadRecord, LoadResult

SYSTEM_NAME = "review_ledger"
TABLE = "review_event"


@dataclass(frozen=True)
class LandedDecisions:
    """What a landing did: the load's result, None where there was nothing new; the newest event that is landed now."""

    load: LoadResult | None
    last_seq: int


def land_decisions(settings: Settings, company: CompanyPolicy, moment: datetime) -> LandedDecisions | None:
    """Land what the ledger holds on cases since the newest landed event, as it was at an instant.

    The first load is landed even where it is empty: from then on the ledger is connected, and nobody having decided is
    zero, not unknown. Later, nothing new leaves no load. None where there is no ledger yet.

    Parameters
    ----------
    moment : when the extract is made, UTC; events after it wait for the next one. Where a later extract is landed
        already nothing is done: what it brought was not known before

    Raises
    ------
    LedgerError
        If the ledger lacks events that are landed, and nobody has accepted that they are lost.
    """
    if ledger_head(settings.ledger_url) is None:
        return None
    landing = Landing(settings.landing, settings.quarantine, settings.duckdb_memory_limit)
    earlier = [load for load in landing.loads() if load.source_system == SYSTEM_NAME]
    naive = naive_utc(moment)
    with Ledger.open(settings) as ledger, reading(ledger.engine) as connection:
        last_seq, lost = compared(connection, landed_files(settings, earlier))
        accepted = _accepted(connection, last_seq) if lost else None
        if lost and accepted is None:
            raise LedgerError(lost_sentence(lost))
        is_later = accepted is not None and accepted.at > moment
        if is_later or any(load.loaded_at >= naive for load in earlier):
            return LandedDecisions(None, last_seq)
        # in the chain's order up to the first one after the moment: a number once passed by is never looked for again
        known = list(takewhile(lambda event: event.at <= moment, read_events(connection, after_seq=last_seq)))
        fresh = [event for event in known if event.case_id]
        if not known or (earlier and not fresh and not lost):
            return LandedDecisions(None, last_seq)
        names = sorted({str(event.case_id) for event in fresh})
        table = event_rows(fresh, read_events(connection, names, up_to_seq=known[-1].seq))
    if accepted is not None:
        table = pa.concat_tables([table, lost_rows(lost, accepted)])
    # A person decided on each row: an unusual number of them is no accident of a source.
    extract = Extract("review", SYSTEM_NAME, "incremental", (TableExtract(TABLE, table),))
    result = landing.load(extract, company, moment, accept=True)
    newest = max((event.seq for event in fresh), default=last_seq)
    return LandedDecisions(result, newest if result.is_landed else last_seq)


def landed_files(settings: Settings, loads: Iterable[LoadRecord]) -> list[str]:
    """Files of committed loads of the ledger that hold an event, the oldest first.

    The landing itself is read, so that a load that was never committed is not skipped, and none is landed twice.
    """
    return [
        str(settings.landing / table.path)
        for load in loads
        for table in load.tables
        if table.table == TABLE and table.rows
    ]


def compared(ledger: Connection, files: Sequence[str]) -> tuple[int, list[dict[str, Any]]]:
    """Number of the newest landed event that the ledger has, 0 where there is none; and landed events that it lacks.

    The newest file alone is looked at where its newest event is in the ledger: then all before it are, because the
    ledger only grows. Else the ledger was restored from a copy that is older than what was landed.
    """
    if not files:
        return 0, []
    with duckdb.connect() as connection:
        newest = connection.execute(
            "select event_id from read_parquet(?) where event_type <> ? order by seq desc, event_id desc limit 1",
            [files[-1:], LOST],
        ).fetchone()
        if newest is not None and (known := _numbers(ledger, newest[0])):
            return known[newest[0]], []
        landed = connection.execute(
            "select * from read_parquet(?, union_by_name = true) order by seq, event_id", [list(files)]
        ).to_arrow_table()
    rows: list[dict[str, Any]] = landed.to_pylist()
    number_of = _numbers(ledger)
    told = {row["event_id"].removeprefix(LOST_PREFIX) for row in rows if row["event_type"] == LOST}
    lost = [row for row in rows if row["event_type"] != LOST and row["event_id"] not in {*number_of, *told}]
    return max((number_of.get(row["event_id"], 0) for row in rows), default=0), lost


def _numbers(ledger: Connection, event_id: str | None = None) -> dict[str, int]:
    """The number of each event in the ledger, or of the one of that id."""
    query = select(EVENT.c.event_id, EVENT.c.seq)
    if event_id is not None:
        query = query.where(EVENT.c.event_id == event_id)
    return {row.event_id: row.seq for row in ledger.execute(query)}


def _accepted(ledger: Connection, last_seq: int) -> Event | None:
    """The event by which an admin gave up what is lost."""
    return next(read_events(ledger, types=[LOSS_ACCEPTED], after_seq=last_seq), None)


def lost_head(settings: Settings) -> ChainHead:
    """The newest landed event that the ledger lacks; its hash was not landed.

    Raises
    ------
    LedgerError
        If the ledger has every event that was landed.
    """
    landing = Landing(settings.landing, settings.quarantine, settings.duckdb_memory_limit)
    files = landed_files(settings, (load for load in landing.loads() if load.source_system == SYSTEM_NAME))
    with Ledger.open(settings) as ledger, reading(ledger.engine) as connection:
        _, lost = compared(connection, files)
    if not lost:
        raise LedgerError("The ledger has every event that was landed; there is no loss to accept.")
    return ChainHead(lost[-1]["seq"], GENESIS, lost[-1]["seq"])


def lost_sentence(lost: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with a ledger that lacks landed events, and what to do."""
    newest = lost[-1]
    return (
        f"The ledger lacks {len(lost)} events that were landed already, up to event {newest['seq']} of "
        f"{newest['occurred_at']:%Y-%m-%d %H:%M} UTC: it comes from an older copy. Nothing was landed; restore a newer "
        "copy, or, where they are lost for good, run `health-pipeline ledger accept-loss`."
    )


def lost_rows(lost: Iterable[Mapping[str, Any]], accepted: Event) -> pa.Table:
    """One row for each landed event that is lost for good: from its landing on the event counts for nothing.

    Parameters
    ----------
    accepted : the event by which an admin accepted the loss
    """
    told = {"event_type": LOST, "measured_as": None, "is_by_person": True, "actor": accepted.actor}
    moment = naive_utc(accepted.at)
    rows = [{**row, **told, "event_id": LOST_PREFIX + row["event_id"], "occurred_at": moment} for row in lost]
    return pa.Table.from_pylist(rows, schema=schema_of(landing_tables()[TABLE].columns))


def event_rows(events: Iterable[Event], history: Iterable[Event]) -> pa.Table:
    """Events in the columns of the landing's `review_event`: ids and choices, no words of anybody.

    Parameters
    ----------
    events : to land
    history : every event of their cases, each case's in order
    """
    wanted = {event.event_id for event in events}
    found = [_row(event, case) for event, case in _folded(history) if event.event_id in wanted]
    ordered = sorted(found, key=lambda row: int(row["seq"]))
    return pa.Table.from_pylist(ordered, schema=schema_of(landing_tables()[TABLE].columns))


def _folded(history: Iterable[Event]) -> Iterator[tuple[Event, Case]]:
    cases: dict[str, Case] = {}
    for event in history:
        name = str(event.case_id)
        cases[name] = fold(cases.get(name), event)
        yield event, cases[name]


def _row(event: Event, case: Case) -> Mapping[str, Any]:
    values, proposal, approval = event.payload, case.proposal, case.approval
    is_confirmed = case.severity_status == "confirmed"
    return {
        "event_id": event.event_id,
        "seq": event.seq,
        "case_id": case.case_id,
        "case_version": case.version,
        "source_account_id": case.account_id,
        "event_type": event.type,
        "measured_as": measured_as(event),
        "actor": event.actor,
        # Another system that pulls an approved action is nobody either.
        "is_by_person": event.actor != SYSTEM and event.type != HANDED_OUT,
        "occurred_at": naive_utc(event.at),
        "packet_hash": event.packet_hash,
        "mitigation": values.get("mitigation"),
        "response": values.get("response"),
        "has_reason": "reason" in values.get("texts", {}) or values.get("reason_code") is not None,
        "state": case.state,
        "side": case.side,
        "category": case.category,
        "suggested_severity": case.suggested_severity,
        "confirmed_severity": case.severity if is_confirmed else None,
        "confirmed_causes": _joined(one.cause_id for one in case.causes if one.state == "confirmed"),
        "settled_assumptions": _joined(
            one.assumption_id for one in case.assumptions if one.state in {"verified", "accepted"}
        ),
        "escalation": case.escalation,
        "decision": proposal.decision if proposal else None,
        "approved_at": naive_utc(approval.approved_at) if approval else None,
        "assigned_owner_email": case.owner_email if case.is_owner_assigned else None,
        "follow_up_date": case.follow_up_on,
        "residual_target": proposal.residual_target if proposal else None,
        "residual_actual": case.residual_actual,
        "outcome": case.outcome,
        "dismissal_reason": case.dismissal_reason,
        "audited_week": case.week if case.audit else None,
        "audit_finding": case.audit.finding if case.audit else None,
        "missed_category": case.audit.category if case.audit else None,
        "missed_signal": case.audit.signal_id if case.audit else None,
    }


def _joined(parts: Iterable[str]) -> str | None:
    return ",".join(sorted(parts)) or None
