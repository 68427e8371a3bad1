"""As many readers as pay: one in this process, and for a large load one in each of several."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType

from health_pipeline.observability.second_process import begin_worker
from health_pipeline.policy.risk_phrases import RiskPhrasesPolicy
from health_pipeline.text.reading import Reading, TextReader

Fields = Sequence[str | None]
# Below these records a process costs more (seconds to load rules and language model) than it gives.
RECORDS_FOR_SEVERAL = 50_000


class Readers:
    """Reads batches of records, in their order.

    Parameters
    ----------
    policy : the rules
    processes : for large loads; as many as there are processors where it is None
    """

    def __init__(self, policy: RiskPhrasesPolicy, processes: int | None = None) -> None:
        self._policy = policy
        self._processes = processes or os.cpu_count() or 1
        self._own: TextReader | None = None
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Readers:
        """Nothing is started before it is needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the other processes; what they have not begun is dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def read(self, batches: Iterable[Sequence[Fields]], records: int) -> Iterator[list[Reading]]:
        """Read batch by batch.

        Parameters
        ----------
        batches : records, each as its text fields
        records : about how many there are in all: decides whether other processes help
        """
        if records < RECORDS_FOR_SEVERAL or self._processes == 1:
            if self._own is None:
                self._own = TextReader(self._policy)
            for batch in batches:
                yield [self._own.read(fields) for fields in batch]
            return
        if self._pool is None:
            # spawned, not forked: the process that runs Dagster has threads, and a fork keeps their locks
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, context, _begin, (self._policy,))
        waiting: deque[Future[list[Reading]]] = deque()
        for batch in batches:
            waiting.append(self._pool.submit(_read, batch))
            # only so many in memory as keep all busy
            if len(waiting) > 2 * self._processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_reader: TextReader | None = None


def _begin(policy: RiskPhrasesPolicy) -> None:
    begin_worker()
    global _reader  # noqa: PLW0603  one per process: a batch must not carry the rules
    _reader = TextReader(policy)


def _read(batch: Sequence[Fields]) -> list[Reading]:
    assert _reader is not None
    return [_reader.read(fields) for fields in batch]
