"""The order of signals: the strongest first. How much they weigh together is the packet's rating."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from health_pipeline.risk.model import FiredSignal, Severity

LEVELS: tuple[Severity, ...] = get_args(Severity)


def strongest_first(signals: Iterable[FiredSignal]) -> tuple[FiredSignal, ...]:
    """Signals in order: by contribution, then the longest fired, then by id."""
    return tuple(sorted(signals, key=lambda one: (-LEVELS.index(one.contribution), -one.weeks_fired, one.signal_id)))
