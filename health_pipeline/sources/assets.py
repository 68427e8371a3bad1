"""Dagster assets of the sources: pull what is due, and say what is connected."""

from collections.abc import Iterator, Sequence

import dagster as dg
import pandas as pd

from health_pipeline.contract.clocks import Week, naive_utc
from health_pipeline.contract.landing import DELIVERED_KINDS, landing_tables
from health_pipeline.observability.dagster_metadata import OWNERS, STORES, report_numbers, weeks_of
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.pull import pull

# What the benchmark sets apart: the sources' own work is none of the review's.
SOURCE_SECONDS = "seconds the sources took"
GROUP = "01_sources"
logger = get_logger("sources")


# What the review hands over by itself; its assets land it before the rest of the week is pulled.
HANDED_OVER = {"review": ["decided_overrides", "decided_cases"]}


def _spec(kind: str) -> dg.AssetSpec:
    tables = [table.name for table in landing_tables().values() if kind in table.kinds]
    return dg.AssetSpec(
        ["landing", kind],
        deps=HANDED_OVER.get(kind, []),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"parquet"},
        description=f"One Parquet file per committed load and table of the {kind} systems ({', '.join(tables)}); never "
        "changed, never overwritten. A week counts what was landed between the week before's known_at and its own.",
    )


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The nine kinds of source and the record of their loads, pulled in one step."""

    @dg.multi_asset(
        name="pull_sources",
        specs=[
            *(_spec(kind) for kind in DELIVERED_KINDS),
            dg.AssetSpec(
                ["landing", "source_load"],
                group_name=GROUP,
                owners=OWNERS,
                kinds={"parquet"},
                description="One row per committed load and table: our own audit of what came in.",
            ),
        ],
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=STORES,
    )
    def pull_sources(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Land every load that is due by the newest week's known_at; a no-op for past weeks."""
        settings = context.resources.settings
        company = load_company(settings.policy).model
        weeks = weeks_of(context)
        newest = weeks[-1]
        report = pull(settings, company, newest.known_at(company.cutoff_hours))
        if report.blocking:
            raise dg.Failure(description=" ".join(report.blocking), allow_retries=False)
        manifest = Landing(settings.landing, settings.quarantine).manifest().to_pandas()
        logger.info("pulled", loads_landed=report.landed, loads_held=report.held, through=str(newest))
        for kind in DELIVERED_KINDS:
            report_numbers(context, ["landing", kind], landed_by_week(manifest, kind, weeks, company.cutoff_hours))
            rows = manifest[manifest["source_kind"] == kind]
            yield dg.MaterializeResult(
                asset_key=["landing", kind],
                metadata={
                    "connected": bool(len(rows)),
                    "required": company.source(kind).required,
                    "loads": int(rows["load_id"].nunique()),
                    "dagster/row_count": int(rows["rows"].sum()),
                    "newest load (UTC)": str(rows["loaded_at"].max()) if len(rows) else "none",
                },
            )
        yield dg.MaterializeResult(
            asset_key=["landing", "source_load"],
            metadata={
                "dagster/row_count": len(manifest),
                "loads": int(manifest["load_id"].nunique()),
                SOURCE_SECONDS: round(report.source_seconds, 3),
            },
        )

    return [pull_sources]


def landed_by_week(
    manifest: pd.DataFrame, kind: str, weeks: Sequence[Week], cutoff_hours: int
) -> dict[str, dict[str, float]]:
    """Rows and loads of a kind that became known in each week: what the UI plots."""
    rows = manifest[manifest["source_kind"] == kind]
    numbers: dict[str, dict[str, float]] = {}
    for week in weeks:
        after, until = (naive_utc(one.known_at(cutoff_hours)) for one in (week.shift(-1), week))
        landed = rows[(rows["loaded_at"] > after) & (rows["loaded_at"] <= until)]
        numbers[str(week)] = {
            "dagster/partition_row_count": int(landed["rows"].sum()),
            "loads of the week": int(landed["load_id"].nunique()),
        }
    return numbers
