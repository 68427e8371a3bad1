"""Takes down what Dagster says of a run, as plain values: for the run summary in the mart, and for OpenTelemetry."""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.observability.logs import get_logger
from health_pipeline.observability.run_record import (
    PARTITION_ROWS,
    TABLE_ROWS,
    CheckSeverity,
    RunRecord,
    RunRecorder,
    close_killed_records,
)
from health_pipeline.observability.telemetry import deliver
from health_pipeline.orchestration.jobs import DECISIONS_JOB, QUARTERLY_JOB
from health_pipeline.settings import Settings

PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
logger = get_logger("orchestration")


def run_record_resource(settings: Settings) -> dg.ResourceDefinition:
    """Listens to a run from its first step to its last, whoever started it.

    It needs the run lock, so that no other run is at work when killed ones are told so.
    """

    @dg.resource(
        description="What the run did, how long, with how much memory: for run_summary and OpenTelemetry.",
        required_resource_keys={"run_lock"},
    )
    def run_record(context: dg.InitResourceContext) -> Iterator[RunRecorder]:
        run = context.run
        # Landing decisions runs every ten minutes: it would fill the summary and say nothing.
        is_kept = run is not None and run.job_name != DECISIONS_JOB
        folder = settings.run_records
        for killed in close_killed_records(folder, naive_utc(datetime.now(UTC))) if is_kept else ():
            deliver(killed, settings.otel_endpoint)
        recorder = RunRecorder(new_record(run), folder if is_kept else None)
        if run is not None and context.instance is not None:
            context.instance.add_event_listener(run.run_id, lambda entry: take_down(recorder, entry))
        try:
            yield recorder
        finally:
            deliver(recorder.end(), settings.otel_endpoint)

    return run_record


def new_record(run: dg.DagsterRun | None, environment: Mapping[str, str] = os.environ) -> RunRecord:
    """An empty record of a run: its job, its weeks or its quarter, and the trace it belongs to."""
    now = naive_utc(datetime.now(UTC))
    if run is None:
        return RunRecord("unknown", "unknown", now)
    tags = run.tags
    first, last = tags.get(RANGE_START, tags.get(PARTITION)), tags.get(RANGE_END, tags.get(PARTITION))
    given = environment.get("TRACEPARENT", "")
    job = "chosen_assets" if run.job_name.startswith("__") else run.job_name
    record = RunRecord(run.run_id, job, now, traceparent=given if _TRACEPARENT.fullmatch(given) else None)
    if run.job_name == QUARTERLY_JOB:
        record.quarter = _day(first)
    else:
        record.first_week, record.last_week = _day(first), _day(last)
    return record


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def take_down(recorder: RunRecorder, entry: dg.EventLogEntry) -> None:
    """One event of Dagster's log: of its words none is kept."""
    event = entry.dagster_event
    if event is None or event.step_key is None:
        return
    step = event.step_key
    if event.is_step_start:
        recorder.step_started(step)
    elif event.is_step_success:
        recorder.step_ended(step)
    elif event.is_step_failure:
        recorder.step_ended(step, _class_of(event.step_failure_data.error), is_failed=True)
    elif event.is_step_materialization:
        _take_down_rows(recorder, step, event)
    elif event.event_type_value == dg.DagsterEventType.ASSET_CHECK_EVALUATION.value:
        evaluation = event.asset_check_evaluation_data
        recorder.check_evaluated(step, severity_of(evaluation), evaluation.passed)


def _class_of(error: SerializableErrorInfo | None) -> str | None:
    """The class of the first cause: Dagster wraps each error in one of its own."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.cls_name.rpartition(".")[2] if error is not None and error.cls_name else None


def _take_down_rows(recorder: RunRecorder, step: str, event: dg.DagsterEvent) -> None:
    materialization = event.step_materialization_data.materialization
    told = {label: value.value for label, value in materialization.metadata.items()}
    for label in (PARTITION_ROWS, TABLE_ROWS):
        rows = told.get(label)
        if isinstance(rows, int):
            recorder.rows_told(step, materialization.asset_key.to_user_string(), label, rows)
    if {"release", "published"} <= told.keys():
        recorder.released(str(told["release"]), bool(told["published"]))


def severity_of(evaluation: dg.AssetCheckEvaluation) -> CheckSeverity:
    """The severity a suite gave the check; dbt's own tests have Dagster's two."""
    told = evaluation.metadata.get("severity")
    # A check that could not be evaluated is an error to Dagster whatever its suite says.
    if evaluation.severity == dg.AssetCheckSeverity.ERROR:
        return "critical"
    return "info" if told is not None and told.value == "info" else "warning"
