"""What the review is measured by: the share of open risks that have all a decision takes, and the events of packets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from health_pipeline.contract.mart import mart_tables

RATE = "customer_risk_decision_packet_rate"
HIGH_RISK = ("critical", "high")
ENDED = ("closed", "dismissed", "superseded")
# States in which a person has decided; the others wait for one.
DECIDED = ("approved", "in_progress", "awaiting_outcome", "deferred", "dismissed", "closed")
Packet = Mapping[str, Any]
# The parts that the pipeline knows by itself.
BUILT_PARTS: dict[str, Callable[[Packet], bool]] = {
    "event": lambda row: row["category"] is not None,
    "evidence": lambda row: (row["supporting_evidence"] or 0) > 0,
    "severity": lambda row: row["severity"] is not None,
    "owner": lambda row: bool(row["owner_email"]),
    "mitigation": lambda row: bool(row["mitigation_options"]),
    "escalation_path": lambda row: row["escalation_role"] is not None,
}
# The parts that only a person's decision gives: unknown, not zero, until decisions come back from the ledger.
DECIDED_PARTS: dict[str, Callable[[Packet], bool]] = {
    "review_decision": lambda row: row["state"] in DECIDED,
    "follow_up_date": lambda row: row["follow_up_date"] is not None,
}
PARTS = (*BUILT_PARTS, *DECIDED_PARTS)
# The events that packets leave; all others are people's, and are in the ledger alone.
PACKET_EVENTS = ("risk_detected", "packet_built")


def metric_rows(packets: Iterable[Packet], week: Mapping[str, Any], has_decisions: bool) -> list[dict[str, Any]]:
    """The review's metrics of one week.

    Parameters
    ----------
    packets : rows of risk_packets of the week
    week : week, as_of_at, known_at
    has_decisions : whether decisions of the ledger had come back by then; without them what they would give is null

    Returns
    -------
    rows of review_metrics_weekly
        The rate over open risks and over those of high or critical severity, and each part of it; a share of nothing
        is null. Counts have a value and no denominator.
    """
    open_risks = [row for row in packets if row["side"] == "risk" and row["state"] not in ENDED]
    severe = [row for row in open_risks if row["severity"] in HIGH_RISK]
    rows = [_count("open_risks", len(open_risks)), _count("high_risk_open_risks", len(severe))]
    rows.append(_count("high_risk_accounts", len({row["account_id"] for row in severe})))
    for prefix, among in (("", open_risks), ("high_risk_", severe)):
        held = {name: _held(name, among, has_decisions) for name in PARTS}
        whole = None if None in held.values() else [all(part) for part in zip(*held.values(), strict=True)]
        rows.append(_share(prefix + RATE, whole, len(among)))
        rows += [_share(f"{prefix}packets_with_{name}", part, len(among)) for name, part in held.items()]
    return [{**week, **row} for row in rows]


def _held(name: str, among: Sequence[Packet], has_decisions: bool) -> list[bool] | None:
    if name in DECIDED_PARTS and not has_decisions:
        return None
    holds = BUILT_PARTS.get(name) or DECIDED_PARTS[name]
    return [holds(row) for row in among]


def _share(metric: str, held: Sequence[bool] | None, among: int) -> dict[str, Any]:
    numerator = None if held is None else sum(held)
    value = numerator / among if numerator is not None and among else None
    return {"metric": metric, "value": value, "numerator": numerator, "denominator": among}


def _count(metric: str, number: int) -> dict[str, Any]:
    return {"metric": metric, "value": float(number), "numerator": number, "denominator": None}


def metrics_table(packets: pa.Table, clocks: Iterable[Mapping[str, Any]], has_decisions: bool = False) -> pa.Table:
    """Rows of review_metrics_weekly for each week of `clocks` (week, as_of_at, known_at), with packets or without."""
    by_week: dict[date, list[Packet]] = {}
    for row in packets.to_pylist():
        by_week.setdefault(row["week"], []).append(row)
    rows = [row for clock in clocks for row in metric_rows(by_week.get(clock["week"], []), clock, has_decisions)]
    ordered = sorted(rows, key=lambda row: (row["week"], row["metric"]))
    return pa.Table.from_pylist(ordered, schema=mart_tables()["review_metrics_weekly"].arrow_schema)


def event_id(event_type: str, packet_id: str, packet_hash: str | None, week: date) -> str:
    """Hash of what makes the event: 32 hexadecimal digits."""
    text = "\x1f".join((event_type, packet_id, packet_hash or "", week.isoformat()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def measurement_event_rows(packets: Iterable[Packet]) -> pa.Table:
    """The events that packets leave, as the ledger's intake names them: risk_detected once, packet_built per content.

    Parameters
    ----------
    packets : rows of risk_packets of all weeks, published ones and a run's own; as_of_at is when an event happened

    Returns
    -------
    pyarrow.Table
        All rows of measurement_events: a case is its packet. A packet whose content is not hashed was not built.
    """
    events: list[dict[str, Any]] = []
    hashes: dict[str, str | None] = {}
    for row in sorted(packets, key=lambda one: (one["week"], one["packet_id"])):
        name, packet_hash = row["packet_id"], row["packet_hash"]
        kinds = [] if name in hashes else ["risk_detected"]
        if packet_hash is not None and hashes.get(name) != packet_hash:
            kinds.append("packet_built")
        hashes[name] = packet_hash or hashes.get(name)
        events += [
            {
                "event_id": event_id(kind, name, packet_hash if kind == "packet_built" else None, row["week"]),
                "case_id": name,
                "account_id": row["account_id"],
                "packet_id": name,
                "event_type": kind,
                "occurred_at": row["as_of_at"],
            }
            for kind in kinds
        ]
    ordered = sorted(events, key=lambda event: (event["occurred_at"], event["event_id"]))
    return pa.Table.from_pylist(ordered, schema=mart_tables()["measurement_events"].arrow_schema)
