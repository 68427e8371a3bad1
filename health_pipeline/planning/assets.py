"""Dagster assets of the planning room: the tiered action plan, review tasks, capacity, and what tickets are about."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.published import read_published
from health_pipeline.mart.tickets import read_recent_tickets
from health_pipeline.mart.warehouse import read_mart, reading, write_marts
from health_pipeline.observability.dagster_metadata import (
    STORES,
    mart_spec,
    newest_week,
    report_preview,
    report_slices,
    weeks_of,
)
from health_pipeline.observability.logs import get_logger
from health_pipeline.planning.plan import plan_weeks
from health_pipeline.planning.themes import theme_weeks
from health_pipeline.policy.capacity import load_capacity
from health_pipeline.policy.defect_themes import NO_THEME, load_defect_themes
from health_pipeline.policy.playbooks import load_playbooks
from health_pipeline.settings import Settings

GROUP = "05_plan"
PLAN_TABLES = {
    "action_plan_weekly": "action_plan",
    "action_plan_accounts_weekly": "action_plan_accounts",
    "plan_capacity_weekly": "capacity",
}
THEME_TABLES = {"defect_themes_weekly": "themes", "defect_theme_accounts_weekly": "accounts"}
PLAN_SUMS = {
    "accounts": "accounts",
    "hours_needed": "hours needed",
    "hours_within_capacity": "above the line",
    "accounts_below_line": "accounts below",
    "accounts_entering_at_plus_10_percent": "enter at +10 %",
}
THEME_SUMS = {"accounts": "accounts", "arr_reporting": "revenue", "tickets_91d": "tickets", "open_tickets": "open"}
logger = get_logger("planning")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Plan by tier and segment, by account and by owner, review tasks; defect themes."""
    deps = [
        "account_health_weekly",
        "score_contributions_weekly",
        "watermelon_accounts_weekly",
        "tier_movements_weekly",
        "risk_packets",
    ]

    @dg.multi_asset(
        name="plan_reviews",
        specs=[mart_spec(name, GROUP, deps, {"python", "duckdb"}) for name in (*PLAN_TABLES, "review_tasks")],
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=STORES,
    )
    def plan_reviews(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Read this run's scores, propose playbooks within capacity, open or quieten review tasks."""
        settings = context.resources.settings
        weeks = weeks_of(context)
        with reading(settings, weeks):
            plan = plan_weeks(
                read_mart(settings, "account_health_weekly", weeks),
                read_mart(settings, "score_contributions_weekly", weeks),
                read_mart(settings, "watermelon_accounts_weekly", weeks),
                read_mart(settings, "tier_movements_weekly", weeks),
                weeks,
                load_playbooks(settings.policy),
                load_capacity(settings.policy),
                read_published(settings, "action_plan_weekly", weeks=[weeks[0].shift(-1)]),
                read_published(settings, "review_tasks"),
                read_mart(settings, "risk_packets", weeks),
            )
        numbers = {"action_plan_weekly": _plan_numbers(plan.action_plan), "plan_capacity_weekly": _hours(plan.capacity)}
        tables = {name: getattr(plan, attribute) for name, attribute in PLAN_TABLES.items()}
        write_marts(settings, {**tables, "review_tasks": plan.review_tasks}, weeks=weeks)
        for name, table in tables.items():
            report_slices(context, name, table, numbers.get(name))
            if name == "action_plan_weekly":
                report_preview(context, name, newest_week(table, "playbook", PLAN_SUMS))
            yield dg.MaterializeResult(asset_key=name)
        report_slices(context, "review_tasks", plan.review_tasks)
        open_tasks = plan.review_tasks["state"].to_pylist().count("open")
        logger.info("planned", proposals=plan.action_plan_accounts.num_rows, open_tasks=open_tasks)
        yield dg.MaterializeResult(asset_key="review_tasks", metadata={"open tasks": open_tasks})

    @dg.multi_asset(
        name="theme_tickets",
        specs=[
            mart_spec(
                name,
                GROUP,
                ["account_health_weekly", "source_freshness_weekly", dg.AssetKey(["intermediate", SUPPORT_TICKETS])],
                {"python", "duckdb"},
            )
            for name in THEME_TABLES
        ],
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=STORES,
    )
    def theme_tickets(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Match the rules on what tickets say, in memory, and count accounts, tickets and revenue by theme."""
        settings = context.resources.settings
        weeks = weeks_of(context)
        policy = load_defect_themes(settings.policy)
        with reading(settings, weeks):
            recent = read_recent_tickets(settings, weeks, policy.model.text_fields)
            themes = theme_weeks(
                recent.tickets,
                recent.wordings,
                read_mart(settings, "account_health_weekly", weeks),
                weeks,
                _weeks_with_support(settings, weeks),
                policy,
                read_published(settings, "defect_themes_weekly", weeks=[weeks[0].shift(-1)]),
            )
        tables = {name: getattr(themes, attribute) for name, attribute in THEME_TABLES.items()}
        write_marts(settings, tables, weeks=weeks)
        for name, table in tables.items():
            report_slices(context, name, table, _theme_numbers(table) if name == "defect_themes_weekly" else None)
            if name == "defect_themes_weekly":
                report_preview(context, name, newest_week(table, "theme", THEME_SUMS))
            yield dg.MaterializeResult(asset_key=name)
        logger.info("themed", tickets=recent.wordings.num_rows, themes=len(policy.model.themes))

    return [plan_reviews, theme_tickets]


SUPPORT_TICKETS = "int_support_tickets_weekly"


def _weeks_with_support(settings: Settings, weeks: list[Week]) -> list[Week]:
    """Weeks in which a support desk was connected: in another one the number of tickets is unknown, not zero."""
    rows = read_mart(settings, "source_freshness_weekly", weeks).to_pylist()
    return [Week(row["week"]) for row in rows if row["source_kind"] == "support" and row["is_connected"]]


def _plan_numbers(action_plan: pa.Table) -> dict[str, dict[str, float]]:
    """Accounts, and hours against capacity, of each week's plan: what the UI plots."""
    return _sums(
        action_plan,
        {
            "accounts": "accounts with a proposal",
            "unowned_accounts": "accounts without an owner",
            "hours_needed": "hours needed",
            "hours_within_capacity": "hours within capacity",
        },
    )


def _hours(capacity: pa.Table) -> dict[str, dict[str, float]]:
    return _sums(
        capacity,
        {
            "hours_available": "hours available",
            "hours_needed": "hours needed",
            "hours_below_line": "hours below the line",
            "accounts_below_line": "accounts below the line",
            "accounts_entering_at_plus_10_percent": "accounts entering at +10 %",
        },
    )


def _theme_numbers(themes: pa.Table) -> dict[str, dict[str, float]]:
    defects = themes.filter(pa.array([theme != NO_THEME for theme in themes["theme"].to_pylist()], pa.bool_()))
    return _sums(defects, {"tickets_91d": "tickets with a theme, 91 days", "open_tickets": "open tickets with a theme"})


def _sums(table: pa.Table, labels: dict[str, str]) -> dict[str, dict[str, float]]:
    sums = table.select(["week", *labels]).to_pandas().fillna(0).groupby("week").sum()
    return {
        str(week): {labels[column]: round(float(value), 1) for column, value in row.items()}
        for week, row in sums.iterrows()
    }
