"""Opens a DuckDB file for a moment: waits a bounded time for another process to let go of it, and always closes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from health_pipeline.observability.logs import get_logger

WAIT_SECONDS = 10.0
PAUSE_SECONDS = 0.1
logger = get_logger("mart")


class WarehouseBusyError(RuntimeError):
    """Another process holds the file."""


@contextmanager
def open_duckdb(
    path: Path, *, read_only: bool, wait_seconds: float = WAIT_SECONDS
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the file in UTC and close it whatever happens.

    DuckDB's own error is raised at once when another process writes; a dbt that has just ended may need a moment more.

    Raises
    ------
    FileNotFoundError
        If it is to be read and is not there.
    WarehouseBusyError
        If another process still holds it after `wait_seconds`.
    """
    if read_only and not path.is_file():
        raise FileNotFoundError(f"{path} is not there; run the weekly review first.")
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect(path, read_only, time.monotonic() + wait_seconds)
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def has_table(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    """Whether the file holds that table or view: one built or published before a table was thought of has none."""
    query = "select 1 from information_schema.tables where table_schema = ? and table_name = ?"
    return connection.execute(query, [schema, name]).fetchone() is not None


def columns_of(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> set[str]:
    """The columns of that table or view as the file has it; none where it has no such table."""
    query = "select column_name from information_schema.columns where table_schema = ? and table_name = ?"
    return {column for (column,) in connection.execute(query, [schema, name]).fetchall()}


def wait_until_free(path: Path, wait_seconds: float) -> None:
    """Wait for the file's writer to end; what it left unfinished is put right by opening the file once.

    A dbt whose run was killed lives on until its build is done, and holds the file until then.

    Raises
    ------
    WarehouseBusyError
        If another process still holds it after `wait_seconds`.
    """
    if not path.is_file():
        return
    try:
        _open_once(path, 0.0)
    except WarehouseBusyError:
        logger.warning("waiting_for_warehouse", held_by="a dbt that outlived its run, or a client", file=str(path))
        _open_once(path, wait_seconds)


def _open_once(path: Path, wait_seconds: float) -> None:
    with open_duckdb(path, read_only=False, wait_seconds=wait_seconds):
        pass


def _connect(path: Path, read_only: bool, deadline: float) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise
            if time.monotonic() >= deadline:
                raise WarehouseBusyError(
                    f"Another process holds {path}; wait for its run to end, or close the client that has it open."
                ) from error
            time.sleep(PAUSE_SECONDS)
