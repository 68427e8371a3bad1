"""The schedules fire when ARCHITECTURE says, in every kind of time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime

import dagster as dg
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.orchestration.jobs import build_job
from health_pipeline.orchestration.partitions import quarterly_partitions, weekly_partitions
from health_pipeline.orchestration.schedules import build_schedules, weekly_cron, weekly_instant
from health_pipeline.policy.company import CompanyPolicy, load_company


def company(**changes) -> CompanyPolicy:
    return CompanyPolicy.model_validate({**load_company(None).model.model_dump(), **changes})


@pytest.mark.parametrize(
    ("zone", "cutoff", "week", "instant"),
    [
        ("UTC", 6, "2026-11-09", datetime(2026, 11, 16, 6, tzinfo=UTC)),
        ("America/New_York", 6, "2026-11-09", datetime(2026, 11, 16, 11, tzinfo=UTC)),
        ("America/New_York", 6, "2026-06-29", datetime(2026, 7, 6, 10, tzinfo=UTC)),
        ("Europe/Berlin", 6, "2026-11-09", datetime(2026, 11, 16, 6, tzinfo=UTC)),
        ("Asia/Tokyo", 6, "2026-11-09", datetime(2026, 11, 16, 6, tzinfo=UTC)),
        ("Asia/Tokyo", 30, "2026-11-09", datetime(2026, 11, 17, 6, tzinfo=UTC)),
    ],
)
def test_the_review_starts_at_six_on_monday_and_not_before_it_is_known(zone, cutoff, week, instant):
    assert weekly_instant(Week.parse(week), company(time_zone=zone, cutoff_hours=cutoff)) == instant


@pytest.mark.parametrize(
    ("zone", "cutoff", "cron"),
    [
        ("UTC", 6, ("0 6 * * 1", "UTC")),
        ("America/New_York", 6, ("0 6 * * 1", "America/New_York")),
        ("Europe/Berlin", 6, ("0 6 * * 1", "UTC")),
        ("Asia/Tokyo", 30, ("0 6 * * 2", "UTC")),
        ("America/St_Johns", 9, ("*/30 * * * 1-4", "UTC")),
    ],
)
def test_the_cron_ticks_at_that_instant(zone, cutoff, cron):
    assert weekly_cron(company(time_zone=zone, cutoff_hours=cutoff), date(2026, 1, 1)) == cron


def schedules(policy: CompanyPolicy) -> list[dg.ScheduleDefinition]:
    @dg.asset(partitions_def=weekly_partitions(policy))
    def by_week() -> None: ...

    @dg.asset(partitions_def=quarterly_partitions(policy))
    def by_quarter() -> None: ...

    return build_schedules(
        build_job("w", "", [by_week], weekly_partitions(policy)),
        build_job("q", "", [by_quarter], quarterly_partitions(policy)),
        policy,
        policy.first_week,
    )


def requested(schedule: dg.ScheduleDefinition, at: datetime) -> str | None:
    context = dg.build_schedule_context(scheduled_execution_time=at)
    result = schedule(context)
    return result.partition_key if isinstance(result, dg.RunRequest) else None


def test_the_weekly_schedule_asks_for_the_week_that_ended_and_only_at_its_instant():
    weekly, _ = schedules(company(time_zone="America/St_Johns", cutoff_hours=9))
    assert requested(weekly, datetime(2026, 11, 16, 9, 30, tzinfo=UTC)) == "2026-11-09"
    assert requested(weekly, datetime(2026, 11, 16, 9, 0, tzinfo=UTC)) is None
    assert requested(weekly, datetime(2026, 7, 6, 9, 0, tzinfo=UTC)) == "2026-06-29"


@pytest.mark.parametrize(
    ("start_month", "at", "quarter"),
    [
        (1, datetime(2026, 4, 8, 6, tzinfo=UTC), "2026-01-01"),
        (12, datetime(2026, 3, 8, 6, tzinfo=UTC), "2025-12-01"),
    ],
)
def test_the_quarterly_schedule_asks_for_the_quarter_that_ended(start_month, at, quarter):
    _, quarterly = schedules(company(fiscal_year_start_month=start_month))
    assert (
        quarterly.cron_schedule
        == f"0 6 8 {','.join(str(m) for m in sorted((start_month - 1 + 3 * n) % 12 + 1 for n in range(4)))} *"
    )
    assert requested(quarterly, at) == quarter


def test_a_quarters_last_week_is_known_before_its_review_is_due():
    for month in range(1, 13):
        policy = company(fiscal_year_start_month=month)
        quarter = policy.first_quarter
        for _ in range(40):
            assert quarter.last_week.known_at(72).date() <= date(
                quarter.next.first_day.year, quarter.next.first_day.month, 10
            )
            assert quarter.last_week.known_at(6) < datetime.combine(
                quarter.next.first_day, datetime.min.time(), UTC
            ).replace(day=8, hour=6)
            quarter = quarter.next
