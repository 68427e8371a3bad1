"""Dagster asset of the segmentation room: the quarter's candidates, and everything that is asked of its segments."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.mart.published import read_published
from health_pipeline.mart.warehouse import write_marts
from health_pipeline.observability.dagster_metadata import STORES, mart_spec, report_slices
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.policy.personas import load_personas
from health_pipeline.policy.segment_review import load_segment_review
from health_pipeline.policy.segmentation import load_segmentation
from health_pipeline.policy.team_segments import load_team_segments
from health_pipeline.segmentation.registry import adoptions, models_with_adoptions
from health_pipeline.settings import Settings

if TYPE_CHECKING:
    from health_pipeline.segmentation.review import ReviewPolicies, SegmentationReview

GROUP = "11_segments"
REGISTRY = "segment_models"
TABLES = (
    REGISTRY,
    "segment_assignments_quarterly",
    "segment_performance_quarterly",
    "segment_stability_quarterly",
    "persona_alignment_quarterly",
    "segment_reconciliation_quarterly",
    "segment_figures_quarterly",
)
logger = get_logger("segmentation")


def registry_with(published: pa.Table, models: pa.Table) -> pa.Table:
    """The published registry with the quarter's models in it, once; a refit of the same data is the same model."""
    fitted = set(models["segment_model_id"].to_pylist())
    others = published.filter(pc.invert(pc.is_in(published["segment_model_id"], pa.array(fitted, pa.string()))))
    return pa.concat_tables([others, models])


def read_policies(settings: Settings) -> "ReviewPolicies":
    """The documents the review goes by."""
    from health_pipeline.segmentation.review import ReviewPolicies  # noqa: PLC0415 - see fit_segments

    folder = settings.policy
    return ReviewPolicies(
        load_segmentation(folder), load_segment_review(folder), load_personas(folder), load_team_segments(folder)
    )


def plotted(review: "SegmentationReview") -> dict[str, dict[str, float]]:
    """Numbers per table that Dagster plots over the quarters."""
    numbers: dict[str, dict[str, float]] = {}
    if review.fit.candidates is not None:
        best = review.fit.candidates.recommended
        numbers[REGISTRY] = {"segments": best.k, "split-half strength": best.prediction_strength}
        if best.stability is not None:
            numbers["segment_stability_quarterly"] = {"smallest Jaccard": best.stability.smallest}
    if review.over_time is not None:
        numbers.setdefault("segment_stability_quarterly", {})["ARI with last quarter"] = (
            review.over_time.refit.agreement.ari
        )
    verdicts = review.tables["persona_alignment_quarterly"]["verdict"].to_pylist()
    numbers["persona_alignment_quarterly"] = {"claims contradicted": verdicts.count("contradicted")}
    return numbers


def build_assets(quarterly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The quarterly review."""

    # What is read is the release's slice of the quarter's last week; the weeks before the first one do not exist.
    published_weeks = dg.AssetDep(
        "release", partition_mapping=dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
    )

    @dg.multi_asset(
        name="fit_segments",
        specs=[mart_spec(name, GROUP, [published_weeks], {"scikitlearn", "duckdb"}) for name in TABLES],
        partitions_def=quarterly,
        required_resource_keys=STORES,
    )
    def fit_segments(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Read the published features of the quarter's last week, fit, assign, judge."""
        # What clusters takes a second to import: a week's run does not.
        from health_pipeline.segmentation.inputs import read_inputs  # noqa: PLC0415
        from health_pipeline.segmentation.review import review_segments  # noqa: PLC0415

        settings = context.resources.settings
        company = load_company(settings.policy).model
        quarter = company.quarter(context.partition_key)
        inputs = read_inputs(settings, quarter, company.cutoff_hours)
        if inputs.features.empty:
            last = quarter.last_week
            raise dg.Failure(
                description=f"Quarter {quarter} reads the features of its last week, {last}, and that week is not "
                f"published; run `health-pipeline weekly --week {last}` first.",
                allow_retries=False,
            )

        def tell(step: str) -> None:
            # Dagster's log shows it in the UI, the room's own on the command line.
            context.log.info(step)
            logger.info("reviewing", step=step)

        review = review_segments(inputs, read_policies(settings), tell)
        fitted = pa.concat_tables([review.fit.model, review.fit.alternatives])
        registry = registry_with(read_published(settings, REGISTRY), fitted)
        models = models_with_adoptions(registry, adoptions(settings.ledger_url))
        numbers = plotted(review)
        tables = {name: models if name == REGISTRY else review.tables[name] for name in TABLES}
        write_marts(settings, tables, quarters=[quarter])
        for name, table in tables.items():
            report_slices(context, name, table, {context.partition_key: numbers.get(name, {})})
            yield dg.MaterializeResult(asset_key=name)
        logger.info("segmented", quarter=str(quarter), k=review.fit.model["k"].to_pylist())

    return [fit_segments]
