"""Risks as rows of the mart: ids, metrics and spans only; no quote, no person's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from health_pipeline.contract.mart import mart_tables
from health_pipeline.risk.evidence import LandedRecord, RecordsBySet
from health_pipeline.risk.model import Risk
from health_pipeline.risk.strength import ranked_categories, weigh


def records_by_account(table: pa.Table) -> dict[str, RecordsBySet]:
    """Rows of `read_risk_records` as records by account and set, in their order."""
    found: dict[str, dict[str, list[LandedRecord]]] = {}
    for row in table.to_pylist():
        record = LandedRecord(**row)
        found.setdefault(record.account_id, {}).setdefault(record.record_set, []).append(record)
    return {account: dict(sets) for account, sets in found.items()}


def evidence_rows(risks: Iterable[Risk]) -> pa.Table:
    """Rows of risk_evidence, ordered by packet and evidence."""
    schema = mart_tables()["risk_evidence"].arrow_schema
    rows: list[Mapping[str, Any]] = [
        {**vars(piece), "packet_id": risk.packet_id} for risk in risks for piece in risk.evidence
    ]
    ordered = sorted(rows, key=lambda row: (row["packet_id"], row["evidence_id"]))
    return pa.Table.from_pylist(ordered, schema=schema)


def packet_rows(risks: Iterable[Risk], policy_version: str) -> pa.Table:
    """Rows of risk_packets, as far as signals and evidence say; what a packet adds is null."""
    schema = mart_tables()["risk_packets"].arrow_schema
    rows = [_packet_row(risk, policy_version) for risk in risks]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["packet_id"])), schema=schema)


def _packet_row(risk: Risk, policy_version: str) -> dict[str, Any]:
    categories = (*ranked_categories(risk.signals), None, None)
    supporting = [piece for piece in risk.evidence if piece.direction == "supports"]
    patterns = dict.fromkeys(pattern for signal in risk.signals for pattern in signal.patterns)
    strongest = weigh((signal.category, signal.contribution) for signal in risk.signals).strongest
    return {
        **{name: getattr(risk, name) for name in _COPIED},
        "category": categories[0],
        "runner_up_category": categories[1],
        "signals": _joined(signal.signal_id for signal in risk.signals),
        "signals_since": _joined(signal.first_fired_week.isoformat() for signal in risk.signals),
        "patterns": _joined(patterns),
        "likelihood": 0,
        "impact": 0,
        "severity": strongest,
        "severity_status": "suggested",
        "state": "detected",
        "supporting_evidence": len(supporting),
        "contradicting_evidence": len(risk.evidence) - len(supporting),
        "has_only_absence": bool(supporting) and all(one.kind == "inferred_from_absence" for one in supporting),
        "missing_domains": _joined(dict.fromkeys(domain for domain, _ in risk.missing)),
        "policy_version": policy_version,
    }


_COPIED = (
    "packet_id", "account_id", "week", "side", "episode", "opened_week", "last_fired_week", "occurrences", "is_quiet",
    "as_of_at", "known_at",
)  # fmt: skip


def _joined(parts: Iterable[str]) -> str | None:
    return ",".join(parts) or None
