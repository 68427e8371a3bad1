"""A second process beside a run, for work on plain values: started when it is first asked for, ended with the run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class SecondProcessError(RuntimeError):
    """The second process ended before its work was done; the message says what to do."""


class SecondProcess:
    """Python computes on one core: what is handed over here is computed on another one meanwhile.

    What is handed over, its arguments and what it gives are pickled, so they are plain values and functions of a
    module. A killed run takes its second process along.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> SecondProcess:
        """Nothing is started before it is needed: the start costs seconds."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; what it has not begun is dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    @property
    def is_running(self) -> bool:
        """Whether it was asked for: small work is handed over only where it is there already."""
        return self._pool is not None

    def submit(
        self, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Future[Result]:
        """Hand work over; `result_of` waits for what it gives. Work is done in the order in which it came.

        A process that was killed while it had nothing to do is replaced.
        """
        if self._pool is not None:
            try:
                return self._pool.submit(work, *arguments, **named)
            except BrokenProcessPool:
                self._pool.shutdown(cancel_futures=True)
        # spawned, not forked: the process that runs Dagster has threads, and a fork keeps their locks
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), begin_worker)
        return self._pool.submit(work, *arguments, **named)


_ENDED = (
    "The run's second process was killed or ran out of memory; nothing half done is kept: give the machine more memory "
    "or review fewer weeks at once, and run again."
)


def result_of(future: Future[Result]) -> Result:
    """What the work gives; an error of the work is raised.

    Raises
    ------
    SecondProcessError
        If the process ended before the work was done.
    """
    try:
        return future.result()
    except BrokenProcessPool:
        # without a cause: people are told the innermost one, and that one says nothing to them
        raise SecondProcessError(_ENDED) from None
    except Exception as error:
        # The other process' traceback comes as the error's cause; it is no cause, and not what people are to be told.
        error.__context__, error.__cause__ = error.__cause__, None
        error.__suppress_context__ = False
        raise


def begin_worker() -> None:
    """What a worker process does first: leave Ctrl-C to the run, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    """A worker waits on a pipe that it holds open itself: of a killed parent it would never hear."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it is a child
    parent.join()
    os._exit(1)
