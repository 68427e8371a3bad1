"""The rows of `run_summary`: what is on record of every run, and what the base knew of runs whose record is gone."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from health_pipeline.contract.mart import mart_tables
from health_pipeline.observability.run_record import WHOLE_RUN, RunRecord, StepRecord, read_records
from health_pipeline.publication.mart_file import read_rows
from health_pipeline.settings import Settings

_OF_STEP = (
    "seconds",
    "rows",
    "peak_memory_bytes",
    "outcome",
    "error",
    "checks_evaluated",
    "critical_checks_failed",
    "warning_checks_failed",
    "info_checks_failed",
)
_COUNTS = _OF_STEP[5:]


def summary_rows(settings: Settings, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every run's rows, one of step `run` and one per step.

    The run that builds the candidate is in it up to the step before the candidate: what comes after (audit, gate,
    publishing, the report) can't be in a file that is audited. The next release has all of it.
    """
    table = mart_tables()["run_summary"]
    recorded = read_records(settings.run_records)
    again = {record.run_id for record in recorded}
    kept = [row for row in read_rows(connection, table).to_pylist() if row["run_id"] not in again]
    rows = kept + [row for record in recorded for row in rows_of_run(record)]
    return pa.Table.from_pylist(rows, schema=table.arrow_schema)


def rows_of_run(record: RunRecord) -> list[dict[str, Any]]:
    """The rows of one run, the whole run's first."""
    whole = {
        **_of_run(record),
        "step": WHOLE_RUN,
        "stage": WHOLE_RUN,
        "started_at": record.started_at,
        "seconds": record.seconds,
        "peak_memory_bytes": record.peak_memory_bytes,
        "outcome": record.outcome,
        **{count: record.checks(count) for count in _COUNTS},
        "verdict": record.verdict,
        "release": record.release,
    }
    return [whole, *(_row_of_step(record, step) for step in record.steps)]


def _of_run(record: RunRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("run_id", "job", "first_week", "last_week", "quarter")}


def _row_of_step(record: RunRecord, step: StepRecord) -> dict[str, Any]:
    return {
        **_of_run(record),
        "step": step.step,
        "stage": step.stage,
        "started_at": step.started_at,
        **{name: getattr(step, name) for name in _OF_STEP},
    }
