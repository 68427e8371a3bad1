"""Weeks and quarters as Dagster partitions, and the weeks or quarters a run is about."""

from __future__ import annotations

import dagster as dg

from health_pipeline.policy.company import CompanyPolicy


def weekly_partitions(company: CompanyPolicy) -> dg.TimeWindowPartitionsDefinition:
    """One partition per week, named by its Monday; a week appears once it has ended (UTC)."""
    return dg.TimeWindowPartitionsDefinition(
        start=company.first_week.isoformat(), fmt="%Y-%m-%d", cron_schedule="0 0 * * 1"
    )


def quarterly_partitions(company: CompanyPolicy) -> dg.TimeWindowPartitionsDefinition:
    """One partition per fiscal quarter, named by its first day."""
    first = company.first_quarter.first_day
    months = sorted((company.fiscal_year_start_month - 1 + 3 * step) % 12 + 1 for step in range(4))
    return dg.TimeWindowPartitionsDefinition(
        start=first.isoformat(), fmt="%Y-%m-%d", cron_schedule=f"0 0 1 {','.join(map(str, months))} *"
    )
