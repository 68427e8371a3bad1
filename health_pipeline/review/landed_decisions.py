"""Lands the ledger's events on cases, like any source: each once, by sequence, with the case as it is after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

import duckdb
import pyarrow as pa

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.contract.landing import landing_tables, schema_of
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.quality.ledger_chain import ledger_head
from health_pipeline.review.action_queue import HANDED_OUT
from health_pipeline.review.cases import Case, Event
from health_pipeline.review.database import reading
from health_pipeline.review.events import read_events
from health_pipeline.review.fold import fold
from health_pipeline.review.ledger import Ledger
from health_pipeline.review.measurement import measured_as
from health_pipeline.review.permissions import SYSTEM
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
    """
    head = ledger_head(settings.ledger_url)
    if head is None:
        return None
    landing = Landing(settings.landing, settings.quarantine, settings.duckdb_memory_limit)
    earlier = [load for load in landing.loads() if load.source_system == SYSTEM_NAME]
    last_seq = landed_seq(settings, earlier)
    naive = naive_utc(moment)
    if any(load.loaded_at >= naive for load in earlier) or (earlier and head.seq <= last_seq):
        return LandedDecisions(None, last_seq)
    with Ledger.open(settings) as ledger, reading(ledger.engine) as connection:
        # in the chain's order up to the first one after the moment: a number once passed by is never looked for again
        known = list(takewhile(lambda event: event.at <= moment, read_events(connection, after_seq=last_seq)))
        fresh = [event for event in known if event.case_id]
        if not known or (earlier and not fresh):
            return LandedDecisions(None, last_seq)
        names = sorted({str(event.case_id) for event in fresh})
        table = event_rows(fresh, read_events(connection, names, up_to_seq=known[-1].seq))
    # A person decided on each row: an unusual number of them is no accident of a source.
    extract = Extract("review", SYSTEM_NAME, "incremental", (TableExtract(TABLE, table),))
    result = landing.load(extract, company, moment, accept=True)
    newest = max((event.seq for event in fresh), default=last_seq)
    return LandedDecisions(result, newest if result.is_landed else last_seq)


def landed_seq(settings: Settings, loads: Iterable[LoadRecord]) -> int:
    """Number of the newest event among committed loads of the ledger; 0 where none holds one.

    Read from the landing itself, so that a load that was never committed is not skipped, and none is landed twice.
    """
    files = [
        str(settings.landing / table.path)
        for load in loads
        for table in load.tables
        if table.table == TABLE and table.rows
    ]
    if not files:
        return 0
    with duckdb.connect() as connection:
        found = connection.execute("select max(seq) from read_parquet(?)", [files[-1:]]).fetchone()
    return int(found[0]) if found else 0


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
    }


def _joined(parts: Iterable[str]) -> str | None:
    return ",".join(sorted(parts)) or None
