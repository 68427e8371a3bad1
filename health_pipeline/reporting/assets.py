"""Dagster asset of the reporting room: the weekly report of the published release."""

import dagster as dg

from health_pipeline.mart.published import current_release
from health_pipeline.observability.dagster_metadata import OWNERS, STORES
from health_pipeline.observability.logs import get_logger
from health_pipeline.reporting.weekly import write_weekly_report

logger = get_logger("reporting")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The weekly report."""

    @dg.asset(
        name="weekly_report",
        deps=["release"],
        group_name="07_report",
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        owners=OWNERS,
        kinds={"html", "altair"},
        required_resource_keys=STORES,
        description="One self-contained HTML file per review, from the published release alone; verdict first.",
    )
    def weekly_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        release = current_release(settings)
        if release is None:
            raise dg.Failure(description="Nothing is published yet; the report is made from a release.")
        path = write_weekly_report(settings, settings.published / "releases" / release)
        logger.info("reported", release=release, report=str(path))
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.path(path),
                "open in a browser": dg.MetadataValue.url(path.as_uri()),
                "release": release,
                "size in kB": path.stat().st_size // 1024,
            }
        )

    return [weekly_report]
