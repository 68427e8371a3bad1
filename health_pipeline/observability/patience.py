"""Waits for what others may hold up no longer than it may: a name that is not found, a line that is silent or drips."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def within(seconds: float, work: Callable[[], Result], name: str) -> Result:
    """What the work gives.

    A socket's own time-out begins anew with each byte, and does not hold for the search of a name. The work goes on in
    a thread that is left behind: it must be harmless when it ends late.

    Parameters
    ----------
    seconds : at the longest
    name : of the thread

    Raises
    ------
    TimeoutError
        If there is nothing after so many seconds.
    """
    done: list[Result] = []
    thread = threading.Thread(target=lambda: done.append(work()), name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    return done[0]
