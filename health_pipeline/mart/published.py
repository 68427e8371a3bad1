"""Reads the newest published release, never the warehouse: what another run may rely on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.mart import MartTable
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.mart.warehouse import mart_table
from health_pipeline.settings import Settings

MART_FILE = "customer_health.duckdb"


def current_release(settings: Settings) -> str | None:
    """Name of the release `current` points at; None before the first one."""
    link = settings.published / "current"
    return link.resolve().name if link.exists() else None


def published_file(settings: Settings) -> Path | None:
    """The newest release's own mart file, with the link resolved once: a flip meanwhile changes nothing."""
    link = settings.published / "current"
    return link.resolve() / MART_FILE if link.exists() else None


def read_published(
    settings: Settings,
    name: str,
    weeks: Sequence[Week] | None = None,
    quarters: Sequence[Quarter] | None = None,
    rows_of: pa.Table | None = None,
) -> pa.Table:
    """Read a published table, cast to the contract's built columns, ordered by its key.

    Parameters
    ----------
    settings : where state lives
    name : a table of the mart contract
    weeks, quarters : only these slices of a table so partitioned; neither reads all of it
    rows_of : only rows that have the same values as one of its rows, in its columns

    Returns
    -------
    pyarrow.Table
        Empty and typed where nothing is published yet, or the release does not have the table.

    Raises
    ------
    ValueError
        If there is no such table in the contract, or slices are asked of a table not so partitioned.
    """
    table = mart_table(name)
    slices: list[date] | None = None
    if weeks is not None or quarters is not None:
        if table.partition != ("week" if weeks is not None else "quarter"):
            raise ValueError(f"{name} is partitioned by {table.partition}; read it so.")
        slices = [week.monday for week in weeks or ()] + [quarter.first_day for quarter in quarters or ()]
    path = published_file(settings)
    if path is None:
        return table.arrow_schema.empty_table()
    return _read(path, table, slices, rows_of)


def _read(path: Path, table: MartTable, slices: list[date] | None, rows_of: pa.Table | None) -> pa.Table:
    with open_duckdb(path, read_only=True) as connection:
        described = connection.execute(
            "select column_name from information_schema.columns where table_schema = 'main' and table_name = ?",
            [table.name],
        ).fetchall()
        there = {name for (name,) in described}
        if not there:
            return table.arrow_schema.empty_table()
        # a column that is newer than the release is null in it
        columns = ", ".join(
            f"cast({_quoted(column.name) if column.name in there else 'null'} as {column.duckdb_type})"
            f" as {_quoted(column.name)}"
            for column in table.built_columns
        )
        condition, values = "", []
        if slices is not None:
            condition, values = f"where list_contains(?, {_quoted(table.partition)})", [slices]
        if rows_of is not None:
            connection.register("rows_of", rows_of)
            same = " and ".join(f"rows_of.{_quoted(name)} = wanted.{_quoted(name)}" for name in rows_of.column_names)
            condition += f"{' and' if condition else 'where'} exists (select 1 from rows_of where {same})"
        order = ", ".join(_quoted(part) for part in table.key)
        query = f"select {columns} from main.{_quoted(table.name)} as wanted {condition} order by {order}"
        return connection.execute(query, values).to_arrow_table().cast(table.arrow_schema)


def _quoted(name: str) -> str:
    return '"' + name + '"'
