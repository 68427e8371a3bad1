"""When the two reviews run: the week that ended, and the quarter that ended."""

from datetime import UTC, date, datetime, time, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from health_pipeline.contract.clocks import Week, last_ended_week, quarter_of
from health_pipeline.policy.company import CompanyPolicy

REVIEW_HOUR = 6
QUARTER_REVIEW_DAY = 8


def weekly_instant(week: Week, company: CompanyPolicy) -> datetime:
    """The first instant that is both 06:00 on Monday in the company's zone and not before `known_at` (UTC)."""
    monday = week.shift(1).monday
    local = datetime.combine(monday, time(REVIEW_HOUR), tzinfo=company.zone).astimezone(UTC)
    return max(local, week.known_at(company.cutoff_hours))


def weekly_cron(company: CompanyPolicy, around: date) -> tuple[str, str]:
    """Cron and time zone whose ticks are `weekly_instant`, seen over the 53 weeks from `around`.

    06:00 in the company's zone where that is never before `known_at`; else the hour of `known_at` in UTC where
    that is never before 06:00 there; else (a cutoff between winter's and summer's 06:00) both, half-hourly, and
    the schedule skips all but the right tick.
    """
    start = Week(around - timedelta(days=around.weekday()))
    weeks = [start.shift(step) for step in range(53)]
    instants = [(weekly_instant(week, company), week.known_at(company.cutoff_hours)) for week in weeks]
    if all(instant.astimezone(company.zone).time() == time(REVIEW_HOUR) for instant, _ in instants):
        return f"0 {REVIEW_HOUR} * * 1", company.time_zone
    if all(instant == known_at for instant, known_at in instants):
        day = 1 + company.cutoff_hours // 24
        return f"0 {company.cutoff_hours % 24} * * {day}", "UTC"
    return "*/30 * * * 1-4", "UTC"


def build_schedules(
    weekly_job: UnresolvedAssetJobDefinition,
    quarterly_job: UnresolvedAssetJobDefinition,
    company: CompanyPolicy,
    today: date,
) -> list[dg.ScheduleDefinition]:
    """The weekly and the quarterly schedule; both stopped until somebody switches them on."""
    cron, zone = weekly_cron(company, today)

    @dg.schedule(
        name="weekly_health_review_schedule",
        job=weekly_job,
        cron_schedule=cron,
        execution_timezone=zone,
        description="The week that ended, at the first instant that is both 06:00 on Monday in the company's time "
        "zone and after the week's known_at.",
    )
    def weekly_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        tick = context.scheduled_execution_time.astimezone(UTC)
        week = last_ended_week(tick, company.cutoff_hours)
        if weekly_instant(week, company) != tick:
            return dg.SkipReason(f"The review of {week} is due at {weekly_instant(week, company):%Y-%m-%d %H:%M} UTC.")
        return dg.RunRequest(run_key=str(week), partition_key=str(week))

    months = sorted((company.fiscal_year_start_month - 1 + 3 * step) % 12 + 1 for step in range(4))

    @dg.schedule(
        name="quarterly_segmentation_review_schedule",
        job=quarterly_job,
        cron_schedule=f"0 {REVIEW_HOUR} {QUARTER_REVIEW_DAY} {','.join(map(str, months))} *",
        execution_timezone=company.time_zone,
        description="The quarter that ended, on the 8th of its following month: its last week is published by then.",
    )
    def quarterly_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        day = context.scheduled_execution_time.astimezone(company.zone).date()
        this_month = Week(day - timedelta(days=day.weekday()))
        previous = quarter_of(this_month, company.fiscal_year_start_month).first_day - timedelta(days=1)
        quarter = quarter_of(Week(previous - timedelta(days=previous.weekday())), company.fiscal_year_start_month)
        return dg.RunRequest(run_key=str(quarter), partition_key=str(quarter))

    return [weekly_schedule, quarterly_schedule]
