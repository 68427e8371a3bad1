"""Reads the newest published release, never the warehouse: what another run may rely on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.mart import MartTable
from health_pipeline.mart.connection import columns_of, open_duckdb
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
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Read a published table, cast to the contract's built columns, ordered by its key.

    Parameters
    ----------
    settings : where state lives
    name : a table of the mart contract
    weeks, quarters : only these slices of a table so partitioned; neither reads all of it
    rows_of : only rows that have the same values as one of its rows, in its columns
    columns : only these columns, in this order; all built ones where it is None

    Returns
    -------
    pyarrow.Table
        Empty and typed where nothing is published yet, or the release does not have the table.

    Raises
    ------
    ValueError
        If there is no such table in the contract, or slices are asked of a table not so partitioned.
    KeyError
        If the contract has no such built column.
    """
    table = mart_table(name)
    slices: list[date] | None = None
    if weeks is not None or quarters is not None:
        if table.partition != ("week" if weeks is not None else "quarter"):
            raise ValueError(f"{name} is partitioned by {table.partition}; read it so.")
        slices = [week.monday for week in weeks or ()] + [quarter.first_day for quarter in quarters or ()]
    condition, values = "", list[Any]()
    if slices is not None:
        condition, values = f"where list_contains(?, {_quoted(table.slice_column)})", [slices]
    if rows_of is not None:
        same = " and ".join(f"rows_of.{_quoted(name)} = wanted.{_quoted(name)}" for name in rows_of.column_names)
        condition += f"{' and' if condition else 'where'} exists (select 1 from rows_of where {same})"
    return _read(settings, table, columns, condition, values, rows_of)


def read_published_newest(
    settings: Settings, name: str, columns: Sequence[str], by: Sequence[str], before: Week
) -> pa.Table:
    """Of published rows of earlier weeks that are the same in some columns only the newest one.

    What a run has to know of all weeks before it is far less than their rows, and does not grow with each week.

    Parameters
    ----------
    settings : where state lives
    name : a table of the mart contract that is partitioned by week
    columns : what is read, in this order
    by : rows that are equal in these columns count as one; the key without the week among them gives one row each
    before : rows of this week or later are left out

    Returns
    -------
    pyarrow.Table
        Ordered by the table's key; empty and typed where nothing is published yet.

    Raises
    ------
    ValueError
        If the table is not partitioned by week.
    KeyError
        If the contract has no such built column.
    """
    table = mart_table(name)
    if table.partition != "week":
        raise ValueError(f"{name} is partitioned by {table.partition}; its newest rows are not told by a week.")
    condition = (
        f"where {_quoted(table.slice_column)} < ? qualify row_number() over "
        f"(partition by {_named(by)} order by {_quoted(table.slice_column)} desc, {_named(table.key)}) = 1"
    )
    return _read(settings, table, columns, condition, [before.monday])


def _read(
    settings: Settings,
    table: MartTable,
    columns: Sequence[str] | None,
    condition: str,
    values: Sequence[Any],
    rows_of: pa.Table | None = None,
) -> pa.Table:
    """Rows of `wanted` as the contract types them, ordered by key; a column that is newer than the release is null."""
    schema = table.arrow_schema
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    path = published_file(settings)
    if path is None:
        return schema.empty_table()
    with open_duckdb(path, read_only=True) as connection:
        there = columns_of(connection, "main", table.name)
        if not there:
            return schema.empty_table()
        if rows_of is not None:
            connection.register("rows_of", rows_of)
        kinds = {column.name: column.duckdb_type for column in table.built_columns}
        selected = ", ".join(
            f"cast({_quoted(name) if name in there else 'null'} as {kinds[name]}) as {_quoted(name)}"
            for name in schema.names
        )
        query = f"select {selected} from main.{_quoted(table.name)} as wanted {condition} order by {_named(table.key)}"
        return connection.execute(query, values).to_arrow_table().cast(schema)


def _named(columns: Iterable[str]) -> str:
    return ", ".join(_quoted(name) for name in columns)


def _quoted(name: str) -> str:
    return '"' + name + '"'
