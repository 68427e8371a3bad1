"""Dagster assets of the reporting room: weekly and quarterly reports of the release, validation of its score."""

import dagster as dg

from health_pipeline.mart.published import current_release
from health_pipeline.observability.dagster_metadata import OWNERS, STORES, report_numbers
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.quality.incidents import list_incidents
from health_pipeline.reporting.release_data import ReleaseData
from health_pipeline.reporting.verdict import verdict

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
        # What draws takes more than a second to import: a run does it while another process is at work.
        from health_pipeline.reporting.weekly import write_weekly_report  # noqa: PLC0415

        settings = context.resources.settings
        release = current_release(settings)
        if release is None:
            raise dg.Failure(description="Nothing is published yet; the report is made from a release.")
        folder = settings.published / "releases" / release
        company, now = load_company(settings.policy).model, context.resources.clock.now()
        report = write_weekly_report(settings, folder, list_incidents(settings.ledger_url), now)
        logger.info("reported", release=release, report=str(report.path))
        return dg.MaterializeResult(
            metadata={
                "in one sentence": verdict(report.data, company).headline,
                "accounts by tier": dg.MetadataValue.md(tier_plot(report.data)),
                # A page served over http may not link to a file: the path is there to be copied.
                "report (open this file)": dg.MetadataValue.path(report.path),
                "release": release,
                "size in kB": report.path.stat().st_size // 1024,
            }
        )

    return [weekly_report]


def build_quarterly_assets(quarterly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The three reports of the quarterly review."""

    @dg.asset(
        name="quarterly_reports",
        deps=["quarterly_release"],
        group_name="13_reports",
        partitions_def=quarterly,
        owners=OWNERS,
        kinds={"html", "altair"},
        required_resource_keys=STORES,
        description="One set of three self-contained HTML files per quarter, from the published release alone, "
        "the verdict first: segmentation refresh, persona alignment, segment performance.",
    )
    def quarterly_reports(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        # What clusters and draws takes a second to import: a week's run clusters nothing.
        from health_pipeline.reporting.quarterly.plots import plotted, stability_plot  # noqa: PLC0415
        from health_pipeline.reporting.quarterly.release_data import read_quarter  # noqa: PLC0415
        from health_pipeline.reporting.quarterly.reports import KINDS, write_quarterly_reports  # noqa: PLC0415

        settings = context.resources.settings
        release = current_release(settings)
        if release is None:
            raise dg.Failure(description="Nothing is published yet; the reports are made from a release.")
        folder, company = settings.published / "releases" / release, load_company(settings.policy).model
        quarter = company.quarter(context.partition_key)
        data = read_quarter(folder, company.fiscal_year_start_month, quarter)
        paths = write_quarterly_reports(settings, folder, quarter)
        report_numbers(context, "quarterly_reports", {context.partition_key: plotted(data)})
        logger.info("reported", release=release, reports=[path.name for path in paths])
        return dg.MaterializeResult(
            metadata={
                **{f"{kind.title} (in one sentence)": kind.headline(data) for kind in KINDS},
                # A page served over http may not link to a file: the path is there to be copied.
                **{
                    f"{kind.title} (open this file)": dg.MetadataValue.path(path)
                    for kind, path in zip(KINDS, paths, strict=True)
                },
                "stability over the quarters": dg.MetadataValue.md(stability_plot(data)),
                "release": release,
            }
        )

    return [quarterly_reports]


def build_validation_assets() -> list[dg.AssetsDefinition]:
    """The validation of the score: in a job of its own, so that the weekly run does not wait for it."""

    @dg.asset(
        name="score_validation",
        deps=["release"],
        group_name="07_report",
        owners=OWNERS,
        kinds={"html", "scikitlearn"},
        required_resource_keys={"settings"},
        description=(
            "One page per validation: published scores held against what happened in the 13 weeks after, with "
            "intervals, and a challenger's weights. Reads the published release alone; only a person adopts weights."
        ),
    )
    def score_validation(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from health_pipeline.reporting.validation import validate  # noqa: PLC0415 - see quarterly_reports

        settings = context.resources.settings
        report = validate(settings)
        statements = [f"- **{label}**: {sentence}" for label, sentence in report.verdict.statements]
        return dg.MaterializeResult(
            metadata={
                "in one sentence": f"{report.verdict.headline} {report.by_construction}".strip(),
                "what was found": dg.MetadataValue.md("\n".join(statements)),
                "page (open this file)": dg.MetadataValue.path(report.page),
                "every figure (CSV)": dg.MetadataValue.path(report.figures),
                "challenger": str(report.challenger or "none: too few customers left"),
                "release": current_release(settings) or "none",
                # Numbers, so that the UI plots them over the validations.
                **report.numbers,
            }
        )

    return [score_validation]


def tier_plot(data: ReleaseData) -> str:
    """The accounts by tier over the weeks, small enough to show in the UI."""
    from health_pipeline.reporting.charts import TIERS, tier_plot_markdown  # noqa: PLC0415 - see weekly_report

    counts = {(row["week"], row["effective_tier"]): row["accounts"] for row in data.trend}
    weeks = data.trend_weeks
    return tier_plot_markdown(weeks, {tier: [counts.get((week, tier), 0) for week in weeks] for tier in TIERS})
