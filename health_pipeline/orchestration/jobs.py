"""The jobs: the weekly health review, the quarterly segmentation review, validating the score, landing decisions."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

WEEKLY_JOB = "weekly_health_review"
QUARTERLY_JOB = "quarterly_segmentation_review"
VALIDATION_JOB = "validate_score"
DECISIONS_JOB = "land_decisions"


def build_job(
    name: str,
    description: str,
    assets: Sequence[dg.AssetsDefinition],
    partitions: dg.PartitionsDefinition | None = None,
) -> UnresolvedAssetJobDefinition:
    """A job over those assets and their checks, one process per run: DuckDB has one writer."""
    keys = [key for definition in assets for key in definition.keys]
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        partitions_def=partitions,
        executor_def=dg.in_process_executor,
        description=description,
    )
