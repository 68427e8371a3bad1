"""ISO week 53, leap days, year ends and clock changes, on machines in several time zones: one UTC rule everywhere."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import duckdb
import pytest

from health_pipeline.contract.clocks import Quarter, Week, last_ended_week, quarter_of, week_of
from health_pipeline.mart.dbt import DBT_PROJECT

ZONES = ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York", "Europe/Berlin", "Asia/Kolkata")
DAYS = {
    "a leap day": date(2024, 2, 29),
    "a year that ends in ISO week 53": date(2020, 12, 31),
    "the first days of the year after it, still week 53": date(2021, 1, 3),
    "a year that ends in ISO week 1 of the next": date(2024, 12, 30),
    "a Monday that is New Year": date(2018, 1, 1),
    "the year 2026, which has a week 53": date(2026, 12, 31),
    "clocks go forward in Berlin": date(2026, 3, 29),
    "clocks go back in Berlin": date(2026, 10, 25),
    "clocks go forward in New York": date(2026, 3, 8),
    "a century that is no leap year": date(2100, 2, 28),
}
MIDNIGHT_AND_AROUND = (
    timedelta(0),
    timedelta(microseconds=-1),
    timedelta(hours=2, minutes=30),
    timedelta(hours=23, minutes=59),
)


@pytest.fixture(params=ZONES)
def machine_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine's time zone, as the C library has it."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    # The fault fired: the machine's own clock is that zone's.
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert noon.astimezone().utcoffset() == ZoneInfo(request.param).utcoffset(noon)
    yield request.param
    monkeypatch.undo()
    time.tzset()


def monday_by_counting(day: date) -> date:
    """The Monday on or before a day, by days since one that is known to be a Monday."""
    return day - timedelta(days=(day - date(2001, 1, 1)).days % 7)


def test_every_instant_has_the_same_week_on_every_machine_and_in_sql(machine_zone: str) -> None:
    macro = (DBT_PROJECT / "macros" / "dialect" / "week_start.sql").read_text(encoding="utf-8")
    expression = re.sub(r"\{\{ moment \}\}", "$moment::timestamp", macro.partition("-%}")[2].partition("{%-")[0])
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")  # as the profile does
        for what, day in DAYS.items():
            for offset in MIDNIGHT_AND_AROUND:
                instant = datetime(day.year, day.month, day.day, tzinfo=UTC) + offset
                monday = monday_by_counting(instant.date())
                week = week_of(instant)
                assert week.monday == monday, (machine_zone, what, instant)
                assert week_of(instant.astimezone()) == week, (machine_zone, what, instant)
                assert week.as_of_at - timedelta(days=7) <= instant < week.as_of_at
                told = connection.execute(f"select {expression}", {"moment": instant.replace(tzinfo=None)}).fetchone()
                assert told == (monday,), (machine_zone, what, instant)


def test_a_week_is_known_and_has_ended_at_the_same_instant_on_every_machine(machine_zone: str) -> None:
    for day in DAYS.values():
        week = Week(monday_by_counting(day))
        assert week.as_of_at.utcoffset() == timedelta(0)
        assert week.as_of_at - datetime(week.monday.year, week.monday.month, week.monday.day, tzinfo=UTC) == timedelta(
            days=7
        )
        known = week.known_at(6)
        assert last_ended_week(known.astimezone(), 6) == week, machine_zone
        assert last_ended_week((known - timedelta(microseconds=1)).astimezone(), 6) == week.shift(-1), machine_zone


@pytest.mark.parametrize("start_month", [1, 2, 12])
def test_weeks_of_a_year_with_53_of_them_all_have_a_quarter(start_month: int) -> None:
    """52 or 53 Mondays lie in a year: none is lost at its end and none counts twice."""
    for year in (2018, 2020, 2024, 2026):
        mondays = [
            day for n in range(366) if (day := date(year, 1, 1) + timedelta(days=n)).year == year and day.weekday() == 0
        ]
        assert len(mondays) == (53 if year in (2018, 2024) else 52)
        quarters = [quarter_of(Week(monday), start_month) for monday in mondays]
        assert all(Week(monday) in quarter.weeks for monday, quarter in zip(mondays, quarters, strict=True))
        assert all(following in (one, one.next) for one, following in pairwise(quarters))
        assert all(12 <= len(quarter.weeks) <= 14 for quarter in set(quarters))
    assert Quarter(date(2024, 1, 1)).weeks[8] == Week(date(2024, 2, 26))
