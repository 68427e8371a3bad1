"""A process that appends to a ledger; a module of its own, so that a new process can import it."""

from __future__ import annotations

from multiprocessing.synchronize import Barrier
from typing import Any

from reviewing import CSM, SetClock

from health_pipeline.review import Decision, Ledger
from health_pipeline.settings import Settings


def append_many(settings: dict[str, Any], number: int, count: int, barrier: Barrier) -> list[str]:
    """Append `count` events, all processes beginning together; the ids of the acknowledged ones."""
    acknowledged = []
    with Ledger.open(Settings(**settings), SetClock()) as ledger:
        barrier.wait(timeout=120)
        for turn in range(count):
            name = f"{number}-{turn}"
            done = ledger.decide("p-1", "open_evidence", CSM, 1, name, {"evidence_id": name})
            assert isinstance(done, Decision)
            acknowledged.append(done.event.event_id)
    return acknowledged
