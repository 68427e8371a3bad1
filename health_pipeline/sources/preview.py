"""What a load brought, table by table, in figures: read from its landed files, so that it is what would be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from health_pipeline.contract.landing import LandingTable, landing_tables
from health_pipeline.sources.casts import quote, text_literal
from health_pipeline.sources.records import LoadRecord

# Columns that name the account of a row, where a table has one.
_ACCOUNT_COLUMNS = ("source_account_id", "group_id")


@dataclass(frozen=True)
class TablePreview:
    """One table of a load.

    Attributes
    ----------
    delivered, accepted : rows in the files (after the mapping), rows that come in
    null_shares : of every column of the contract, the share of accepted rows without a value
    first_at, last_at : of the table's event time, else of when its records were made
    imputed : rows whose availability is imputed from their own times (a historical load)
    counts_from_load : rows that can change and do not say when they did: what they say counts from the load on
    without_account : rows that name an account which the load's own accounts do not hold, or none
    """

    table: str
    delivered: int
    accepted: int
    null_shares: Mapping[str, float]
    first_at: datetime | None
    last_at: datetime | None
    imputed: int
    counts_from_load: int
    without_account: int


def newest_known(landing: Path, record: LoadRecord, known_at: datetime) -> datetime | None:
    """The newest moment, up to `known_at` (naive UTC), at which a row of the load could first be known.

    By this the mart judges how fresh a source was before its first load: a later change of a known row does not count.
    """
    paths = [str(landing / one.path) for one in record.tables if one.rows]
    if not paths:
        return None
    limit = f"timestamp '{known_at.isoformat(' ')}'"
    with duckdb.connect() as con:
        query = f"select max(available_at) from read_parquet(?) where available_at <= {limit}"
        newest: datetime | None = con.execute(query, [paths]).fetchall()[0][0]
    return newest


def preview_load(landing: Path, record: LoadRecord, delivered: Mapping[str, int]) -> list[TablePreview]:
    """Figures of every table that a committed load brought.

    Parameters
    ----------
    landing : the landing folder that holds the load
    delivered : rows delivered of each table
    """
    tables = landing_tables()
    paths = {one.table: landing / one.path for one in record.tables if one.is_delivered}
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        for name, path in paths.items():
            con.execute(f"create view {quote(name)} as select * from read_parquet({text_literal(str(path))})")
        return [
            _preview(con, tables[name], record, delivered.get(name, 0), "source_account" in paths) for name in paths
        ]


def _preview(
    con: duckdb.DuckDBPyConnection, table: LandingTable, record: LoadRecord, delivered: int, has_accounts: bool
) -> TablePreview:
    names = [*table.column_names, "source_created_at", "source_updated_at", "custom"]
    moment = table.event_time or "source_created_at"
    account = next((name for name in _ACCOUNT_COLUMNS if name in table.column_names), None)
    measures = [f"count({quote(name)})" for name in names]
    measures += [f"min({quote(moment)}::timestamp)", f"max({quote(moment)}::timestamp)"]
    measures.append("count(*) filter (where is_available_at_imputed)")
    changed_at_load = "is_available_at_imputed and source_updated_at is null" if table.is_mutable else "false"
    measures.append(f"count(*) filter (where {changed_at_load})")
    if account and has_accounts and table.name != "source_account":
        held = "(select source_account_id from source_account)"
        measures.append(f"count(*) filter (where {account} is null or {account} not in {held})")
    elif account and table.name != "source_account":
        measures.append("count(*)")
    else:
        measures.append("0")
    rows, *figures = con.execute(f"select count(*), {', '.join(measures)} from {quote(table.name)}").fetchall()[0]
    filled, (first, last, imputed, late, lost) = figures[: len(names)], figures[len(names) :]
    return TablePreview(
        table=table.name,
        delivered=delivered,
        accepted=rows,
        null_shares={name: 1 - count / rows if rows else 0.0 for name, count in zip(names, filled, strict=True)},
        first_at=first,
        last_at=last,
        imputed=imputed,
        counts_from_load=late if record.mode == "historical" else 0,
        without_account=lost,
    )
