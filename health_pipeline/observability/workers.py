"""Processes beside a run, for work on plain values: started when they are first asked for, ended with the run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Kept = TypeVar("Kept")
Given = TypeVar("Given")
Result = TypeVar("Result")


class WorkerEndedError(RuntimeError):
    """A worker ended before its work was done; the message says what to do."""


class Workers:
    """Python computes on one core: what is handed over here is computed on others meanwhile.

    What is handed over, its arguments and what it gives are pickled, so they are plain values and functions of a
    module. A killed run takes its workers along.

    Parameters
    ----------
    processes : how many; with one, work is done in the order in which it came
    begin, given : called once in each of them before its first work, with those arguments
    """

    def __init__(self, processes: int = 1, begin: Callable[..., None] | None = None, *given: object) -> None:
        self._processes = processes
        self._begin = (begin, given)
        self._pool: ProcessPoolExecutor | None = None
        # spawned, not forked: the process that runs Dagster has threads, and a fork keeps their locks
        self._context = multiprocessing.get_context("spawn")
        self._is_left = self._context.Event()
        self._handed_over: set[Future[Any]] = set()

    def __enter__(self) -> Workers:
        """Nothing is started before it is needed: the start costs seconds."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them; what they are at and what they have not begun is dropped: nobody asks for it any more."""
        if self._pool is not None:
            if self._handed_over:
                self._is_left.set()
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    @property
    def is_running(self) -> bool:
        """Whether they were asked for: small work is handed over only where they are there already."""
        return self._pool is not None

    def submit(
        self, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Future[Result]:
        """Hand work over; `result_of` waits for what it gives.

        A process that was killed while it had nothing to do is replaced.
        """
        future = self._submit(work, *arguments, **named)
        self._handed_over.add(future)
        future.add_done_callback(self._handed_over.discard)
        return future

    def _submit(
        self, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Future[Result]:
        if self._pool is not None:
            try:
                return self._pool.submit(work, *arguments, **named)
            except BrokenProcessPool:
                self._pool.shutdown(cancel_futures=True)
        self._is_left.clear()
        self._pool = ProcessPoolExecutor(self._processes, self._context, _begin_worker, (self._is_left, *self._begin))
        # Ctrl-C goes to all, and one that has just begun to load would die of it in many words
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._pool.submit(work, *arguments, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def results(
        self, work: Callable[[Given], Result], of: Iterable[tuple[Kept, Given]], most_waiting: int
    ) -> Iterator[tuple[Kept, Result]]:
        """Hand over one after the other, and give each result in that order, with what was kept of it here.

        Parameters
        ----------
        of : what is kept and what is handed over; asked for while the workers are at work
        most_waiting : so many are in memory at most beside the one that is asked for
        """
        waiting: deque[tuple[Kept, Future[Result]]] = deque()
        for kept, given in of:
            waiting.append((kept, self.submit(work, given)))
            if len(waiting) > most_waiting:
                first, future = waiting.popleft()
                yield first, result_of(future)
        for first, future in waiting:
            yield first, result_of(future)


_ENDED = (
    "A process that worked for the run was killed or ran out of memory; nothing half done is kept: give the machine "
    "more memory or review fewer weeks at once, and run again."
)


def result_of(future: Future[Result]) -> Result:
    """What the work gives; an error of the work is raised.

    Raises
    ------
    WorkerEndedError
        If the process ended before the work was done.
    """
    try:
        return future.result()
    except BrokenProcessPool:
        # without a cause: people are told the innermost one, and that one says nothing to them
        raise WorkerEndedError(_ENDED) from None
    except Exception as error:
        # The other process' traceback comes as the error's cause; it is no cause, and not what people are to be told.
        error.__context__, error.__cause__ = error.__cause__, None
        error.__suppress_context__ = False
        raise


def _begin_worker(is_left: Event, begin: Callable[..., None] | None, given: Sequence[object]) -> None:
    # Ctrl-C goes to all: the run decides, and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    threading.Thread(target=_end_when_left, args=[is_left], name="end-when-left", daemon=True).start()
    if begin is not None:
        begin(*given)


def _end_when_left(is_left: Event) -> None:
    is_left.wait()
    os._exit(1)


def _end_with_parent() -> None:
    """A worker waits on a pipe that it holds open itself: of a killed parent it would never hear."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it is a child
    parent.join()
    os._exit(1)
