"""A damaged home as a person meets it: the doctor says what is wrong and what to do, doing that puts it right."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from filelock import FileLock
from mart_builder import build_tables, weeks_from
from publishing import build, publish_weeks
from typer.testing import CliRunner

from health_pipeline import cli
from health_pipeline.cli.terminal import out
from health_pipeline.orchestration.doctor import environment, stores
from health_pipeline.orchestration.doctor.gathering import gather_environment, gather_stores
from health_pipeline.orchestration.doctor.held_locks import HeldLock, held_locks
from health_pipeline.publication.errors import DamagedReleaseError
from health_pipeline.publication.history import read_history
from health_pipeline.publication.releases import candidates_folder, current_release, list_releases, publish_lock
from health_pipeline.settings import Settings

MOMENT = datetime(2026, 10, 28, 9, 0)


def exit_code_of(settings: Settings, *arguments: str) -> int:
    return CliRunner().invoke(cli.app, list(arguments), env={"HEALTH_HOME": str(settings.home)}).exit_code


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the command line says; its console took hold of the output when it was imported."""
    stream = io.StringIO()
    monkeypatch.setattr(out, "file", stream)
    return stream


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["flipped byte", "cut", "stray log"])
def test_a_damaged_release_is_found_told_and_rolled_back_on_the_record(
    published: Settings, said: io.StringIO, damage: str
) -> None:
    good, bad = list_releases(published)
    if damage == "flipped byte":
        flip_a_byte(bad.folder / "parquet" / "account_health_weekly" / "2026-10-19.parquet")
    elif damage == "cut":
        bad.file.chmod(0o644)
        os.truncate(bad.file, bad.file.stat().st_size // 2)
    else:
        bad.file.with_name(f"{bad.file.name}.wal").write_bytes(b"x")

    (finding,) = stores.check_release(gather_stores(published, MOMENT))
    assert finding.what.startswith(f"release {bad.name} is damaged: ")
    if damage != "stray log":  # which is not copied: what a candidate takes over is whole
        with pytest.raises(DamagedReleaseError):
            build(published, weeks_from(3, 1), build_tables(weeks_from(3, 1)))

    assert exit_code_of(published, "rollback", good.name, "--by", "ana@example.com", "--reason", "a broken disk") == 0
    assert f"{good.name} is current again, by ana@example.com." in said.getvalue()
    event = read_history(published)[-1]
    assert (event.event, event.release, event.replaced) == ("rollback", good.name, bad.name)
    assert (event.by, event.reason) == ("ana@example.com", "a broken disk")
    assert list(stores.check_release(gather_stores(published, MOMENT))) == []
    # Nobody needs to remove the damaged one: the weeks since are published anew, with a higher number.
    again = publish_weeks(published, weeks_from(2, 2))
    assert (again.sequence, [str(week) for week in again.published_weeks][-2:]) == (4, ["2026-10-19", "2026-10-26"])


def test_a_rollback_to_a_damaged_release_is_refused_and_not_recorded(published: Settings, said: io.StringIO) -> None:
    older, current = list_releases(published)
    flip_a_byte(older.file)
    assert exit_code_of(published, "rollback", older.name, "--by", "ana@example.com", "--reason", "why not") == 1
    refusal = "can't be rolled back to: customer_health.duckdb was changed: its checksum differs"
    assert refusal in " ".join(said.getvalue().split())
    assert current_release(published) == current
    assert [event.event for event in read_history(published)] == ["published", "published"]


def test_a_stopped_publisher_is_told_with_its_number(published: Settings) -> None:
    lock = published.home / "publish.lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from filelock import FileLock\n"
            "with FileLock(sys.argv[1]): print('held', flush=True); time.sleep(600)",
            str(lock),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert held_locks([lock]) == (HeldLock("publish.lock", holder.pid, False),)
        holder.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 30
        while not held_locks([lock])[0].is_stopped:
            assert time.monotonic() < deadline, "it never stopped"
            time.sleep(0.01)
        (finding,) = stores.check_stopped_holders(gather_stores(published, MOMENT))
        assert finding.what == f"process {holder.pid} holds publish.lock and is stopped"
        assert f"(`kill -KILL {holder.pid}`)" in finding.do
    finally:
        holder.kill()
        holder.wait(timeout=30)
    # What it said to do: once the process is gone the lock is free.
    assert held_locks([lock]) == ()
    with publish_lock(published, timeout=5):
        pass


def test_a_lock_file_that_nobody_holds_is_no_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "run.lock")
    with lock:
        assert held_locks([tmp_path / "run.lock"])[0].process == os.getpid()
    (tmp_path / "run.lock").touch()
    assert held_locks([tmp_path / "run.lock", tmp_path / "none.lock"]) == ()


def test_what_was_left_in_the_scratch_folder_is_told(published: Settings) -> None:
    (candidates_folder(published) / "r000003-20261026T060000-0123abcd").mkdir(parents=True)
    (finding,) = stores.check_left_behind(gather_stores(published, MOMENT))
    assert finding.what == "1 candidates were left behind: r000003-20261026T060000-0123abcd"


@pytest.mark.parametrize(
    ("now", "zone", "checks"),
    [
        (datetime(2026, 10, 26, 3, 0), "UTC", ["clock"]),  # three hours before the publication that is on record
        (datetime(2026, 10, 28, 9, 0), "UTC", []),
        (datetime(2026, 10, 28, 9, 0), "Asia/Kolkata", ["time zone"]),
    ],
)
def test_a_wrong_clock_and_another_time_zone_are_told(
    published: Settings, monkeypatch: pytest.MonkeyPatch, now: datetime, zone: str, checks: list[str]
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        facts = gather_environment(published, now)
    finally:
        monkeypatch.undo()
        time.tzset()
    found = [
        finding.check for check in (environment.check_clock, environment.check_time_zone) for finding in check(facts)
    ]
    assert found == checks
    assert facts.company_zone == "UTC"
