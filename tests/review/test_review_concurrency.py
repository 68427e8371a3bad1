"""Eight processes append at once, on both databases: no event is lost, none stands twice, the chain holds."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise

import pytest
from appending import append_many
from reviewing import CSM, SetClock, add_people, packet

from health_pipeline.review import Ledger
from health_pipeline.settings import Settings

PROCESSES = 8


def assert_that_all_are_there(settings: Settings, each: int) -> None:
    with Ledger.open(settings, SetClock()) as ledger:
        add_people(ledger)
        ledger.take_in("r1", [packet()])
        before = ledger.head()
    assert before is not None
    # A server that has imported everything once and forks: eight interpreters would cost more than what they do.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["appending"])
    values = {"home": settings.home, "ledger_database": settings.ledger_database}
    with context.Manager() as manager, ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        barrier = manager.Barrier(PROCESSES)
        running = [pool.submit(append_many, values, number, each, barrier) for number in range(PROCESSES)]
        acknowledged = Counter(event_id for one in running for event_id in one.result(timeout=500))
    with Ledger.open(settings, SetClock()) as ledger:
        events = ledger.events(types=["evidence_opened"])
        report = ledger.verify()
    assert report.holds and report.head is not None
    assert report.head.count == before.count + PROCESSES * each
    assert acknowledged == Counter(event.event_id for event in events)
    opened = {event.payload["evidence_id"] for event in events}
    assert opened == {f"{number}-{turn}" for number in range(PROCESSES) for turn in range(each)}
    # They did write at the same time: no process's events all stand together.
    order = [event.payload["evidence_id"].partition("-")[0] for event in events]
    assert sum(one != other for one, other in pairwise(order)) > PROCESSES
    assert {event.actor for event in events} == {CSM}


def test_eight_processes_lose_nothing(both: Settings) -> None:
    assert_that_all_are_there(both, each=25)


@pytest.mark.long
def test_sixteen_hundred_appends_by_eight_processes_lose_nothing(both: Settings) -> None:
    assert_that_all_are_there(both, each=200)
