"""Weeks, quarters and their clocks: boundaries, and properties that hold for every date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.contract.clocks import Quarter, Week, last_ended_week, quarter_of, week_of, weeks_between

mondays = st.dates(date(2000, 1, 3), date(2099, 12, 1)).map(lambda day: day - timedelta(days=day.weekday()))
months = st.integers(1, 12)


def test_a_week_ends_at_the_next_monday_and_is_known_six_hours_later():
    week = Week.parse("2026-11-09")
    assert week.as_of_at == datetime(2026, 11, 16, tzinfo=UTC)
    assert week.known_at(6) == datetime(2026, 11, 16, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "says"),
    [("2026-11-10", "its week is 2026-11-09"), ("9.11.2026", "write a Monday as YYYY-MM-DD")],
)
def test_what_is_not_a_monday_is_refused_with_the_mend(text, says):
    with pytest.raises(ValueError, match=says):
        Week.parse(text)


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (datetime(2026, 11, 16, 5, 59, tzinfo=UTC), "2026-11-02"),
        (datetime(2026, 11, 16, 6, 0, tzinfo=UTC), "2026-11-09"),
        (datetime(2026, 11, 22, 23, 59, tzinfo=UTC), "2026-11-09"),
    ],
)
def test_a_week_can_be_reviewed_from_its_known_at_on(now, newest):
    assert str(last_ended_week(now, 6)) == newest


def test_a_quarter_of_the_calendar_year():
    quarter = Quarter(date(2026, 1, 1))
    assert [str(quarter.weeks[0]), str(quarter.last_week), len(quarter.weeks)] == [
        "2026-01-05",
        "2026-03-30",
        13,
    ]
    assert str(quarter.next) == "2026-04-01"


def test_a_fiscal_year_that_starts_in_december():
    quarter = Quarter(date(2010, 12, 1), 12)
    assert [str(quarter.weeks[0]), str(quarter.last_week)] == ["2010-12-06", "2011-02-28"]
    with pytest.raises(ValueError, match=r"\[3, 6, 9, 12\]"):
        Quarter(date(2011, 1, 1), 12)


@given(mondays, months)
def test_every_week_belongs_to_exactly_one_quarter(monday, start_month):
    week = Week(monday)
    quarter = quarter_of(week, start_month)
    assert week in quarter.weeks
    assert week not in quarter.next.weeks
    assert quarter.first_day <= monday < quarter.next.first_day


@given(st.datetimes(datetime(2001, 1, 1), datetime(2090, 1, 1)), st.sampled_from([-11, -5, 0, 2, 13]))
def test_the_week_of_an_instant_does_not_depend_on_its_time_zone(moment, offset):
    instant = moment.replace(tzinfo=UTC)
    shifted = (instant + timedelta(hours=offset)).replace(tzinfo=None)
    assert week_of(instant).monday <= instant.date()
    assert week_of(instant).as_of_at > instant
    assert len(list(weeks_between(week_of(instant), week_of(instant).shift(3)))) == 4
    assert shifted is not None
