"""Risks as rows of the mart: ids, metrics and spans only; no quote, no person's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.risk_signals import RiskSignalPolicy
from health_pipeline.risk.evidence import LandedRecord, RecordsBySet
from health_pipeline.risk.model import Risk
from health_pipeline.risk.rating import SignalWords


def records_by_account(table: pa.Table) -> dict[str, RecordsBySet]:
    """Rows of `read_risk_records` as records by account and set, in their order."""
    found: dict[str, dict[str, list[LandedRecord]]] = {}
    for row in table.to_pylist():
        record = LandedRecord(**row)
        found.setdefault(record.account_id, {}).setdefault(record.record_set, []).append(record)
    return {account: dict(sets) for account, sets in found.items()}


def signal_words(policy: RiskSignalPolicy) -> dict[str, SignalWords]:
    """What the policy says of each signal, as packets want it."""
    return {
        signal.id: SignalWords(signal.title, signal.category, signal.contribution, signal.playbooks)
        for signal in policy.signals
    }


def evidence_rows(risks: Iterable[Risk]) -> pa.Table:
    """Rows of risk_evidence, ordered by packet and evidence."""
    schema = mart_tables()["risk_evidence"].arrow_schema
    rows: list[Mapping[str, Any]] = [
        {**vars(piece), "packet_id": risk.packet_id} for risk in risks for piece in risk.evidence
    ]
    ordered = sorted(rows, key=lambda row: (row["packet_id"], row["evidence_id"]))
    return pa.Table.from_pylist(ordered, schema=schema)


def packet_table(rows: Sequence[Mapping[str, Any]], risks: Iterable[Risk]) -> pa.Table:
    """Rows of risk_packets with what the next week needs of their signals: since when each has fired."""
    since = {
        risk.packet_id: ",".join(signal.first_fired_week.isoformat() for signal in risk.signals) or None
        for risk in risks
    }
    schema = mart_tables()["risk_packets"].arrow_schema
    return pa.Table.from_pylist([{**row, "signals_since": since[row["packet_id"]]} for row in rows], schema=schema)
