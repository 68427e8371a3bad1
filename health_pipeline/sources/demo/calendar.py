"""The demo company's calendar: two simulated years of weeks, 53 loads, and which load delivers which moment."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

import numpy as np

from health_pipeline.contract.landing import SOURCE_KINDS, SourceKind

HISTORY_START = np.datetime64("2024-11-18", "us")
# The historical load is made on this Monday and brings the state at its first instant.
FIRST_LOAD_DAY = np.datetime64("2025-11-17", "us")
HISTORY_WEEKS = 52
WEEKLY_LOADS = 52
WEEKS = HISTORY_WEEKS + WEEKLY_LOADS
DAY = np.timedelta64(86_400_000_000, "us")
HOUR = np.timedelta64(3_600_000_000, "us")
WEEK = 7 * DAY
END = HISTORY_START + WEEKS * WEEK
NEVER = np.datetime64("NaT", "us")

LOAD_TIMES: tuple[datetime, ...] = tuple(
    datetime(2025, 11, 17, 2, 0, tzinfo=UTC) + timedelta(weeks=n) for n in range(WEEKLY_LOADS + 1)
)

# Loads are read up to Monday 00:00 and land between 02:00 and 05:00, each system at its own minute.
_MINUTES_AFTER_TWO: dict[SourceKind, int] = {kind: 4 + 19 * place for place, kind in enumerate(SOURCE_KINDS)}


def loaded_at(load: int, kind: SourceKind) -> datetime:
    """When the system of that kind lands load number `load`: Monday between 02:00 and 05:00 UTC."""
    return LOAD_TIMES[load] + timedelta(minutes=_MINUTES_AFTER_TWO[kind])


def week_start(week: int | np.ndarray) -> np.ndarray:
    """The Monday 00:00 UTC that starts a simulated week (0 is the first one of the history)."""
    return HISTORY_START + np.asarray(week, dtype=np.int64) * WEEK


def week_index(moment: np.ndarray) -> np.ndarray:
    """The simulated week that holds each moment; negative before the history, a large number for never."""
    moment = np.asarray(moment, dtype="datetime64[us]")
    index = np.full(moment.shape, 1_000_000, dtype=np.int64)
    known = ~np.isnat(moment)
    index[known] = (moment[known] - HISTORY_START) // WEEK
    return index


def load_of(moment: np.ndarray) -> np.ndarray:
    """The load that first delivers what happened at each moment; beyond the last load for never."""
    return np.maximum(week_index(moment) - (HISTORY_WEEKS - 1), 0)


def random_stream(seed: int, name: str, *numbers: int) -> np.random.Generator:
    """A random generator of its own for each named purpose, so that no draw depends on the order of calls."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *numbers])


def days(number: np.ndarray | float) -> np.ndarray:
    """A number of days as a time difference in microseconds."""
    return np.asarray(np.asarray(number, dtype=float) * 86_400_000_000).astype("timedelta64[us]")


def office_moment(rng: np.random.Generator, week: np.ndarray) -> np.ndarray:
    """A moment in each week, mostly on a working day between 07:00 and 20:00 UTC."""
    size = len(week)
    weekday = rng.choice(7, size=size, p=[0.19, 0.2, 0.2, 0.2, 0.17, 0.02, 0.02])
    hour = np.clip(rng.normal(13.5, 2.6, size), 7, 20)
    return week_start(week) + days(weekday + hour / 24)
