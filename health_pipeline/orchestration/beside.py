"""What works beside a run, on the core that the run's own process leaves idle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from health_pipeline.identity.ahead import CrosswalkAhead
from health_pipeline.mart.dbt_ahead import DbtAhead
from health_pipeline.observability.garbage import collect_rarely, end_without_search
from health_pipeline.observability.workers import Workers
from health_pipeline.settings import Settings


@dataclass(frozen=True)
class Beside:
    """The second process, the crosswalk that is begun in it, and dbt; each is started when it is first needed.

    The runs of one process use the same ones, one after the other.
    """

    settings: Settings
    second: Workers
    crosswalk: CrosswalkAhead
    dbt: DbtAhead

    @classmethod
    def of(cls, settings: Settings) -> Beside:
        """Nothing is started yet."""
        second = Workers(1, _begin_second)
        return cls(settings, second, CrosswalkAhead(settings, second), DbtAhead(settings))

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Begin before there is a run: Dagster and the rooms are loaded on one core.

        Nothing is written: that waits for the run, and its lock. Where another run holds the lock nothing is begun: it
        may wait for an hour, and needs no memory meanwhile. What the run does not take is ended with the block.
        """
        with self.second:
            try:
                if _is_free(self.settings.run_lock):
                    self.dbt.load()
                    self.crosswalk.begin()
                yield
            finally:
                self.dbt.end()


def _begin_second() -> None:
    collect_rarely()
    end_without_search()


def _is_free(lock: Path) -> bool:
    if not lock.is_file():
        return True
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False
