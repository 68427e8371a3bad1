"""Dagster asset of the scoring room: this run's weeks scored, explained and put into tiers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.mart.published import read_published
from health_pipeline.mart.warehouse import read_mart, read_tier_overrides, write_marts
from health_pipeline.observability.crash_points import crash_point
from health_pipeline.observability.dagster_metadata import (
    STORES,
    mart_spec,
    newest_week,
    report_preview,
    report_slices,
    weeks_of,
)
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.policy.kept import JudgingPolicy, KeptPolicies, KeptPolicyError, NotKept
from health_pipeline.scoring import CODE_VERSION
from health_pipeline.segmentation.assignment import segments_in_force, with_other_solutions
from health_pipeline.segmentation.registry import adoptions, models_with_adoptions

if TYPE_CHECKING:
    from health_pipeline.scoring.weekly import ScoredWeeks

GROUP = "04_score"
TABLES = {
    "account_health_weekly": "health",
    "score_contributions_weekly": "contributions",
    "score_changes_weekly": "changes",
    "tier_movements_weekly": "movements",
    "watermelon_accounts_weekly": "watermelons",
}
TIERS = ("at_risk", "watch", "healthy", "expansion_ready", "not_scored")
# Grouped by and summed in the previews: counts and revenue, no account's own row.
PREVIEWS: dict[str, tuple[str, dict[str, str]]] = {
    "account_health_weekly": ("effective_tier", {"arr_reporting": "revenue"}),
    "tier_movements_weekly": ("movement", {"arr_reporting": "revenue"}),
    "watermelon_accounts_weekly": ("reasons", {"arr_reporting": "revenue"}),
}
logger = get_logger("scoring")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The weekly score with everything that explains it."""
    inputs = [dg.AssetDep("account_features_weekly"), dg.AssetDep(["intermediate", "int_tier_overrides_weekly"])]

    @dg.multi_asset(
        name="score_accounts",
        specs=[mart_spec(name, GROUP, inputs, {"scikitlearn", "duckdb"}) for name in TABLES],
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=STORES,
    )
    def score_accounts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Read features and the segments in force, score, fold the tier path over the weeks, write the tables."""
        # scikit-learn takes seconds to load: not for everybody who only looks at the definitions
        from health_pipeline.scoring.weekly import PreviousWeek, policy_version, score_weeks  # noqa: PLC0415

        settings = context.resources.settings
        weeks = weeks_of(context)
        before = [weeks[0].shift(-1)]
        company = load_company(settings.policy)
        rows = read_mart(settings, "account_features_weekly", weeks)
        models = models_with_adoptions(read_published(settings, "segment_models"), adoptions(settings.ledger_url))
        policy = load_health_score(settings.policy)
        kept = KeptPolicies(settings.kept_policies)
        kept.keep(policy_version(policy, company), (policy, company), settings.policy)
        health_before = read_published(settings, "account_health_weekly", weeks=before)
        assignments = with_other_solutions(
            models,
            read_published(settings, "segment_assignments_quarterly"),
            weeks,
            lambda week: read_published(settings, "account_features_weekly", weeks=[week]),
        )
        segments = segments_in_force(models, assignments, rows, weeks)
        scored = score_weeks(
            rows,
            segments,
            policy,
            company,
            weeks,
            PreviousWeek(
                health=health_before,
                contributions=read_published(settings, "score_contributions_weekly", weeks=before),
                features=read_published(settings, "account_features_weekly", weeks=before),
                policies=policies_of(health_before, kept),
            ),
            read_tier_overrides(settings, weeks),
        )
        tables = {name: getattr(scored, attribute) for name, attribute in TABLES.items()}
        write_marts(settings, {"segment_models": models, **tables}, weeks=weeks)
        for name, table in tables.items():
            report_slices(context, name, table, numbers_by_week(scored) if name == "account_health_weekly" else None)
            if name in PREVIEWS:
                report_preview(context, name, newest_week(table, *PREVIEWS[name]))
            if name == "account_health_weekly":
                crash_point("scoring.between_tables")
        overridden = pc.count(scored.health["override_tier"]).as_py()
        accounts = scored.health.num_rows // max(len(weeks), 1)
        logger.info("scored", weeks=len(weeks), accounts=accounts, overridden=overridden)
        for name in TABLES:
            yield dg.MaterializeResult(asset_key=name)

    return [score_accounts]


def policies_of(health: pa.Table, kept: KeptPolicies) -> dict[str, JudgingPolicy | NotKept]:
    """The policies behind rows that another version of the code judged, by `policy_version`.

    Why one is not there is logged too. The rows of today's code need none: `replay_week` says why.
    """
    found: dict[str, JudgingPolicy | NotKept] = {}
    others = health.filter(pc.not_equal(health["code_version"], CODE_VERSION))
    for version in sorted(set(others["policy_version"].to_pylist())):
        try:
            found[version] = kept.read(version)
        except KeptPolicyError as error:
            logger.warning("policy_not_replayed", policy_version=version, reason=error.reason, message=str(error))
            found[version] = error.reason
    return found


def numbers_by_week(scored: "ScoredWeeks") -> dict[str, dict[str, float]]:
    """Accounts and revenue by the tier plans use, mean score and coverage of each week: what the UI plots."""
    frame = scored.health.select(["week", "effective_tier", "score", "coverage", "arr_reporting"]).to_pandas()
    numbers: dict[str, dict[str, float]] = {}
    for week, rows in frame.groupby("week"):
        tiers = rows["effective_tier"].value_counts()
        revenue = rows.loc[rows["effective_tier"] == "at_risk", "arr_reporting"]
        numbers[str(week)] = {
            **{f"accounts {tier.replace('_', ' ')}": int(tiers.get(tier, 0)) for tier in TIERS},
            "revenue at risk, reporting currency": round(float(revenue.fillna(0).astype(float).sum())),
            "mean coverage": round(float(rows["coverage"].mean()), 4),
        }
        if bool(rows["score"].notna().any()):
            numbers[str(week)]["mean score"] = round(float(pd.to_numeric(rows["score"]).mean()), 3)
    return numbers
