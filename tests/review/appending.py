"""A process that appends to a ledger; a module of its own, so that a new process can import it."""

from __future__ import annotations

from multiprocessing.synchronize import Barrier
from typing import Any

from reviewing import CSM, SetClock

from health_pipeline.review import Decision, Ledger
from health_pipeline.settings import Settings

# Without it a process could be through before the next one begins, and nothing would be written at the same time.
TOGETHER_EVERY = 5


def append_many(settings: dict[str, Any], number: int, count: int, barrier: Barrier) -> list[str]:
    """Append `count` events, all processes beginning every fifth together; the ids of the acknowledged ones."""
    acknowledged = []
    with Ledger.open(Settings(**settings), SetClock()) as ledger:
        for turn in range(count):
            if turn % TOGETHER_EVERY == 0:
                barrier.wait(timeout=120)
            name = f"{number}-{turn}"
            done = ledger.decide("p-1", "open_evidence", CSM, 1, name, {"evidence_id": name})
            assert isinstance(done, Decision)
            acknowledged.append(done.event.event_id)
    return acknowledged
