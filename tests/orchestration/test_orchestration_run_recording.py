"""What Dagster says of a run is taken down as plain values, sent to a collector, and holds no word of a customer."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from otlp_receiver import collector, values_of
from scripted_server import nobody_there

from health_pipeline.observability.run_record import read_records
from health_pipeline.orchestration.jobs import DECISIONS_JOB, QUARTERLY_JOB
from health_pipeline.orchestration.resources import run_lock_resource
from health_pipeline.orchestration.run_recording import new_record, run_record_resource
from health_pipeline.settings import Settings

CANARY = "zanarikw7x"
SAID = f"Ana {CANARY} wrote: we leave"
KEYS = {"run_lock", "run_record"}


@dg.multi_asset(
    name="score_accounts",
    specs=[dg.AssetSpec("account_health_weekly"), dg.AssetSpec("accounts")],
    check_specs=[
        dg.AssetCheckSpec("a_warning", asset="accounts"),
        dg.AssetCheckSpec("a_note", asset="accounts"),
        dg.AssetCheckSpec("sound", asset="accounts"),
    ],
    required_resource_keys=KEYS,
)
def scored(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Tells rows, and a customer's words where an asset tells words."""
    context.log.info(SAID)
    yield dg.MaterializeResult(asset_key="account_health_weekly", metadata={"dagster/row_count": 411, "said": SAID})
    yield dg.MaterializeResult(asset_key="accounts", metadata={"dagster/row_count": 420})
    for name, severity, passed in (
        ("a_warning", "warning", False),
        ("a_note", "info", False),
        ("sound", "critical", True),
    ):
        yield dg.AssetCheckResult(
            asset_key="accounts",
            check_name=name,
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            description=SAID,
            metadata={"severity": severity, "of": SAID},
        )


@dg.asset(name="release", deps=["accounts"], required_resource_keys=KEYS)
def released(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Publishes, as far as its metadata goes."""
    with context.resources.run_record.part("release", "gate"):
        return dg.MaterializeResult(metadata={"release": "r000007", "published": True, "what happened": SAID})


@dg.asset(name="release", deps=["accounts"], required_resource_keys=KEYS)
def refused() -> None:
    """Fails with a customer's words."""
    raise ValueError(SAID)


def run(settings: Settings, *assets: dg.AssetsDefinition, job: str = "weekly_health_review") -> bool:
    definitions = dg.Definitions(
        assets=list(assets),
        jobs=[dg.define_asset_job(job)],
        resources={"run_lock": run_lock_resource(settings), "run_record": run_record_resource(settings)},
    )
    with dg.instance_for_test() as instance:
        found = definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
    return found.success


def test_a_run_is_on_record_and_with_the_collector(tmp_path: Path) -> None:
    with collector() as received:
        settings = Settings(home=tmp_path, otel_endpoint=received.endpoint)
        assert run(settings, scored, released)
    (record,) = read_records(settings.run_records)
    assert (record.job, record.outcome, record.verdict, record.release) == (
        "weekly_health_review",
        "succeeded",
        "published",
        "r000007",
    )
    assert [(step.step, step.stage, step.rows) for step in record.steps] == [
        ("score_accounts", "score", 831),
        ("release/gate", "gate", None),
        ("release", "publish", None),
    ]
    score = record.steps[0]
    assert (score.checks_evaluated, score.warning_checks_failed, score.info_checks_failed) == (3, 1, 1)
    assert score.critical_checks_failed == 0
    assert all((step.seconds or -1) >= 0 for step in record.steps)
    assert (score.peak_memory_bytes or 0) > 10_000_000
    assert {span.name for span in received.spans} == {"weekly_health_review", "score", "gate", "publish"}
    assert {span.trace_id.hex() for span in received.spans} == {record.run_id.replace("-", "")}
    assert values_of(received.span("score").attributes)["health_pipeline.rows"] == 831
    assert [body for body in received.bodies if CANARY.encode() in body.lower()] == []
    assert CANARY not in next(settings.run_records.iterdir()).read_text()


def test_a_failed_run_is_on_record_with_the_class_of_its_error(tmp_path: Path) -> None:
    with collector() as received:
        settings = Settings(home=tmp_path, otel_endpoint=received.endpoint)
        assert not run(settings, scored, refused)
    (record,) = read_records(settings.run_records)
    assert (record.outcome, record.verdict) == ("failed", None)
    assert [(step.step, step.outcome, step.error) for step in record.steps] == [
        ("score_accounts", "succeeded", None),
        ("release", "failed", "ValueError"),
    ]
    assert [body for body in received.bodies if CANARY.encode() in body.lower()] == []
    assert CANARY not in next(settings.run_records.iterdir()).read_text()


def test_a_dead_collector_fails_no_run(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, otel_endpoint=nobody_there())
    assert run(settings, released, scored)
    assert [record.outcome for record in read_records(settings.run_records)] == ["succeeded"]


def test_landing_decisions_leaves_no_record(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert run(settings, scored, released, job=DECISIONS_JOB)
    assert read_records(settings.run_records) == []


@pytest.mark.parametrize(
    ("job", "tags", "days"),
    [
        ("weekly_health_review", {"dagster/partition": "2026-11-09"}, ("2026-11-09", "2026-11-09", None)),
        (
            "weekly_health_review",
            {"dagster/asset_partition_range_start": "2026-11-02", "dagster/asset_partition_range_end": "2026-11-09"},
            ("2026-11-02", "2026-11-09", None),
        ),
        (QUARTERLY_JOB, {"dagster/partition": "2026-07-01"}, (None, None, "2026-07-01")),
        ("validate_score", {}, (None, None, None)),
    ],
)
def test_the_weeks_of_a_run_are_those_of_its_tags(
    job: str, tags: dict[str, str], days: tuple[str | None, str | None, str | None]
) -> None:
    record = new_record(dg.DagsterRun(job_name=job, tags=tags), {})
    wanted = tuple(date.fromisoformat(day) if day else None for day in days)
    assert (record.first_week, record.last_week, record.quarter) == wanted


def test_what_the_ui_starts_without_a_job_is_called_so_and_a_trace_is_taken_over() -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    record = new_record(dg.DagsterRun(job_name="__ASSET_JOB"), {"TRACEPARENT": traceparent})
    assert (record.job, record.traceparent) == ("chosen_assets", traceparent)
    assert new_record(dg.DagsterRun(job_name="j"), {"TRACEPARENT": "somebody's words"}).traceparent is None
