"""Dagster asset of the segmentation room: the quarter's k-means model, its assignments and its profile."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.mart.published import read_published
from health_pipeline.mart.warehouse import write_slices
from health_pipeline.observability.dagster_metadata import STORES, mart_spec, report_slices
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.policy.segmentation import load_segmentation
from health_pipeline.segmentation.quarterly import review_quarter
from health_pipeline.segmentation.registry import adoptions, model_of_quarter, models_with_adoptions

GROUP = "11_segments"
TABLES = ("segment_models", "segment_assignments_quarterly", "segment_performance_quarterly")
logger = get_logger("segmentation")


def registry_with(published: pa.Table, model: pa.Table) -> pa.Table:
    """The published registry with the quarter's model in it, once; a refit of the same data is the same model."""
    fitted = set(model["segment_model_id"].to_pylist())
    others = published.filter(pc.invert(pc.is_in(published["segment_model_id"], pa.array(fitted, pa.string()))))
    return pa.concat_tables([others, model])


def build_assets(quarterly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The quarterly refit."""

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
        """Read the published features of the quarter's last week, fit, assign."""
        settings = context.resources.settings
        company = load_company(settings.policy).model
        quarter = company.quarter(context.partition_key)
        last = quarter.last_week
        features = read_published(settings, "account_features_weekly", weeks=[last])
        if features.num_rows == 0:
            raise dg.Failure(
                description=f"Quarter {quarter} reads the features of its last week, {last}, and that week is not "
                f"published; run `health-pipeline weekly --week {last}` first.",
                allow_retries=False,
            )
        published = read_published(settings, "segment_models")
        policy = load_segmentation(settings.policy)
        before = model_of_quarter(published, quarter.previous)
        review = review_quarter(features.to_pandas(), quarter, policy, before, context.log.info)
        registry = registry_with(published, pa.concat_tables([review.model, review.alternatives]))
        models = models_with_adoptions(registry, adoptions(settings.ledger_url))
        for name, table in zip(TABLES, (models, review.assignments, review.performance), strict=True):
            write_slices(settings, name, table, quarters=None if name == "segment_models" else [quarter])
            report_slices(context, name, table)
            yield dg.MaterializeResult(asset_key=name)
        logger.info("segmented", quarter=str(quarter), k=review.model["k"].to_pylist())

    return [fit_segments]
