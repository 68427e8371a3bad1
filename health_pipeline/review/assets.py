"""Dagster assets of the review: what people decided, landed before the week is built."""

import dagster as dg

from health_pipeline.observability.dagster_metadata import OWNERS, STORES, weeks_of
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.review.landed_overrides import land_overrides

GROUP = "01_sources"
logger = get_logger("review")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The decisions that flow back into the weekly review."""

    @dg.asset(
        name="decided_overrides",
        group_name=GROUP,
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        owners=OWNERS,
        kinds={"parquet"},
        required_resource_keys=STORES,
        description="One load per week in which somebody approved or withdrew an override of a tier: taken from the "
        "ledger as it was at the week's known_at.",
    )
    def decided_overrides(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        company = load_company(settings.policy).model
        result = land_overrides(settings, company, weeks_of(context)[-1].known_at(company.cutoff_hours))
        if result is not None and result.status not in {"committed", "duplicate"}:
            raise dg.Failure(description=f"Overrides were not landed: {' '.join(result.messages)}", allow_retries=False)
        logger.info("overrides_landed", status=result.status if result else "none")
        return dg.MaterializeResult(metadata={"overrides": result.rows if result else 0})

    return [decided_overrides]
