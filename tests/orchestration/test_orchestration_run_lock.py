"""The run lock: one run at a time, whoever started it; a killed run lets go of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from health_pipeline.orchestration.resources import hold_run_lock

HOLDER = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from health_pipeline.orchestration.resources import hold_run_lock
    with hold_run_lock(Path(sys.argv[1]), "run-of-the-other", 5):
        print("held", flush=True)
        time.sleep(float(sys.argv[2]))
""")


@pytest.fixture
def other(tmp_path):
    processes = []

    def start(seconds: float) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path / "run.lock"), str(seconds)], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_the_second_run_is_told_who_holds_the_lock(tmp_path, other):
    holder = other(30)
    with pytest.raises(TimeoutError) as refused, hold_run_lock(tmp_path / "run.lock", "mine", 0.2):
        pass
    assert f"run run-of-the-other, process {holder.pid}" in str(refused.value)
    assert "run again" in str(refused.value)


def test_the_second_run_waits_and_goes_on_when_the_first_is_done(tmp_path, other):
    other(1.0)
    started = time.monotonic()
    with hold_run_lock(tmp_path / "run.lock", "mine", 20):
        assert time.monotonic() - started > 0.5
        assert json.loads((tmp_path / "run.holder").read_text()) == {"run": "mine", "process": os.getpid()}
    assert not (tmp_path / "run.holder").exists()


def test_a_killed_run_lets_go(tmp_path, other):
    holder = other(60)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with hold_run_lock(tmp_path / "run.lock", "mine", 5):
        assert json.loads((tmp_path / "run.holder").read_text())["run"] == "mine"
