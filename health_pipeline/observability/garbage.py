"""Python's search for cyclic garbage, made rarer while a run lasts."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New objects until the first search, and searches of a younger generation until one of the next: Python's own are 700,
# 10 and 10. A run makes millions of records that live until their step ends, and hardly a cycle.
RARE = (200_000, 20, 20)


def collect_rarely() -> None:
    """Search seldom from now on, as long as the process lasts."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARE)


def end_without_search() -> None:
    """Spare this process the search through everything it holds with which Python ends: somebody waits for that end.

    Seen: 0.6 s for a parsed dbt project, a second after a review of 10,000 customers.
    """
    atexit.register(gc.freeze)


def give_back_memory() -> None:
    """Collect what cycles hold, once, and give what pyarrow keeps for later back to the system."""
    import pyarrow as pa  # noqa: PLC0415 - dbt's process has none

    gc.collect()
    pa.default_memory_pool().release_unused()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Search seldom, and not among what was there before, such as imported modules; then as before.

    Seen: a fifth of the CPU seconds in which packets are built went into searches that found nothing.
    """
    before = gc.get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
