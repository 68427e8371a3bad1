"""As many readers as pay: one in this process, and for a large load one in each of several."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from health_pipeline.observability.workers import Workers
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
        self._others = Workers(self._processes, _begin, policy)

    def __enter__(self) -> Readers:
        """Nothing is started before it is needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the other processes; what they have not begun is dropped."""
        self._others.__exit__(kind, error, trace)

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
        # only so many in memory as keep all busy
        handed_over = ((None, batch) for batch in batches)
        yield from (read for _, read in self._others.results(_read, handed_over, 2 * self._processes))


_reader: TextReader | None = None


def _begin(policy: RiskPhrasesPolicy) -> None:
    global _reader  # noqa: PLW0603  one per process: a batch must not carry the rules
    _reader = TextReader(policy)


def _read(batch: Sequence[Fields]) -> list[Reading]:
    assert _reader is not None
    return [_reader.read(fields) for fields in batch]
