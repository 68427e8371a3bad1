"""Dagster asset of the identity room: the crosswalk from source records to accounts."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week, naive_utc
from health_pipeline.contract.landing import SOURCE_KINDS
from health_pipeline.identity.crosswalk import Crosswalk
from health_pipeline.identity.store import write_crosswalk
from health_pipeline.observability.dagster_metadata import OWNERS, STORES, column_schema, report_numbers, weeks_of
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.sources.landing import Landing

COLUMNS = column_schema("account_links")
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
        required_resource_keys={*STORES, "crosswalk_ahead", "meanwhile"},
        description="One row per source record, account and validity: which record belongs to which account, by "
        "which method, with what confidence and evidence. What belongs to none goes to the unmatched queue. Built "
        "from all committed loads, in their order; the plots show it as it was known in each week.",
        metadata={"dagster/column_schema": COLUMNS},
    )
    def crosswalk(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        manifest = Landing(settings.landing, settings.quarantine).manifest()
        context.resources.meanwhile()
        result = write_crosswalk(settings, context.resources.crosswalk_ahead.finish(manifest))
        open_links = sum(1 for ended in result.links["valid_to"].to_pylist() if ended is None)
        methods = dict.fromkeys(sorted(set(result.links["method"].to_pylist())), 0)
        for method in result.links["method"].to_pylist():
            methods[method] += 1
        cutoff = load_company(settings.policy).model.cutoff_hours
        known = {str(week): _known_in(result, week, cutoff) for week in weeks_of(context)}
        report_numbers(context, ["identity", "crosswalk"], known)
        logger.info("linked", accounts=result.accounts.num_rows, links=open_links, unmatched=result.unmatched.num_rows)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": result.links.num_rows,
                "accounts ever seen": result.accounts.num_rows,
                "unmatched records": result.unmatched.num_rows,
                "links by method": dg.MetadataValue.json(methods),
            }
        )

    return [crosswalk]


def _known_in(crosswalk: Crosswalk, week: Week, cutoff_hours: int) -> dict[str, float]:
    """Links in force at the week's known_at, and the accounts they lead to."""
    at = pa.scalar(naive_utc(week.known_at(cutoff_hours)), pa.timestamp("us"))
    links = crosswalk.links
    ended = pc.fill_null(pc.less_equal(links["valid_to"], at), False)
    in_force = links.filter(pc.and_(pc.less_equal(links["valid_from"], at), pc.invert(ended)))
    return {"links in force": in_force.num_rows, "accounts": pc.count_distinct(in_force["account_id"]).as_py()}
