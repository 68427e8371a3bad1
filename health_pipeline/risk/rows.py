"""Risks as rows of the mart: ids, metrics and spans only; no quote, no person's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import pyarrow as pa

from health_pipeline.contract.mart import mart_tables
from health_pipeline.risk.evidence import LandedRecord, RecordsBySet
from health_pipeline.risk.model import Risk


def records_by_account(table: pa.Table) -> dict[str, RecordsBySet]:
    """Rows of `read_risk_records` as records by account and set, in their order."""
    found: dict[str, dict[str, list[LandedRecord]]] = {}
    # column by column, as the record names them: a mapping for each of so many rows took as long as the rest
    columns = [_values(table[part.name]) for part in fields(LandedRecord)]
    for record in map(LandedRecord, *columns):
        found.setdefault(record.account_id, {}).setdefault(record.record_set, []).append(record)
    return {account: dict(sets) for account, sets in found.items()}


def _values(column: pa.ChunkedArray) -> list[Any]:
    """As `to_pylist`, of moments by numpy: Arrow makes them one by one, and a record has four."""
    if not pa.types.is_timestamp(column.type):
        return column.to_pylist()
    return column.cast(pa.timestamp("us")).to_numpy().tolist()


def evidence_rows(risks: Iterable[Risk]) -> pa.Table:
    """Rows of risk_evidence, ordered by packet and evidence."""
    schema = mart_tables()["risk_evidence"].arrow_schema
    rows: list[Mapping[str, Any]] = [
        {**vars(piece), "packet_id": risk.packet_id} for risk in risks for piece in risk.evidence
    ]
    ordered = sorted(rows, key=lambda row: (row["packet_id"], row["evidence_id"]))
    return pa.Table.from_pylist(ordered, schema=schema)
