"""The mart's DuckDB file: tables by contract, slices in and out. Knows columns and rows, nothing of releases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.content import content_hash
from health_pipeline.contract.mart import MartTable, mart_tables
from health_pipeline.publication.errors import CandidateError

PARTITIONED = ("week", "quarter")


@contextmanager
def opened(path: Path, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the file, in UTC, and close it whatever happens."""
    connection = duckdb.connect(str(path), read_only=read_only, config={"threads": 2})
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def checked_table(name: str, given: pa.Table) -> pa.Table:
    """Return the run's table exactly as the contract types it.

    Raises
    ------
    CandidateError
        If the contract has no such table, a column is missing, additional or of another type, or a number is NaN.
    """
    tables = mart_tables()
    if name not in tables:
        raise CandidateError(f"The mart contract has no table {name!r}; add it to mart_tables.yaml or leave it out.")
    schema = tables[name].arrow_schema
    if missing := [column for column in schema.names if column not in given.column_names]:
        raise CandidateError(f"{name} was built without the contract's columns {', '.join(missing)}.")
    if extra := [column for column in given.column_names if column not in schema.names]:
        raise CandidateError(f"{name} was built with columns the contract does not have: {', '.join(extra)}.")
    try:
        table = given.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise CandidateError(f"{name} can't be cast to the contract's types: {error}.") from error
    for field in schema:
        if pa.types.is_floating(field.type) and pc.any(pc.is_nan(table[field.name])).as_py():
            raise CandidateError(f"{name}.{field.name} holds NaN; write null where a number is unknown.")
    return table


def rows_of(table: MartTable, given: pa.Table, slices: Iterable[date]) -> pa.Table:
    """The rows of those weeks or quarters."""
    values = pa.array(list(slices), type=pa.date32())
    return given.filter(pc.is_in(given[table.slice_column], value_set=values))


def fit_to_contract(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Create the contract's tables that are not there and add the columns that are new; both start empty or null.

    A table that was a snapshot and has slices now starts empty too: none of its rows says which slice it is of.

    Returns
    -------
    dict of str to list of str
        Columns that are there and no longer in the contract, by table; they are kept, null from now on.

    Raises
    ------
    CandidateError
        If a column's type is not the contract's.
    """
    present: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "select table_name, column_name, data_type from information_schema.columns where table_schema = 'main'"
    ).fetchall():
        present.setdefault(table, {})[column] = kind
    kinds = {column.duckdb_type for table in mart_tables().values() for column in table.columns}
    # As the catalogue spells them, so that the two can be compared.
    canonical = {kind: _canonical(connection, kind) for kind in kinds}
    retired = {}
    for name, table in mart_tables().items():
        if name not in present:
            columns = ", ".join(f'"{column.name}" {column.duckdb_type}' for column in table.columns)
            connection.execute(f'create table "{name}" ({columns})')
            continue
        there = present[name]
        for column in table.columns:
            if column.name not in there:
                if column.name == table.slice_column:
                    connection.execute(f'delete from "{name}"')
                connection.execute(f'alter table "{name}" add column "{column.name}" {column.duckdb_type}')
            elif canonical[column.duckdb_type] != there[column.name]:
                raise CandidateError(
                    f"{name}.{column.name} is {there[column.name]} in the published weeks and {column.duckdb_type} in "
                    "the contract; give the new meaning a new column name, so that frozen weeks stay as they are."
                )
        if gone := [column for column in there if column not in table.column_names]:
            retired[name] = gone
    return retired


def _canonical(connection: duckdb.DuckDBPyConnection, kind: str) -> str:
    row = connection.execute(f"select typeof(cast(null as {kind}))").fetchone()
    assert row is not None  # a select without a from clause gives one row
    return str(row[0])


def put_slices(
    connection: duckdb.DuckDBPyConnection, table: MartTable, rows: pa.Table, slices: Sequence[date], at: datetime
) -> None:
    """Replace those weeks or quarters of a table by theirs of `rows`; slices that became empty become empty here too.

    One slice after the other: thirteen weeks of a large table filtered and sorted at once took gigabytes.
    """
    connection.begin()
    connection.execute(f'delete from "{table.name}" where "{table.slice_column}" in (select unnest(?))', [list(slices)])
    for day in sorted(slices):
        connection.register("given_rows", rows_of(table, rows, [day]))
        connection.execute(
            f'insert into "{table.name}" by name select *, ?::timestamp as published_at from given_rows '
            f"order by {_columns(table.storage_order)}",
            [at],
        )
        connection.unregister("given_rows")
    connection.commit()


def put_snapshot(connection: duckdb.DuckDBPyConnection, table: MartTable, rows: pa.Table) -> None:
    """Replace a table as a whole."""
    connection.execute(f'delete from "{table.name}"')
    connection.register("given_rows", rows)
    connection.execute(f'insert into "{table.name}" by name select * from given_rows order by {_columns(table.key)}')
    connection.unregister("given_rows")


def read_rows(
    connection: duckdb.DuckDBPyConnection, table: MartTable, slices: Sequence[date] | None = None
) -> pa.Table:
    """Read a table, or its rows of some weeks or quarters, in contract columns, ordered by key."""
    columns = ", ".join(f'"{name}"' for name in table.column_names)
    query = f'select {columns} from "{table.name}"'
    if slices is None:
        return connection.execute(f"{query} order by {_columns(table.key)}").to_arrow_table()
    query += f' where "{table.slice_column}" in (select unnest(?::date[])) order by {_columns(table.key)}'
    return connection.execute(query, [list(slices)]).to_arrow_table()


def derive_current_health(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `account_health_current` with the newest week of `account_health_weekly`."""
    columns = ", ".join(f'"{name}"' for name in mart_tables()["account_health_current"].column_names)
    connection.execute("delete from account_health_current")
    connection.execute(
        f"insert into account_health_current by name select {columns} from account_health_weekly "
        "where week = (select max(week) from account_health_weekly) order by account_id"
    )


def built_content_hash(table: MartTable, rows: pa.Table, columns: Iterable[str] | None = None) -> str:
    """Content hash over the built columns, or over some of them."""
    return content_hash(built_rows(table, rows, columns))


def built_rows(table: MartTable, rows: pa.Table, columns: Iterable[str] | None = None) -> pa.Table:
    """The rows in their built columns, or in some of them."""
    names = [column.name for column in table.built_columns]
    if columns is not None:
        wanted = set(columns)
        names = [name for name in names if name in wanted]
    return rows.select(names)


def _columns(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
