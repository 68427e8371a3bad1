"""Which weeks a review is of, said before anything is started for it."""

from __future__ import annotations

from datetime import datetime

from health_pipeline.contract.clocks import Week, last_ended_week, weeks_between
from health_pipeline.policy.company import CompanyPolicy


def weeks_to_review(week: Week, count: int, company: CompanyPolicy, now: datetime) -> list[Week]:
    """The `count` weeks up to `week`.

    Raises
    ------
    ValueError
        If the week has not ended, or lies before the first reviewable week.
    """
    newest = last_ended_week(now, company.cutoff_hours)
    if week > newest:
        raise ValueError(
            f"Week {week} can't be reviewed yet: it is known at {week.known_at(company.cutoff_hours):%Y-%m-%d %H:%M} "
            f"UTC; the newest one that can is {newest}."
        )
    weeks = list(weeks_between(week.shift(1 - count), week))
    if weeks[0].monday < company.first_week:
        raise ValueError(
            f"{count} weeks up to {week} start at {weeks[0]}, before the first reviewable week {company.first_week} "
            f"(first_week in company.yaml); give fewer --weeks or set first_week earlier."
        )
    return weeks
