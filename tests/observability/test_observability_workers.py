"""Workers beside a run: what they give, what they raise, and that none outlives its run; rare garbage collections."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from health_pipeline.observability.garbage import RARE, rare_collections
from health_pipeline.observability.workers import WorkerEndedError, Workers, result_of


def test_nothing_is_started_before_it_is_asked_for() -> None:
    with Workers() as second:
        assert not second.is_running
        first = second.submit(os.getpid)
        assert second.is_running
        # one process, and what is handed over is done in order
        assert result_of(second.submit(os.getpid)) == result_of(first) != os.getpid()
    assert not second.is_running


def test_what_they_are_at_when_they_are_left_is_dropped() -> None:
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="the run failed"), Workers() as second:
        process = second.submit(os.getpid).result()
        second.submit(time.sleep, 60)
        raise RuntimeError("the run failed")
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    # and it can be begun anew
    with second:
        assert second.submit(os.getpid).result() != process


def test_an_error_of_the_work_is_raised_as_it_is() -> None:
    with Workers() as second, pytest.raises(FileNotFoundError, match="nowhere"):
        result_of(second.submit(os.stat, "/nowhere"))


def test_people_are_told_the_error_and_not_the_other_process_traceback() -> None:
    with Workers() as second:
        with pytest.raises(FileNotFoundError) as raised:
            result_of(second.submit(os.stat, "/nowhere"))
        failed = serializable_error_info_from_exc_info((FileNotFoundError, raised.value, raised.value.__traceback__))
        assert failed.cause is None
        # where it happened is there for who mends it
        assert "Traceback" in str(raised.value.__context__)


def test_a_process_that_is_killed_is_told_in_a_sentence() -> None:
    with Workers() as second:
        process = result_of(second.submit(os.getpid))
        waiting = second.submit(time.sleep, 60)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(WorkerEndedError, match="ran out of memory; nothing half done is kept") as raised:
            result_of(waiting)
        assert raised.value.__cause__ is None


def test_a_process_that_was_killed_while_idle_is_replaced() -> None:
    with Workers() as second:
        process = result_of(second.submit(os.getpid))
        os.kill(process, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        assert result_of(second.submit(os.getpid)) not in {process, os.getpid()}


RUN = """
import os, sys, time
from health_pipeline.observability.workers import Workers, result_of
if __name__ == "__main__":
    with Workers() as second:
        print(result_of(second.submit(os.getpid)), flush=True)
        second.submit(time.sleep, 600)
        time.sleep(600)
"""


def test_a_killed_run_takes_it_along(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    second = int(run.stdout.readline())
    assert is_alive(second)
    run.kill()
    run.wait()
    deadline = time.monotonic() + 30
    while is_alive(second) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(second)


def is_alive(process: int) -> bool:
    """Neither gone nor waiting to be buried by who adopted it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_collections_are_rare_within_and_as_before_after() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(KeyError), rare_collections():
        assert gc.get_threshold() == RARE
        assert gc.get_freeze_count() > frozen
        raise KeyError
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, frozen)
    assert gc.isenabled()


ENDING = """
import gc, sys
from health_pipeline.observability.garbage import end_without_search

class InCycle:
    def __init__(self):
        self.me = self
    def __del__(self):
        print("searched")

gc.disable()
if "spared" in sys.argv:
    end_without_search()
InCycle()
"""


@pytest.mark.parametrize(("spared", "said"), [(["spared"], ""), ([], "searched\n")])
def test_a_process_ends_without_a_search_where_it_asks_for_that(spared: list[str], said: str) -> None:
    ended = subprocess.run([sys.executable, "-c", ENDING, *spared], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, said, "")
