"""What a killed run leaves behind and the next one puts right: the lock's note, Dagster's history, the warehouse."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.connection import WarehouseBusyError, wait_until_free
from health_pipeline.orchestration import demo
from health_pipeline.orchestration.home import dagster_instance
from health_pipeline.orchestration.resources import close_killed_run, hold_run_lock
from health_pipeline.settings import Settings

WRITER = """
import sys, time
import duckdb
warehouse = duckdb.connect(sys.argv[1])
warehouse.execute("create table if not exists numbers (n integer)")
warehouse.execute("checkpoint")
warehouse.execute("insert into numbers select * from range(1000)")
warehouse.begin()
warehouse.execute("insert into numbers select * from range(1000)")
print("writing", flush=True)
time.sleep(float(sys.argv[2]))
"""
CHECKPOINTING = """
import sys, threading
import duckdb
warehouse = duckdb.connect(sys.argv[1])
warehouse.execute("create table numbers (n integer)")
warehouse.execute("checkpoint")
warehouse.execute("insert into numbers select * from range(100_000)")
# What a checkpoint writes lies in the file, and nothing points to it yet.
warehouse.execute("set debug_checkpoint_scan_sleep_ms = 600000")
threading.Timer(0.3, lambda: print("writing", flush=True)).start()
warehouse.execute("checkpoint")
print("ended", flush=True)
"""
NEWEST = Week(date(2026, 3, 30))


def writing(path: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_the_note_of_a_killed_run_names_it_once(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    path.with_suffix(".holder").write_text('{"run": "killed", "process": 1}')
    with hold_run_lock(path, "mine", 0) as killed:
        assert killed == "killed"
        assert json.loads(path.with_suffix(".holder").read_text())["run"] == "mine"
    with hold_run_lock(path, "the next", 0) as killed:
        assert killed is None


@pytest.mark.parametrize("torn", ["", '{"run": "kil'])
def test_a_note_that_was_not_written_to_its_end_says_nothing(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "run.lock"
    path.with_suffix(".holder").write_text(torn)
    with hold_run_lock(path, "mine", 0) as killed:
        assert killed is None


def test_a_killed_run_is_closed_in_the_history_and_a_finished_one_is_left_alone(tmp_path: Path) -> None:
    @dg.job
    def nothing() -> None:
        pass

    with dagster_instance(Settings(home=tmp_path)) as instance:
        killed = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
        done = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.SUCCESS)
        for run_id in (killed.run_id, done.run_id, "never-recorded"):
            close_killed_run(instance, run_id)
        statuses = {run.run_id: run.status for run in instance.get_runs()}
        assert statuses == {killed.run_id: dg.DagsterRunStatus.FAILURE, done.run_id: dg.DagsterRunStatus.SUCCESS}
        (failure,) = [entry for entry in instance.all_logs(killed.run_id) if entry.dagster_event]
        assert "was killed" in failure.dagster_event.message
        assert "run it again" in failure.dagster_event.message


def test_a_warehouse_somebody_still_writes_to_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    wait_until_free(path, 0)
    assert not path.exists()
    process = writing(path, 2)
    with pytest.raises(WarehouseBusyError, match="wait for its run to end"):
        wait_until_free(path, 0.1)
    started = time.monotonic()
    wait_until_free(path, 60)
    assert time.monotonic() - started > 0.5
    assert process.wait(timeout=30) == 0


def test_a_warehouse_whose_writer_was_killed_has_what_was_committed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    process = writing(path, 600)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    assert path.with_name("warehouse.duckdb.wal").stat().st_size > 0
    wait_until_free(path, 0)
    assert not path.with_name("warehouse.duckdb.wal").exists()
    with duckdb.connect(str(path), read_only=True) as warehouse:
        assert warehouse.execute("select count(*) from numbers").fetchone() == (1000,)


def test_a_writer_killed_in_a_checkpoint_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    program = [sys.executable, "-c", CHECKPOINTING, str(path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            # Said while the checkpoint goes on: its end would have been said first.
            assert process.stdout.readline() == "writing\n"
        finally:
            process.kill()
        assert process.stdout.read() == "", "it was killed after its checkpoint"
    assert path.with_name("warehouse.duckdb.wal").stat().st_size > 0
    wait_until_free(path, 0)
    with duckdb.connect(str(path), read_only=True) as warehouse:
        assert warehouse.execute("select count(*), sum(n) from numbers").fetchone() == (100_000, 4_999_950_000)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, list[Week]]:
    """A home whose newest week has its plan and its report, and the weeks that are run again."""
    settings = Settings(home=tmp_path)
    plan = settings.emitted / str(NEWEST)
    plan.mkdir(parents=True)
    settings.reports.mkdir()
    for path in (
        plan / "review_tasks.jsonl",
        settings.reports / f"weekly-{NEWEST}.html",
        settings.reports / "latest.html",
    ):
        path.write_text(str(NEWEST))
    again: list[Week] = []
    monkeypatch.setattr(demo, "newest_published_week", lambda _: NEWEST)
    monkeypatch.setattr(demo, "run_weekly", lambda _, weeks, **__: again.extend(weeks))
    return settings, again


@pytest.mark.parametrize("lost", ["", "emitted/2026-03-30/review_tasks.jsonl", "reports/weekly-2026-03-30.html"])
def test_a_week_whose_plan_or_report_was_never_made_is_run_again(told, lost: str) -> None:
    settings, again = told
    if lost:
        (settings.home / lost).unlink()
    demo.tell_newest_week(settings, dg.Definitions())
    assert again == ([NEWEST] if lost else [])


def test_a_week_whose_report_is_not_the_latest_is_run_again(told) -> None:
    settings, again = told
    (settings.reports / "latest.html").write_text("the week before")
    demo.tell_newest_week(settings, dg.Definitions())
    assert again == [NEWEST]


def test_sources_left_half_written_are_not_taken_for_other_ones(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "sources.partial").write_text("dem")
    demo.configure_sources(settings, 7, 80)
    assert yaml.safe_load((tmp_path / "sources.yaml").read_text()) == {"demo": {"seed": 7, "accounts": 80}}
    assert [path.name for path in tmp_path.iterdir()] == ["sources.yaml"]
