"""Failed runs and failed checks are told: to the log, and to a webhook where one is set."""

from __future__ import annotations

import json
import logging

import dagster as dg
import pytest
from scripted_server import Answer, nobody_there, scripted

from health_pipeline.observability import webhook
from health_pipeline.orchestration.jobs import DECISIONS_JOB, build_job
from health_pipeline.orchestration.resources import Notifier
from health_pipeline.orchestration.sensors import build_sensors, failed_checks


def told(caplog) -> list[dict]:
    return [
        json.loads(record.getMessage()) for record in caplog.records if record.name == "health_pipeline.orchestration"
    ]


def test_a_notification_reaches_the_log_and_the_webhook(caplog):
    with scripted() as server, caplog.at_level(logging.INFO, "health_pipeline"):
        Notifier(webhook_url=f"{server.url}/hook").notify("weekly_health_review failed", "crm is stale", "run-1")
    assert [asked.path for asked in server.asked] == ["/hook"]
    assert server.documents() == [{"title": "weekly_health_review failed", "text": "crm is stale", "run_id": "run-1"}]
    assert [(entry["event"], entry["detail"]) for entry in told(caplog)] == [("notification", "crm is stale")]


def test_a_webhook_that_takes_no_posts_is_told_and_stops_nothing(caplog):
    with caplog.at_level(logging.INFO, "health_pipeline"):
        Notifier(webhook_url="ftp://example.com/x").notify("t", "d", "run-1")
    assert [entry["event"] for entry in told(caplog)] == ["notification", "webhook_refused"]


def test_a_webhook_that_does_not_work_is_told_with_its_reason_and_stops_nothing(caplog):
    with scripted(Answer(401)) as server, caplog.at_level(logging.INFO, "health_pipeline"):
        Notifier(webhook_url=f"{server.url}/secret-path").notify("t", "d", "run-1")
    assert [(entry["event"], entry["run_id"]) for entry in told(caplog)] == [
        ("notification", "run-1"),
        ("webhook_failed", "run-1"),
    ]
    assert told(caplog)[1]["reason"] == "it answered 401 Unauthorized"
    assert "secret-path" not in caplog.text


def test_nobody_at_the_address_of_the_webhook_stops_nothing(caplog, monkeypatch):
    monkeypatch.setattr(webhook, "PAUSES_SECONDS", (0.0,))
    with caplog.at_level(logging.INFO, "health_pipeline"):
        Notifier(webhook_url=f"{nobody_there()}/secret-path").notify("t", "d", "run-1")
    assert [entry["event"] for entry in told(caplog)] == ["notification", "webhook_failed"]
    assert told(caplog)[1]["reason"] == "Connection refused"


@dg.asset
def broken() -> None:
    raise ValueError("billing was refused: invoices.csv has no column 'total'")


@dg.asset(check_specs=[dg.AssetCheckSpec("row_count", asset="warned")])
def warned():
    yield dg.MaterializeResult()
    yield dg.AssetCheckResult(check_name="row_count", passed=False, severity=dg.AssetCheckSeverity.WARN)


def run(asset: dg.AssetsDefinition, instance: dg.DagsterInstance):
    job = dg.Definitions(assets=[asset], jobs=[dg.define_asset_job("job", selection=[asset])]).resolve_job_def("job")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def sensor(name: str) -> dg.SensorDefinition:
    return next(entry for entry in build_sensors(build_job(DECISIONS_JOB, "", [])) if entry.name == name)


@dg.resource
def damaged_store():
    raise ValueError("Release r000002 is damaged; roll back to an older one.")


@dg.asset(resource_defs={"store": damaged_store})
def unstarted() -> None: ...


def told_of(event: dg.DagsterEvent, run_of_it: dg.DagsterRun, instance: dg.DagsterInstance, caplog) -> dict:
    context = dg.build_run_status_sensor_context(
        "tell_failed_runs",
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=run_of_it,
        resources={"notifier": Notifier()},
    ).for_run_failure()
    with caplog.at_level(logging.INFO, "health_pipeline"):
        sensor("tell_failed_runs")(context)
    (entry,) = told(caplog)
    return entry


@pytest.mark.parametrize(
    ("asset", "reason"),
    [
        (broken, "billing was refused: invoices.csv has no column 'total'"),
        # what the steps share could not be set up: no step failed, for none began
        (unstarted, "Release r000002 is damaged; roll back to an older one."),
    ],
    ids=["in a step", "before the first step"],
)
def test_a_failed_run_is_told_with_its_reason(asset, reason, caplog):
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(asset, instance)
        failed = next(event for event in result.all_events if event.is_run_failure)
        entry = told_of(failed, result.dagster_run, instance, caplog)
    assert (entry["title"], entry["detail"]) == ("job failed", reason)


def test_a_run_that_was_closed_from_outside_is_told_with_what_was_said(caplog):
    with dg.DagsterInstance.ephemeral() as instance:
        killed = instance.create_run_for_job(
            dg.Definitions(assets=[broken], jobs=[dg.define_asset_job("job")]).resolve_job_def("job")
        )
        event = instance.report_run_failed(killed, "The process of this run was killed.")
        entry = told_of(event, killed, instance, caplog)
    assert (entry["title"], entry["detail"]) == ("job failed", "The process of this run was killed.")


def test_a_check_that_warned_is_told_after_a_run_that_succeeded(caplog):
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(warned, instance)
        assert result.success
        assert failed_checks(instance, result.run_id) == ["warned: row_count"]
        context = dg.build_run_status_sensor_context(
            "tell_failed_checks",
            dagster_event=next(event for event in result.all_events if event.event_type_value == "PIPELINE_SUCCESS"),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources={"notifier": Notifier()},
        )
        with caplog.at_level(logging.INFO, "health_pipeline"):
            sensor("tell_failed_checks")(context)
    assert [(entry["title"], entry["detail"]) for entry in told(caplog)] == [("1 check warns", "warned: row_count")]
