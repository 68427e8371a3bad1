"""Eight processes append at once, on both databases: no event is lost, none stands twice, the chain holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from reviewing import CSM, SetClock, add_people, packet

from health_pipeline.review import Ledger
from health_pipeline.settings import Settings

PROCESSES = 8
# Waits for the starting gun, so that they really write at the same time; prints each acknowledged event.
APPENDING = """
import sys, time
from pathlib import Path
from reviewing import CSM, SetClock
from health_pipeline.review import Ledger
from health_pipeline.settings import Settings
number, count, gun = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
with Ledger.open(Settings(), SetClock()) as ledger:
    gun.with_name(f"ready-{number}").touch()
    while not gun.exists():
        time.sleep(0.005)
    for turn in range(count):
        done = ledger.decide("p-1", "open_evidence", CSM, 1, f"{number}-{turn}", {"evidence_id": f"{number}-{turn}"})
        print(done.event.event_id, flush=True)
"""


def assert_that_all_are_there(settings: Settings, folder: Path, each: int) -> None:
    with Ledger.open(settings, SetClock()) as ledger:
        add_people(ledger)
        ledger.take_in("r1", [packet()])
        before = ledger.head()
    assert before is not None
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        "HEALTH_HOME": str(settings.home),
        "HEALTH_LEDGER_URL": settings.ledger_url,
    }
    gun = folder / "gun"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDING, str(number), str(each), str(gun)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    deadline = time.monotonic() + 120
    while len(list(folder.glob("ready-*"))) < PROCESSES:
        assert time.monotonic() < deadline and all(one.poll() is None for one in running)
        time.sleep(0.01)
    gun.touch()
    said = [one.communicate(timeout=500) for one in running]
    assert [one.returncode for one in running] == [0] * PROCESSES, [errors for _, errors in said]
    acknowledged = Counter(line for output, _ in said for line in output.split())
    with Ledger.open(settings, SetClock()) as ledger:
        events = ledger.events(types=["evidence_opened"])
        report = ledger.verify()
    assert report.holds and report.head is not None
    assert report.head.count == before.count + PROCESSES * each
    assert acknowledged == Counter(event.event_id for event in events)
    opened = {event.payload["evidence_id"] for event in events}
    assert opened == {f"{number}-{turn}" for number in range(PROCESSES) for turn in range(each)}
    # They did write at the same time: no process's events stand together.
    order = [event.payload["evidence_id"].partition("-")[0] for event in events]
    assert sum(one != other for one, other in zip(order, order[1:], strict=False)) > PROCESSES
    assert {event.actor for event in events} == {CSM}


def test_eight_processes_lose_nothing(both: Settings, tmp_path: Path) -> None:
    assert_that_all_are_there(both, tmp_path, each=15)


@pytest.mark.long
def test_sixteen_hundred_appends_by_eight_processes_lose_nothing(both: Settings, tmp_path: Path) -> None:
    assert_that_all_are_there(both, tmp_path, each=200)
