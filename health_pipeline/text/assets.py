"""Dagster asset of the text room: what the landed texts say, landed like a source."""

import dagster as dg

from health_pipeline.contract.landing import SOURCE_KINDS, landing_tables
from health_pipeline.observability.dagster_metadata import OWNERS, STORES, report_numbers, weeks_of
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.sources.assets import landed_by_week
from health_pipeline.sources.landing import Landing
from health_pipeline.text.landed_texts import TEXT_TABLES
from health_pipeline.text.unread import read_unread

# Kinds of source whose tables hold texts.
KINDS_WITH_TEXTS = [kind for kind in SOURCE_KINDS if any(kind in landing_tables()[name].kinds for name in TEXT_TABLES)]
# A run does one step after the other: while this one reads, the second process links what was landed.
BEFORE_IDENTITY = {"dagster/priority": "1"}
logger = get_logger("text")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """What the landed texts say."""

    @dg.asset(
        key=["landing", "text"],
        deps=[["landing", kind] for kind in KINDS_WITH_TEXTS],
        group_name="02_text",
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        owners=OWNERS,
        kinds={"python", "parquet"},
        required_resource_keys={*STORES, "crosswalk_ahead"},
        op_tags=BEFORE_IDENTITY,
        description="One row per version of a record with text, and one per risk phrase in it: rule, category, span, "
        "whether it is negated; language and, in English, the score of a general lexicon. No words. Landed load by "
        "load beside the loads that were read, by the version of the rules; each text is read once.",
    )
    def landed_texts(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        company = load_company(settings.policy).model
        landing = Landing(settings.landing, settings.quarantine)
        context.resources.crosswalk_ahead.go_on(landing.manifest())
        read = read_unread(settings)
        manifest = landing.manifest().to_pandas()
        by_week = landed_by_week(manifest, "text", weeks_of(context), company.cutoff_hours)
        report_numbers(context, ["landing", "text"], by_week)
        logger.info("texts_read", loads=read.loads, records=read.records, phrases=read.phrases, rules=read.rule_version)
        rows = manifest[manifest["source_kind"] == "text"]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": int(rows["rows"].sum()),
                "version of the rules": read.rule_version,
                "loads read now": read.loads,
                "records read now": read.records,
                "phrases found now": read.phrases,
            }
        )

    return [landed_texts]
