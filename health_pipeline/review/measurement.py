"""The measurement events: which event of the ledger is which measurement, and their rows for the mart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC

import pyarrow as pa

from health_pipeline.contract.mart import mart_tables
from health_pipeline.review.cases import Case, Event

# Every type of measurement there is, and the ledger's events it is read from. A dismissal records its outcome.
MEASURED_AS: dict[str, str] = {
    "risk_detected": "risk_detected",
    "packet_built": "packet_built",
    "packet_viewed": "packet_viewed",
    "evidence_opened": "evidence_opened",
    "owner_assigned": "owner_assigned",
    "assumption_verified": "assumption_verified",
    "cause_confirmed": "cause_confirmed",
    "proposed": "proposed",
    "approved": "approved",
    "rejected": "rejected",
    "refused_by_stop_rule": "refused_by_stop_rule",
    "deferred": "deferred",
    "escalated": "escalated",
    "action_taken": "action_taken",
    "response_recorded": "response_recorded",
    "outcome_recorded": "outcome_recorded",
    "dismissed": "outcome_recorded",
    "residual_risk_recorded": "residual_risk_recorded",
    "reopened": "reopened",
    "superseded": "superseded",
}
MEASUREMENT_TYPES: tuple[str, ...] = tuple(dict.fromkeys(MEASURED_AS.values()))


def measurement_rows(events: Iterable[Event], cases: Mapping[str, Case]) -> pa.Table:
    """Measurement events in the mart's columns: ids and types, no words and no person.

    Parameters
    ----------
    events : of the ledger, in order
    cases : by id; gives the account

    Returns
    -------
    pyarrow.Table
        Rows of `measurement_events`, ordered by event id.
    """
    rows = [
        {
            "event_id": event.event_id,
            "case_id": event.case_id,
            "account_id": cases[event.case_id].account_id,
            "packet_id": event.case_id,
            "event_type": MEASURED_AS[event.type],
            "occurred_at": event.at.astimezone(UTC).replace(tzinfo=None),
        }
        for event in events
        if event.case_id is not None and _is_measured(event)
    ]
    schema = mart_tables()["measurement_events"].arrow_schema
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["event_id"])), schema=schema)


def _is_measured(event: Event) -> bool:
    # That an escalation was found not to be needed is a decision, and no escalation.
    return event.type in MEASURED_AS and not (event.type == "escalated" and event.payload["decision"] != "escalated")
