"""Evaluates the checks across tables: each is a query in `expectations/sql/` that must find no row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from health_pipeline.contract.mart import mart_tables
from health_pipeline.quality.suites import FOLDER, Check, query_path
from health_pipeline.quality.verdict import MAX_ROW_IDS, CheckResult, RowId

# A query may return these columns only: ids, never a value of the data.
ID_COLUMNS = frozenset({key for table in mart_tables().values() for key in table.key} | {"table_name", "column_name"})


@contextmanager
def audited(file: Path, weeks: Sequence[date], quarters: Sequence[date]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a candidate's file read-only, with the run's weeks and quarters in `run_weeks` and `run_quarters`.

    The connection can reach nothing but that file.
    """
    connection = duckdb.connect(":memory:", config={"threads": 2})
    try:
        connection.execute("set TimeZone = 'UTC'")
        quoted = str(file).replace("'", "''")
        connection.execute(f"attach '{quoted}' as candidate (read_only)")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        for name, days in (("week", weeks), ("quarter", quarters)):
            connection.execute(f'create table memory.main.run_{name}s ("{name}" date)')
            connection.execute(f"insert into memory.main.run_{name}s select unnest(?::date[])", [list(days)])
        connection.execute("use candidate.main")
        connection.execute("set search_path = 'candidate.main,memory.main'")
        yield connection
    finally:
        connection.close()


def check_queries(
    connection: duckdb.DuckDBPyConnection, checks: Sequence[Check], folder: Path = FOLDER
) -> list[CheckResult]:
    """Run each check's query; not evaluated where it can't run or returns more than ids."""
    return [_evaluate(connection, check, folder) for check in checks]


def _evaluate(connection: duckdb.DuckDBPyConnection, check: Check, folder: Path) -> CheckResult:
    def result(passed: bool, error: str = "", count: int = 0, row_ids: tuple[RowId, ...] = ()) -> CheckResult:
        return CheckResult(
            check.suite,
            check.name,
            check.type,
            check.severity,
            check.reason,
            passed=passed,
            evaluated=not error,
            observed="" if error else f"{count} rows",
            unexpected_count=count,
            row_ids=row_ids,
            error=error,
        )

    try:
        query = query_path(check, folder).read_text(encoding="utf-8")
        parameters = check.arguments.get("parameters") or None
        cursor = connection.execute(query, parameters) if parameters else connection.execute(query)
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    except (duckdb.Error, FileNotFoundError) as error:
        # A check that can't run refuses publication; it does not end the audit of the others.
        return result(False, error=type(error).__name__)
    if additional := [name for name in names if name not in ID_COLUMNS]:
        return result(False, error=f"the query returns {', '.join(additional)}, which are not ids")
    ids = tuple(tuple((name, str(value)) for name, value in zip(names, row, strict=True)) for row in rows[:MAX_ROW_IDS])
    return result(not rows, count=len(rows), row_ids=ids)
