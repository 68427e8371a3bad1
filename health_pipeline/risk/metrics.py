"""What the review is measured by: the share of open risks that have all a decision takes, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from health_pipeline.contract.case_states import ENDED
from health_pipeline.contract.mart import mart_tables
from health_pipeline.risk.outcomes import WeekDecisions, decision_rows

RATE = "customer_risk_decision_packet_rate"
HIGH_RISK = ("critical", "high")
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
# Asked of a pilot, and no part of the rate: that names the path, this says that a person decided whether to take it.
BESIDE_THE_RATE: dict[str, Callable[[Packet], bool]] = {
    "escalation_decision": lambda row: row["escalation_decision"] is not None,
}


def metric_rows(
    packets: Iterable[Packet], week: Mapping[str, Any], decided: WeekDecisions | None
) -> list[dict[str, Any]]:
    """The review's metrics of one week.

    Parameters
    ----------
    packets : rows of risk_packets of the week
    week : week, as_of_at, known_at
    decided : what people decided, as landed and known then; None where no ledger was connected by then: what it would
        give is null, and not 0

    Returns
    -------
    rows of review_metrics_weekly
        The rate over open risks and over those of high or critical severity, and each part of it; a share of nothing
        is null. Counts have a value and no denominator.
    """
    open_risks = open_risks_of(packets)
    severe = [row for row in open_risks if is_high_risk(row)]
    rows = [_count("open_risks", len(open_risks)), _count("high_risk_open_risks", len(severe))]
    rows.append(_count("high_risk_accounts", len({row["account_id"] for row in severe})))
    for prefix, among in (("", open_risks), ("high_risk_", severe)):
        rows += share_rows(among, decided is not None, prefix)
    rows += decision_rows(decided, week)
    return [{**week, **row} for row in rows]


def is_high_risk(row: Packet) -> bool:
    """Whether a risk is high or critical as suggested or as a person confirmed it: lowering it takes it off no list."""
    return row["severity"] in HIGH_RISK or row["suggested_severity"] in HIGH_RISK


def open_risks_of(packets: Iterable[Packet]) -> list[Packet]:
    """The packets of risks that nobody has ended."""
    return [row for row in packets if row["side"] == "risk" and row["state"] not in ENDED]


def share_rows(among: Sequence[Packet], has_decisions: bool, prefix: str = "") -> list[dict[str, Any]]:
    """The rate among some open risks, each part of it, and what stands beside it.

    Parameters
    ----------
    among : rows of risk_packets of one week
    has_decisions : whether a ledger was connected by then: what it would give is null, else
    prefix : of the metrics' names

    Returns
    -------
    rows of metric, value, numerator, denominator
    """
    held = {name: _held(name, among, has_decisions) for name in PARTS}
    whole = None if None in held.values() else [all(part) for part in zip(*held.values(), strict=True)]
    held |= {name: _held(name, among, has_decisions) for name in BESIDE_THE_RATE}
    shares = [_share(f"{prefix}packets_with_{name}", part, len(among)) for name, part in held.items()]
    return [_share(prefix + RATE, whole, len(among)), *shares]


def _held(name: str, among: Sequence[Packet], has_decisions: bool) -> list[bool] | None:
    if name in BUILT_PARTS:
        return [BUILT_PARTS[name](row) for row in among]
    holds = DECIDED_PARTS.get(name) or BESIDE_THE_RATE[name]
    return [holds(row) for row in among] if has_decisions else None


def _share(metric: str, held: Sequence[bool] | None, among: int) -> dict[str, Any]:
    numerator = None if held is None else sum(held)
    value = numerator / among if numerator is not None and among else None
    return {"metric": metric, "value": value, "numerator": numerator, "denominator": among}


def _count(metric: str, number: int) -> dict[str, Any]:
    return {"metric": metric, "value": float(number), "numerator": number, "denominator": None}


def metrics_table(
    packets: pa.Table,
    clocks: Iterable[Mapping[str, Any]],
    decided: Mapping[date, WeekDecisions] | None = None,
) -> pa.Table:
    """Rows of review_metrics_weekly for each week of `clocks` (week, as_of_at, known_at), with packets or without.

    Parameters
    ----------
    decided : by Monday; weeks that are not in it knew of no ledger
    """
    by_week: dict[date, list[Packet]] = {}
    for row in packets.to_pylist():
        by_week.setdefault(row["week"], []).append(row)
    found = decided or {}
    rows = [
        row for clock in clocks for row in metric_rows(by_week.get(clock["week"], []), clock, found.get(clock["week"]))
    ]
    ordered = sorted(rows, key=lambda row: (row["week"], row["metric"]))
    return pa.Table.from_pylist(ordered, schema=mart_tables()["review_metrics_weekly"].arrow_schema)
