"""What the fault tests share: starting the command line, killing it in time, and asserting that a home is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import yaml

from health_pipeline.contract.mart import mart_tables
from health_pipeline.observability.crash_points import ENVIRONMENT
from health_pipeline.orchestration.home import dagster_instance
from health_pipeline.publication.content_hashes import OUTSIDE_CONTENT
from health_pipeline.publication.releases import Release, candidates_folder, current_release, damages, list_releases
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing

RUN_SECONDS = 900
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Command:
    """The command line at work, in a process group of its own; what it says goes to a file."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait(self) -> int:
        return self.process.wait(timeout=RUN_SECONDS)

    def kill_when(self, what: str, has_happened: Callable[[], bool], is_group: bool = True) -> None:
        """SIGKILL the whole group, or its first process alone, as soon as that has happened."""
        deadline = time.monotonic() + RUN_SECONDS
        while not has_happened():
            assert self.process.poll() is None, f"it ended before {what}:\n{self.said}"
            assert time.monotonic() < deadline, f"it never came to {what}:\n{self.said}"
            time.sleep(POLL_SECONDS)
        assert self.process.poll() is None, f"it had ended already at {what}:\n{self.said}"
        (os.killpg if is_group else os.kill)(self.process.pid, signal.SIGKILL)
        assert self.process.wait(timeout=30) == -signal.SIGKILL

    def kill_at(self, moment: float) -> bool:
        """SIGKILL the whole group at a moment of the monotonic clock; False where it had ended by then."""
        try:
            self.process.wait(timeout=max(0.0, moment - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            assert self.process.wait(timeout=30) == -signal.SIGKILL
            return True
        assert self.process.returncode == 0, self.said
        return False


Start = Callable[..., Command]


def start_command(settings: Settings, output: Path, *arguments: str, crash_at: str = "") -> Command:
    environment = {**os.environ, "HEALTH_HOME": str(settings.home), ENVIRONMENT: crash_at, "COLUMNS": "400"}
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "health_pipeline.cli", *arguments],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Command(process, output)


def small_company(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "sources.yaml").write_text(yaml.safe_dump({"demo": {"seed": 3, "accounts": 40}}))


def release_of(settings: Settings) -> Release:
    release = current_release(settings)
    assert release is not None, "nothing is published"
    return release


def content_of(release: Release) -> dict[str, Any]:
    """Content hashes of every slice and every table but those that say how often, and how long, it was tried."""
    tables = {name: value for name, value in release.manifest["tables"].items() if name not in OUTSIDE_CONTENT}
    return {"slices": release.manifest["slices"], "tables": tables}


def runs_in_history(settings: Settings, *statuses: dg.DagsterRunStatus) -> list[str]:
    with dagster_instance(settings) as instance:
        return [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=list(statuses)))]


def assert_published_is_whole(settings: Settings) -> None:
    """Every release kept matches its manifest, and no table has a key twice or is missing."""
    current = release_of(settings)
    assert {release.name: damages(release) for release in list_releases(settings)} == {
        release.name: [] for release in list_releases(settings)
    }
    with duckdb.connect(str(settings.published / "current" / "customer_health.duckdb"), read_only=True) as mart:
        tables = {row[0] for row in mart.execute("select table_name from duckdb_tables()").fetchall()}
        assert tables == set(mart_tables())
        for name, table in mart_tables().items():
            key = ", ".join(f'"{column}"' for column in table.key)
            twice = mart.execute(f'select {key} from "{name}" group by all having count(*) > 1').fetchall()
            assert twice == [], f"{name} has keys twice"
        weeks = mart.execute("select distinct week::varchar from account_health_weekly order by week").fetchall()
    assert [row[0] for row in weeks] == [str(week) for week in current.published_weeks]


def assert_nothing_is_left_over(settings: Settings) -> None:
    """No candidate, no half-landed load, no note of a holder, no open log of the warehouse, no run that never ends."""
    assert list(candidates_folder(settings).iterdir()) == []
    assert list(settings.published.glob(".current-*")) == []
    assert not settings.run_lock.with_suffix(".holder").exists()
    assert [path.name for path in settings.warehouse.parent.glob("*.wal")] == []
    assert runs_in_history(settings, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING) == []
    loads = Landing(settings.landing, settings.quarantine).loads()
    assert [load.load_sequence for load in loads] == list(range(1, len(loads) + 1))
    folders = {path.relative_to(settings.landing).as_posix() for path in settings.landing.glob("[a-z]*/*/*/")}
    assert folders == {load.folder for load in loads}


def assert_it_is_told(settings: Settings) -> None:
    """The newest week has its plan and its report, and the newest report is that one."""
    newest = release_of(settings).published_weeks[-1]
    names = {path.name for path in (settings.emitted / str(newest)).iterdir()}
    assert names == {"action_plan.csv", "action_plan.jsonl", "review_tasks.csv", "review_tasks.jsonl"}
    assert (settings.reports / f"weekly-{newest}.html").read_bytes() == (settings.reports / "latest.html").read_bytes()


def is_building(settings: Settings) -> bool:
    """dbt writes to the warehouse."""
    log = settings.warehouse.with_name(f"{settings.warehouse.name}.wal")
    return log.is_file() and log.stat().st_size > 0


def processes_of_group(group: int) -> list[int]:
    """Process ids of the group's members that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(") ")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found
