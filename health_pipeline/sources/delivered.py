"""What holds of a delivered table whatever is in it: its name, columns and key, what is future, its content's hash."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from health_pipeline.contract.landing import SOURCE_COLUMNS, Column, LandingTable
from health_pipeline.sources.casts import quote

# A source's clock may be this far ahead of ours before its rows are set aside.
FUTURE_TOLERANCE = timedelta(minutes=10)
# A subscription may be signed before it starts: there a future event time is a plan, not a wrong clock.
PLANNED_EVENT_TABLES = frozenset({"billing_subscription"})
# A delivered column of this name says where a row comes from ("orders.csv row 17"); it is not landed.
ROW_ORIGIN = "_row_origin"


def delivered_name(table: str) -> str:
    """The name under which a delivered table is registered in DuckDB."""
    return f"delivered_{table}"


def delivered_columns(table: LandingTable) -> tuple[Column, ...]:
    """The columns a source delivers of that table: the table's own and the source columns."""
    return (*table.columns, *SOURCE_COLUMNS)


def is_future(table: LandingTable, loaded_at: datetime) -> str:
    """SQL predicate: the row claims to have happened or changed after the load was made."""
    names = ["source_created_at", "source_updated_at"]
    if table.event_time and table.name not in PLANNED_EVENT_TABLES:
        names.append(table.event_time)
    moments = ", ".join(f"cast({quote(name)} as timestamp)" for name in names)
    limit = (loaded_at + FUTURE_TOLERANCE).isoformat(" ")
    return f"coalesce(greatest({moments}) > timestamp '{limit}', false)"


def one_row_per_key(table: LandingTable, relation: str) -> str:
    """SQL: the relation with the newest row of each key, in a total order, so that row order never matters."""
    key = ", ".join(quote(name) for name in table.key)
    order = f"source_updated_at desc nulls last, {row_text(table)}"
    ranked = f"select *, row_number() over (partition by {key} order by {order}) as _rank from {relation}"
    return f"select * exclude (_rank) from ({ranked}) where _rank = 1"


def row_text(table: LandingTable) -> str:
    """SQL: a row's content as one text; null and the empty text differ."""
    cells = []
    for column in delivered_columns(table):
        value = f"round({quote(column.name)}, 9) + 0.0" if column.type == "number" else quote(column.name)
        cells.append(f"coalesce(cast({value} as varchar), chr(0))")
    return f"concat_ws(chr(31), {', '.join(cells)})"


def empty_content_sha256(table: LandingTable) -> str:
    """The content hash of that table without rows."""
    return content_sha256(table, 0, 0)


def content_sha256(table: LandingTable, rows: int, row_hashes: int) -> str:
    """The content hash of a delivered table from its number of rows and the sum of their hashes."""
    columns = ",".join(column.name for column in delivered_columns(table))
    return hashlib.sha256(f"{table.name}|{columns}|{rows}|{row_hashes}".encode()).hexdigest()
