"""The data dictionary as Markdown, generated from the contracts: it can't say anything the data does not follow."""

from __future__ import annotations

from collections.abc import Sequence

from health_pipeline.contract.landing import (
    LOAD_COLUMNS,
    SOURCE_COLUMNS,
    Column,
    LandingTable,
    landing_tables,
)
from health_pipeline.contract.mart import MartTable, mart_tables

_TYPES = {
    "text": "text",
    "integer": "whole number",
    "number": "number (double)",
    "decimal": "decimal(18,2)",
    "date": "date",
    "timestamp": "timestamp, UTC",
    "boolean": "true or false",
    "json": "JSON text",
}
_PARTITIONS = {
    "week": "Frozen week by week.",
    "quarter": "Frozen quarter by quarter.",
    "none": "A snapshot: each release replaces it.",
}


def data_dictionary() -> str:
    """Return the dictionary of the published mart and of the landing.

    Returns
    -------
    str
        Markdown with a heading per table: its grain, its key, its columns. The same contracts give the same text.
    """
    parts = [
        "# Data dictionary",
        "Generated from `health_pipeline/contract/` by `health-pipeline dictionary`: change the contract, not this.",
        "Timestamps are UTC. Shares are 0 to 1. A null is unknown, which is not zero.",
        "## The published mart",
        "What BI, reports and people read: `published/current/customer_health.duckdb`, and the same as Parquet.",
        _index(tuple(mart_tables())),
        *(_mart_table(table) for table in mart_tables().values()),
        "## The landing",
        "What every source is brought into. Required columns have a dot; a closed vocabulary stands in brackets.",
        _index(tuple(landing_tables())),
        "### Columns of every landing table",
        "What a source gives on every table:",
        _table(("column", "required", "type"), [_landing_cells(column) for column in SOURCE_COLUMNS]),
        "What the landing adds:",
        _table(("column", "required", "type"), [_landing_cells(column) for column in LOAD_COLUMNS]),
        *(_landing_table(table) for table in landing_tables().values()),
    ]
    return "\n\n".join(parts) + "\n"


def _index(names: tuple[str, ...]) -> str:
    return ", ".join(f"[`{name}`](#{name})" for name in names)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _mart_table(table: MartTable) -> str:
    rows = [(f"`{column.name}`", _TYPES[column.type], column.description) for column in table.columns]
    key = ", ".join(f"`{name}`" for name in table.key)
    frozen = _PARTITIONS[table.partition]
    if table.slice_column not in ("", table.partition):
        frozen = f"{frozen.removesuffix('.')}, by `{table.slice_column}`."
    return f"### {table.name}\n\n{table.grain} {frozen} Key: {key}. Built in `{table.room}`.\n\n" + _table(
        ("column", "type", "what it is"), rows
    )


def _landing_cells(column: Column) -> tuple[str, ...]:
    vocabulary = f" ({', '.join(column.vocabulary)})" if column.vocabulary else ""
    return (f"`{column.name}`", "•" if column.is_required else "", _TYPES[column.type] + vocabulary)


def _landing_table(table: LandingTable) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    change = "Its records change." if table.is_mutable else "Its records never change."
    event = f" Happened at: `{table.event_time}`." if table.event_time else ""
    return (
        f"### {table.name}\n\n{table.grain} From: {', '.join(table.kinds)}. {change} Key: {key}.{event}\n\n"
        + _table(("column", "required", "type"), [_landing_cells(column) for column in table.columns])
    )
