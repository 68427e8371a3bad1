"""Dagster asset of the planning room: the tiered action plan and the review tasks, as proposals."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from health_pipeline.mart.published import read_published
from health_pipeline.mart.warehouse import read_mart, write_slices
from health_pipeline.observability.dagster_metadata import STORES, mart_spec, report_slices, weeks_of
from health_pipeline.observability.logs import get_logger
from health_pipeline.planning.plan import plan_weeks
from health_pipeline.policy.capacity import load_capacity
from health_pipeline.policy.playbooks import load_playbooks

GROUP = "05_plan"
logger = get_logger("planning")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Plan by tier and segment, plan by account, review tasks."""
    deps = [
        "account_health_weekly",
        "score_contributions_weekly",
        "watermelon_accounts_weekly",
        "tier_movements_weekly",
    ]

    @dg.multi_asset(
        name="plan_reviews",
        specs=[
            mart_spec(name, GROUP, deps, {"python", "duckdb"})
            for name in ("action_plan_weekly", "action_plan_accounts_weekly", "review_tasks")
        ],
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=STORES,
    )
    def plan_reviews(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Read this run's scores, propose playbooks within capacity, open or quieten review tasks."""
        settings = context.resources.settings
        weeks = weeks_of(context)
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
        )
        write_slices(settings, "action_plan_weekly", plan.action_plan, weeks=weeks)
        write_slices(settings, "action_plan_accounts_weekly", plan.action_plan_accounts, weeks=weeks)
        write_slices(settings, "review_tasks", plan.review_tasks)
        report_slices(context, "action_plan_weekly", plan.action_plan, _numbers(plan.action_plan))
        report_slices(context, "action_plan_accounts_weekly", plan.action_plan_accounts)
        report_slices(context, "review_tasks", plan.review_tasks)
        open_tasks = plan.review_tasks["state"].to_pylist().count("open")
        logger.info("planned", proposals=plan.action_plan_accounts.num_rows, open_tasks=open_tasks)
        for name in ("action_plan_weekly", "action_plan_accounts_weekly"):
            yield dg.MaterializeResult(asset_key=name)
        yield dg.MaterializeResult(asset_key="review_tasks", metadata={"open tasks": open_tasks})

    return [plan_reviews]


def _numbers(action_plan: pa.Table) -> dict[str, dict[str, float]]:
    """Accounts, and hours against capacity, of each week's plan: what the UI plots."""
    labels = {
        "accounts": "accounts with a proposal",
        "unowned_accounts": "accounts without an owner",
        "hours_needed": "hours needed",
        "hours_within_capacity": "hours within capacity",
    }
    sums = action_plan.select(["week", *labels]).to_pandas().fillna(0).groupby("week").sum()
    return {
        str(week): {labels[column]: round(float(value), 1) for column, value in row.items()}
        for week, row in sums.iterrows()
    }
