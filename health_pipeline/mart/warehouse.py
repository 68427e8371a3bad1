"""Reads and writes mart tables in the pipeline's own warehouse: dbt's in schema `marts`, Python rooms' in `outputs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.mart import MartTable, mart_tables
from health_pipeline.mart.connection import columns_of, has_table, open_duckdb
from health_pipeline.mart.landing_columns import DBT_ROOMS
from health_pipeline.settings import Settings

DBT_SCHEMA = "marts"
INTERMEDIATE_SCHEMA = "intermediate"
OUTPUT_SCHEMA = "outputs"


def mart_table(name: str) -> MartTable:
    """The table's contract.

    Raises
    ------
    ValueError
        If the mart contract has no table of that name.
    """
    table = mart_tables().get(name)
    if table is None:
        raise ValueError(f"The mart has no table {name!r}; its tables are {', '.join(mart_tables())}.")
    return table


@contextmanager
def reading(settings: Settings, weeks: Sequence[Week]) -> Iterator[None]:
    """Hold the warehouse open while a step reads table after table of one week; nothing can be written within.

    Opening it takes 60 ms after two years of 10,000 customers. What was read stays in DuckDB's memory as long as it is
    open, so a run over many weeks opens it each time.

    Raises
    ------
    FileNotFoundError
        If there is no warehouse yet.
    """
    if len(weeks) > 1:
        yield
        return
    with open_duckdb(settings.warehouse, read_only=True):
        yield


def read_mart(
    settings: Settings,
    name: str,
    weeks: Sequence[Week] | None = None,
    quarters: Sequence[Quarter] | None = None,
) -> pa.Table:
    """Read a table that dbt or a Python room built, cast to the contract's built columns, ordered by its key.

    Parameters
    ----------
    settings : where state lives
    name : a table of the mart contract
    weeks, quarters : only these slices of a weekly or quarterly table; None reads all of it

    Raises
    ------
    ValueError
        If there is no such table in the contract, or slices are asked of a table that has none of the kind.
    FileNotFoundError
        If there is no warehouse yet.
    LookupError
        If the table was not built yet.
    """
    table = mart_table(name)
    slices = None if weeks is None and quarters is None else _slices(table, weeks, quarters)
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        return _read(connection, table, slices)


def read_marts(
    settings: Settings,
    names: Sequence[str],
    weeks: Sequence[Week] | None = None,
    quarters: Sequence[Quarter] | None = None,
) -> dict[str, pa.Table]:
    """Read several tables as `read_mart` does, the file opened once.

    Parameters
    ----------
    weeks, quarters : only these slices of the tables that have slices of the kind; the others are read whole
    """
    given: dict[str, list[date] | None] = {
        "week": None if weeks is None else [week.monday for week in weeks],
        "quarter": None if quarters is None else [quarter.first_day for quarter in quarters],
    }
    tables = [mart_table(name) for name in names]
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        return {table.name: _read(connection, table, given.get(table.partition)) for table in tables}


def _read(connection: duckdb.DuckDBPyConnection, table: MartTable, slices: Sequence[date] | None) -> pa.Table:
    schema = DBT_SCHEMA if table.room in DBT_ROOMS else OUTPUT_SCHEMA
    if not has_table(connection, schema, table.name):
        raise LookupError(f"{table.name} was not built yet; materialise it before what reads it.")
    names = [column.name for column in table.built_columns]
    columns = ", ".join(
        f'cast("{column.name}" as {column.duckdb_type}) as "{column.name}"' for column in table.built_columns
    )
    condition, values = "", []
    if slices is not None:
        condition, values = f'where list_contains(?, "{table.slice_column}")', [list(slices)]
    order = ", ".join(f'"{part}"' for part in table.key)
    query = f'select {columns} from {schema}."{table.name}" {condition} order by {order}'
    rows = connection.execute(query, values).to_arrow_table()
    return rows.select(names).cast(table.arrow_schema)


def read_tier_overrides(settings: Settings, weeks: Sequence[Week]) -> pa.Table:
    """The override that holds for each account and week as known then: the newest one that a person approved.

    Returns
    -------
    pyarrow.Table
        account_id, week, override_id, override_tier, override_reason, override_approved_by, override_expires_at

    Raises
    ------
    FileNotFoundError
        If there is no warehouse yet.
    """
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        return connection.execute(
            "select account_id, week, override_id, override_tier, override_reason, override_approved_by, "
            f"override_expires_at from {INTERMEDIATE_SCHEMA}.int_tier_overrides_weekly "
            "where is_newest and list_contains(?, week) order by week, account_id",
            [[week.monday for week in weeks]],
        ).to_arrow_table()


@dataclass(frozen=True)
class RowCounts:
    """Rows of a table: all of them, and of each week asked for where it has weeks."""

    total: int
    by_week: dict[str, int]


def intermediate_rows(settings: Settings, weeks: Sequence[Week]) -> dict[str, RowCounts]:
    """Count the rows of dbt's intermediate tables, for the run's page; views are left out."""
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        found = connection.execute(
            "select tables.table_name, coalesce(bool_or(columns.column_name = 'week'), false) from duckdb_tables() "
            "as tables inner join duckdb_columns() as columns using (schema_name, table_name) "
            "where tables.schema_name = ? group by all order by all",
            [INTERMEDIATE_SCHEMA],
        ).fetchall()
        counts = {}
        for name, has_weeks in found:
            table = f'{INTERMEDIATE_SCHEMA}."{name}"'
            total = connection.execute(f"select count(*) from {table}").fetchall()[0][0]
            query = f"select week, count(*) from {table} where list_contains(?, week) group by week"
            monday_rows = (
                connection.execute(query, [[week.monday for week in weeks]]).fetchall() if has_weeks and weeks else []
            )
            rows = dict(monday_rows)
            by_week = {str(week): rows.get(week.monday, 0) for week in weeks} if has_weeks else {}
            counts[name] = RowCounts(total, by_week)
    return counts


def write_marts(
    settings: Settings,
    tables: Mapping[str, pa.Table],
    weeks: Sequence[Week] | None = None,
    quarters: Sequence[Quarter] | None = None,
) -> None:
    """Replace slices of tables in schema `outputs`: all of them or none; the same call twice changes nothing.

    Parameters
    ----------
    settings : where state lives
    tables : rows by name of tables of the mart contract that Python rooms build, with exactly the built columns
    weeks, quarters : the slices to replace of tables that have slices, also where there is no row for them; a table
        without slices is replaced whole

    Raises
    ------
    ValueError
        If a table is not in the contract, is dbt's, has other columns or slices, or has rows outside the named ones;
        nothing was written.
    """
    writes = []
    for name, table in tables.items():
        contract = mart_table(name)
        is_whole = contract.partition == "none"
        slices = None if is_whole else _slices(contract, weeks, quarters)
        if slices is None and not is_whole:
            raise ValueError(f"{name} is partitioned by {contract.partition}; name its slices so.")
        writes.append((contract, _checked(contract, table, slices), slices))
    with open_duckdb(settings.warehouse, read_only=False) as connection:
        connection.begin()
        connection.execute(f"create schema if not exists {OUTPUT_SCHEMA}")
        for contract, rows, slices in writes:
            _fit(connection, contract)
            target = f'{OUTPUT_SCHEMA}."{contract.name}"'
            if slices is None:
                connection.execute(f"delete from {target}")
            else:
                connection.execute(f'delete from {target} where list_contains(?, "{contract.slice_column}")', [slices])
            connection.register("fresh_rows", rows)
            connection.execute(f"insert into {target} by name select * from fresh_rows")
            connection.unregister("fresh_rows")
        connection.commit()


def _checked(contract: MartTable, table: pa.Table, slices: list[date] | None) -> pa.Table:
    if contract.room in DBT_ROOMS:
        raise ValueError(f"{contract.name} is built by dbt; write it there.")
    if sorted(contract.arrow_schema.names) != sorted(table.column_names):
        raise ValueError(
            f"{contract.name} has the columns {', '.join(table.column_names)}; the contract wants "
            f"{', '.join(contract.arrow_schema.names)}."
        )
    rows = table.select(contract.arrow_schema.names).cast(contract.arrow_schema)
    if slices is not None and (outside := set(pc.unique(rows[contract.slice_column]).to_pylist()) - set(slices)):
        raise ValueError(
            f"{contract.name} has rows of {contract.partition} {min(outside)}, which the call does not name; "
            f"nothing was written."
        )
    return rows


def _slices(contract: MartTable, weeks: Sequence[Week] | None, quarters: Sequence[Quarter] | None) -> list[date] | None:
    if weeks is None and quarters is None:
        return None
    named = {"week": weeks, "quarter": quarters}
    given = next(partition for partition, values in named.items() if values is not None)
    if contract.partition != given or (weeks is not None and quarters is not None):
        raise ValueError(f"{contract.name} is partitioned by {contract.partition}; name its slices so.")
    return [week.monday for week in weeks or ()] or [quarter.first_day for quarter in quarters or ()]


def _fit(connection: duckdb.DuckDBPyConnection, contract: MartTable) -> None:
    """Create the table; columns the contract has gained are added, null in older slices."""
    columns = ", ".join(f'"{column.name}" {column.duckdb_type}' for column in contract.built_columns)
    connection.execute(f'create table if not exists {OUTPUT_SCHEMA}."{contract.name}" ({columns})')
    there = columns_of(connection, OUTPUT_SCHEMA, contract.name)
    for column in contract.built_columns:
        if column.name not in there:
            connection.execute(
                f'alter table {OUTPUT_SCHEMA}."{contract.name}" add column "{column.name}" {column.duckdb_type}'
            )
