"""Weeks, quarters and their two clocks: when a week ends and until when facts about it could be known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


def naive_utc(moment: datetime) -> datetime:
    """The moment in UTC without a zone, as tables and files hold it; one without a zone is in UTC already."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


@dataclass(frozen=True, order=True)
class Week:
    """A week named by the Monday it starts.

    Raises
    ------
    ValueError
        If `monday` is not a Monday.
    """

    monday: date

    def __post_init__(self) -> None:
        if self.monday.weekday() != 0:
            nearest = self.monday - timedelta(days=self.monday.weekday())
            raise ValueError(f"{self.monday} is not a Monday; its week is {nearest}")

    @classmethod
    def parse(cls, text: str) -> Week:
        """Read `YYYY-MM-DD`; ValueError says what is wrong with it."""
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is not a date; write a Monday as YYYY-MM-DD") from error
        return cls(day)

    @property
    def as_of_at(self) -> datetime:
        """The next Monday 00:00 UTC: facts count when they happened before it."""
        end = self.monday + timedelta(days=7)
        return datetime(end.year, end.month, end.day, tzinfo=UTC)

    def known_at(self, cutoff_hours: int) -> datetime:
        """`as_of_at` plus the cutoff: facts count when they were available by then."""
        return self.as_of_at + timedelta(hours=cutoff_hours)

    def shift(self, weeks: int) -> Week:
        """The week that many weeks later (negative: earlier)."""
        return Week(self.monday + timedelta(weeks=weeks))

    def __str__(self) -> str:
        return self.monday.isoformat()


def weeks_between(first: Week, last: Week) -> Iterator[Week]:
    """Every week from `first` to `last`, both included."""
    week = first
    while week <= last:
        yield week
        week = week.shift(1)


def week_of(moment: datetime) -> Week:
    """The week that holds that instant, in UTC."""
    day = moment.astimezone(UTC).date() if moment.tzinfo else moment.date()
    return Week(day - timedelta(days=day.weekday()))


def last_ended_week(now: datetime, cutoff_hours: int) -> Week:
    """The newest week whose `known_at` has passed."""
    week = week_of(now).shift(-1)
    return week if week.known_at(cutoff_hours) <= now.astimezone(UTC) else week.shift(-1)


@dataclass(frozen=True, order=True)
class Quarter:
    """A fiscal quarter named by its first day.

    Raises
    ------
    ValueError
        If `first_day` does not start a quarter of that fiscal year.
    """

    first_day: date
    fiscal_year_start_month: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.fiscal_year_start_month <= 12:
            raise ValueError(f"fiscal_year_start_month is {self.fiscal_year_start_month}; it must be 1 to 12")
        if self.first_day.day != 1 or (self.first_day.month - self.fiscal_year_start_month) % 3:
            months = sorted((self.fiscal_year_start_month - 1 + 3 * n) % 12 + 1 for n in range(4))
            raise ValueError(f"{self.first_day} does not start a quarter; quarters start on day 1 of months {months}")

    @property
    def next(self) -> Quarter:
        """The quarter after this one."""
        month = self.first_day.month + 3
        year = self.first_day.year + (month > 12)
        return Quarter(date(year, (month - 1) % 12 + 1, 1), self.fiscal_year_start_month)

    @property
    def previous(self) -> Quarter:
        """The quarter before this one."""
        year, month = divmod(self.first_day.year * 12 + self.first_day.month - 1 - 3, 12)
        return Quarter(date(year, month + 1, 1), self.fiscal_year_start_month)

    @property
    def weeks(self) -> list[Week]:
        """The weeks whose Monday lies in the quarter, in order."""
        monday = self.first_day + timedelta(days=-self.first_day.weekday() % 7)
        end = self.next.first_day
        return list(weeks_between(Week(monday), Week(end - timedelta(days=(end - timedelta(days=1)).weekday() + 1))))

    @property
    def last_week(self) -> Week:
        """The quarter's last week; its `as_of_at` is when the quarter's features are read."""
        return self.weeks[-1]

    def __str__(self) -> str:
        return self.first_day.isoformat()


def quarter_of(week: Week, fiscal_year_start_month: int) -> Quarter:
    """The quarter that holds the week's Monday."""
    months_in = (week.monday.month - fiscal_year_start_month) % 3
    month_index = week.monday.year * 12 + week.monday.month - 1 - months_in
    return Quarter(date(month_index // 12, month_index % 12 + 1, 1), fiscal_year_start_month)


class SystemClock:
    """The wall clock, injected wherever it is read, so that a test can set it. No model and no score reads it."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        return datetime.now(UTC)
