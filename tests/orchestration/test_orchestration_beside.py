"""What works beside a run: begun before it, ended with it whatever became of it, and nothing written for it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from health_pipeline import cli
from health_pipeline.identity.ahead import LINKS_FOR_SECOND
from health_pipeline.identity.store import LINK_FILE
from health_pipeline.observability.garbage import RARE
from health_pipeline.orchestration.beside import Beside
from health_pipeline.orchestration.run import RunOutcome
from health_pipeline.settings import REPOSITORY, Settings


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A company with as many links as pay a second process."""
    settings = Settings(home=tmp_path / "home")
    settings.identity.mkdir(parents=True)
    pq.write_table(pa.table({"account_id": ["acc_000000000000"] * LINKS_FOR_SECOND}), settings.identity / LINK_FILE)
    return settings


def test_what_is_begun_ends_with_a_run_that_failed_and_has_written_nothing(settings: Settings) -> None:
    beside = Beside.of(settings)

    def fail() -> None:
        dbt = beside.dbt._process
        assert dbt is not None
        assert beside.second.is_running
        begun.extend((dbt.pid, beside.second.submit(os.getpid).result()))
        raise RuntimeError("no such week")

    begun: list[int] = []
    with pytest.raises(RuntimeError, match="no such week"), beside.begun():
        fail()
    assert len(begun) == 2
    assert not any(is_alive(process) for process in begun)
    assert [path.relative_to(settings.home).as_posix() for path in settings.home.rglob("*") if path.is_file()] == [
        f"identity/{LINK_FILE}"
    ]


def test_while_another_run_holds_the_lock_nothing_is_begun(settings: Settings) -> None:
    beside = Beside.of(settings)
    with FileLock(settings.run_lock), beside.begun():
        assert not beside.second.is_running
        assert beside.dbt._process is None
    with beside.begun():
        assert beside.second.is_running
        assert beside.dbt._process is not None


def test_the_weekly_command_begins_what_its_run_uses(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(given: Settings, weeks: object, restate: object, definitions: Beside) -> RunOutcome:
        assert definitions.dbt._process is not None
        seen.append((given, definitions.second.is_running, definitions.dbt._process.poll()))
        return RunOutcome("run", "release", True, "published")

    monkeypatch.setenv("HEALTH_HOME", str(settings.home))
    monkeypatch.setattr("health_pipeline.orchestration.build.build_definitions", lambda _, beside: beside)
    monkeypatch.setattr("health_pipeline.orchestration.run.run_weekly", run)
    result = CliRunner().invoke(cli.app, ["weekly", "--week", "2026-01-05"])
    assert result.exit_code == 0, result.output
    assert seen == [(settings, True, None)]


def test_the_second_process_searches_for_garbage_seldom(settings: Settings) -> None:
    with Beside.of(settings).second as second:
        assert second.submit(gc.get_threshold).result() == RARE


def test_a_small_company_has_no_second_process_begun(tmp_path: Path) -> None:
    beside = Beside.of(Settings(home=tmp_path))
    with beside.begun():
        assert not beside.second.is_running


def test_definitions_load_neither_what_learns_nor_what_draws_and_it_is_loaded_once_when_a_step_waits(
    tmp_path: Path,
) -> None:
    program = """
import sys, threading
from pathlib import Path
from health_pipeline.orchestration.build import build_definitions
from health_pipeline.orchestration.resources import meanwhile_resource
from health_pipeline.settings import Settings

build_definitions(Settings(home=Path(sys.argv[1])))
heavy = ("sklearn", "altair", "vl_convert")
assert not [name for name in heavy if name in sys.modules]
meanwhile = meanwhile_resource()
meanwhile()
meanwhile()
(loading,) = [thread for thread in threading.enumerate() if thread.name == "meanwhile"]
loading.join()
assert not [name for name in heavy if name not in sys.modules]
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
