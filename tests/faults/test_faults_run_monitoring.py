"""A run whose process is gone holds up nothing for good: Dagster's monitor closes it and frees what it held."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.runs.schema import RunsTable
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from health_pipeline.orchestration.home import dagster_instance
from health_pipeline.settings import Settings

logger = logging.getLogger("monitor")
POOL = "somebodys_pool"


@dg.job
def nothing() -> None:
    """Holds a place in the queue."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """With the settings of this project's dagster.yaml."""
    with dagster_instance(Settings(home=tmp_path)) as made:
        yield made


def workspace(instance: dg.DagsterInstance) -> Any:
    return SimpleNamespace(instance=instance, create_request_context=lambda: None)


def began(instance: dg.DagsterInstance, run_id: str, seconds_ago: float) -> None:
    """As if the run had begun, and was last heard of, that long ago."""
    then = dg.DagsterInstance.get_run_record_by_id(instance, run_id)
    assert then is not None
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.execute(
            RunsTable.update()
            .where(RunsTable.c.run_id == run_id)
            .values(start_time=then.create_timestamp.timestamp() - seconds_ago)
        )


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_that_never_ends_is_closed_after_its_longest_time(instance: dg.DagsterInstance) -> None:
    longest = instance.run_monitoring_max_runtime_seconds
    assert (instance.run_monitoring_enabled, longest) == (True, 7200)
    killed = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    young = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    began(instance, killed.run_id, longest + 60)
    began(instance, young.run_id, longest - 60)
    assert list(execute_run_monitoring_iteration(workspace(instance), logger)) == [None, None]
    assert status_of(instance, killed.run_id) == dg.DagsterRunStatus.FAILURE
    assert status_of(instance, young.run_id) == dg.DagsterRunStatus.STARTED
    told = [entry.message for entry in instance.all_logs(killed.run_id)]
    assert any("maximum runtime" in message for message in told), told


def test_the_pool_slot_of_a_run_that_ended_is_freed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No asset of ours takes part in a pool; one that a company adds may."""
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default(POOL)
    killed = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    assert storage.claim_concurrency_slot(POOL, killed.run_id, "step").is_claimed
    waiting = instance.create_run_for_job(nothing)
    assert not storage.claim_concurrency_slot(POOL, waiting.run_id, "step").is_claimed

    list(execute_concurrency_slots_iteration(workspace(instance), logger))
    assert storage.get_concurrency_info(POOL).active_slot_count == 1, "it was freed while its run goes on"
    instance.report_run_failed(killed, "its process was killed")
    settings = {**instance.run_monitoring_settings, "free_slots_after_run_end_seconds": 0.001}
    monkeypatch.setattr(type(instance), "run_monitoring_settings", property(lambda _: settings))
    list(execute_concurrency_slots_iteration(workspace(instance), logger))
    assert storage.claim_concurrency_slot(POOL, waiting.run_id, "step").is_claimed


def test_the_next_run_of_the_same_home_does_not_wait_for_the_monitor(instance: dg.DagsterInstance) -> None:
    """One queue limit of one run: what is closed no longer counts in it."""
    from health_pipeline.orchestration.resources import close_killed_run

    killed = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    in_progress = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    assert instance.get_runs_count(in_progress) == 1
    close_killed_run(instance, killed.run_id)
    assert instance.get_runs_count(in_progress) == 0
