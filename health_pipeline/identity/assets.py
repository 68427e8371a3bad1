"""Dagster asset of the identity room: the crosswalk from source records to accounts."""

import dagster as dg

from health_pipeline.contract.landing import SOURCE_KINDS
from health_pipeline.identity.store import refresh_identity
from health_pipeline.observability.dagster_metadata import OWNERS, STORES
from health_pipeline.observability.logs import get_logger
from health_pipeline.sources.landing import Landing

logger = get_logger("identity")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The crosswalk."""

    @dg.asset(
        key=["identity", "crosswalk"],
        deps=[["landing", kind] for kind in SOURCE_KINDS],
        group_name="02_identity",
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        owners=OWNERS,
        kinds={"python", "parquet"},
        required_resource_keys=STORES,
        description="One row per source record, account and validity: which record belongs to which account, by "
        "which method, with what confidence and evidence. What belongs to none goes to the unmatched queue.",
    )
    def crosswalk(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        manifest = Landing(settings.landing, settings.quarantine).manifest()
        result = refresh_identity(settings, manifest)
        open_links = sum(1 for ended in result.links["valid_to"].to_pylist() if ended is None)
        methods = dict.fromkeys(sorted(set(result.links["method"].to_pylist())), 0)
        for method in result.links["method"].to_pylist():
            methods[method] += 1
        logger.info("linked", accounts=result.accounts.num_rows, links=open_links, unmatched=result.unmatched.num_rows)
        return dg.MaterializeResult(
            metadata={
                "accounts": result.accounts.num_rows,
                "links in force": open_links,
                "unmatched records": result.unmatched.num_rows,
                "links by method": dg.MetadataValue.json(methods),
            }
        )

    return [crosswalk]
