"""What works beside a run, on the core that the run's own process leaves idle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from health_pipeline.identity.ahead import CrosswalkAhead
from health_pipeline.mart.dbt_ahead import DbtAhead
from health_pipeline.observability.garbage import collect_rarely
from health_pipeline.observability.workers import Workers
from health_pipeline.settings import Settings


@dataclass(frozen=True)
class Beside:
    """The second process, the crosswalk that is begun in it, and dbt; each is started when it is first needed."""

    second: Workers
    crosswalk: CrosswalkAhead
    dbt: DbtAhead

    @classmethod
    def of(cls, settings: Settings) -> Beside:
        """Of the runs of one process, one after the other."""
        second = Workers(1, collect_rarely)
        return cls(second, CrosswalkAhead(settings, second), DbtAhead(settings))

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Begin before there is a run: while Dagster and the rooms are loaded one core has nothing to do.

        Nothing is written: that waits for the run, and its lock. What the run does not take is ended with the block.
        """
        with self.second:
            self.dbt.load()
            try:
                self.crosswalk.begin()
                yield
            finally:
                self.dbt.end()
