"""The weekly report: one self-contained HTML file from a published release, the verdict first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from health_pipeline.contract.clocks import Week
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.policy.pilot import PilotPolicy, load_pilot
from health_pipeline.policy.wording import TIER_WORDS, counted
from health_pipeline.reporting import (
    decisions,
    pilot_section,
    plan_sections,
    product_sections,
    risk_sections,
    sections,
    source_sections,
)
from health_pipeline.reporting.accountability import accountability_sentence, accountability_table
from health_pipeline.reporting.archive import write_archive
from health_pipeline.reporting.causes import common_causes
from health_pipeline.reporting.charts import (
    TIERS,
    capacity_by_owner,
    revenue_at_risk,
    score_shape,
    sparkline_svg,
    tier_trend,
)
from health_pipeline.reporting.figures import amount, clock, money, short_day, signed, week_span
from health_pipeline.reporting.plan_sections import OWNERS_DRAWN
from health_pipeline.reporting.release_data import ReleaseData, read_release
from health_pipeline.reporting.source_sections import ReportedIncident
from health_pipeline.reporting.tables import Cell, Table
from health_pipeline.reporting.verdict import revenue_of, verdict
from health_pipeline.settings import Settings

STYLE = Path(__file__).with_name("report.css")
# Signs that tell tiers apart without colour.
TIER_SIGNS = {"at_risk": "▼", "watch": "◆", "healthy": "●", "expansion_ready": "▲", "not_scored": "○"}


@dataclass(frozen=True)
class WeeklyReport:
    """A report that was written: `reports/weekly-<week>.html`, and what it was made of."""

    path: Path
    data: ReleaseData


def write_weekly_report(
    settings: Settings,
    release_folder: Path,
    incidents: Sequence[ReportedIncident] | None = None,
    now: datetime | None = None,
) -> WeeklyReport:
    """Write the report of a release's newest week, `latest.html` and the index of all reports beside it.

    Parameters
    ----------
    settings : where reports go; the company's name and reporting currency come from its policy
    release_folder : `published/releases/<release>`: the only place data is read from
    incidents : data incidents, where the caller has them; the section is left out without
    now : what an incident's age is counted to; the week's known_at where it is not given

    Returns
    -------
    WeeklyReport
        Whole or not written at all.

    Raises
    ------
    NoReportError
        If the folder is no release, or holds no published week.
    """
    company, pilot = load_company(settings.policy).model, load_pilot(settings.policy).model
    data = read_release(release_folder, pilot)
    text = render_weekly_report(data, company, incidents, now, pilot)
    path = settings.reports / f"weekly-{data.week}.html"
    write_whole(path, text)
    write_whole(settings.reports / "latest.html", text)
    write_archive(settings.reports, company.company_name)
    return WeeklyReport(path, data)


def render_weekly_report(
    data: ReleaseData,
    company: CompanyPolicy,
    incidents: Sequence[ReportedIncident] | None = None,
    now: datetime | None = None,
    pilot: PilotPolicy | None = None,
) -> str:
    """Return the report as HTML; the same release gives the same text."""
    environment = Environment(
        loader=PackageLoader("health_pipeline.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("weekly.html.j2").render(
        style=Markup(STYLE.read_text(encoding="utf-8")),  # noqa: S704  our own stylesheet
        signs=TIER_SIGNS,
        tier_words=TIER_WORDS,
        **_content(data, company, incidents, now or data.health[0]["known_at"]),
        **_pilot(data, pilot or load_pilot(None).model),
    )


def _content(
    data: ReleaseData, company: CompanyPolicy, incidents: Sequence[ReportedIncident] | None, now: datetime
) -> dict[str, Any]:
    currency = company.reporting_currency
    causes = common_causes(data)
    return {
        "company": company.company_name,
        "week": data.week,
        "span": week_span(data.week),
        "verdict": verdict(data, company),
        "accounts": counted(len(data.health), "account"),
        "mail_domain": data.mail_domain,
        "cards": _cards(data, currency),
        "charts": _charts(data, currency),
        "decisions": decisions.decisions_table(data, currency),
        "urgent": decisions.urgent_table(data, currency),
        "risk_missing": risk_sections.missing_sentence(data),
        "risk_line": risk_sections.line_sentence(data),
        "risk_queue": risk_sections.queue_table(data),
        "risk_counts": risk_sections.counts_table(data),
        "causes": [(cause.tag, cause.sentence, len(cause.movements)) for cause in causes],
        "movement_summary": sections.movement_summary(data),
        "shared_drivers": sections.shared_drivers(data),
        "movements": sections.movement_table(data, currency, causes),
        "at_risk": sections.at_risk_table(data, currency),
        "watermelons": sections.watermelon_table(data, currency),
        "watermelon_reasons": sections.watermelon_sentence(data),
        "expansion": sections.expansion_table(data, currency),
        "unowned": sections.unowned_table(data, currency),
        "plan": plan_sections.plan_table(data, currency),
        "playbooks": plan_sections.playbooks_table(data, currency),
        "owners": plan_sections.owners_table(data, currency),
        "matrix": plan_sections.hours_matrix(data),
        "entering": plan_sections.entering_table(data, currency),
        "capacity_sentence": plan_sections.capacity_sentence(data),
        "segments": plan_sections.segments_table(data, currency),
        "themes": product_sections.themes_table(data, currency),
        "themes_sentence": product_sections.themes_sentence(data),
        "theme_features": product_sections.theme_features_table(data, currency),
        "support": product_sections.support_table(data, currency),
        "support_sentence": product_sections.support_sentence(data),
        "support_segments": product_sections.support_segments_table(data, currency),
        "freshness": source_sections.freshness_table(data),
        "matching": source_sections.matching_sentence(data, currency),
        "unmatched": source_sections.unmatched_table(data, currency),
        "coverage": source_sections.coverage_table(data, company),
        "incidents": None if incidents is None else source_sections.incidents_table(incidents, now),
        "incidents_sentence": "" if incidents is None else source_sections.incidents_sentence(incidents, now),
        "provenance": source_sections.provenance(data),
        "accountability": accountability_table(data.rows),
        "accountability_sentence": accountability_sentence(data.rows),
        "as_of": clock(Week(data.week).as_of_at),
        "known": clock(data.health[0]["known_at"]),
        "not_applicable": list(company.not_applicable_domains),
        "release": data.manifest.get("release") or "unknown",
    }


def _pilot(data: ReleaseData, pilot: PilotPolicy) -> dict[str, Any]:
    owner = data.owner_of(pilot.owner) if pilot.owner else ""
    table = pilot_section.pilot_table(data, pilot)
    return {
        "pilot_sentence": pilot_section.pilot_sentence(data, pilot, owner),
        "pilot_table": table if table.rows else None,
    }


def _cards(data: ReleaseData, currency: str) -> list[dict[str, Any]]:
    """One per tier: accounts, revenue, change since last week, the way there."""
    counts = {(row["week"], row["effective_tier"]): row["accounts"] for row in data.trend}
    cards = []
    for tier in TIERS:
        rows = [row for row in data.health if row["effective_tier"] == tier]
        history = [counts.get((week, tier), 0) for week in data.trend_weeks]
        revenue = revenue_of(rows)
        cards.append(
            {
                "tier": tier,
                "accounts": f"{len(rows):,}",
                "revenue": money(revenue, currency) if rows and revenue is not None else "",
                "change": "" if data.before is None else signed(len(rows) - counts.get((data.before, tier), 0)),
                "trend": Markup(sparkline_svg(history)) if len(history) > 1 else "",  # noqa: S704  numbers only
            }
        )
    return cards


def _charts(data: ReleaseData, currency: str) -> list[dict[str, Any]]:
    """Drawings with the table of what they show; a chart that would have one point is left out."""
    weeks = data.trend_weeks
    counts = {(row["week"], row["effective_tier"]): row["accounts"] for row in data.trend}
    charts: list[dict[str, Any]] = []
    if len(weeks) > 1:
        columns = (("Week of", False), *((TIER_WORDS[tier], True) for tier in TIERS))
        rows = [
            (Cell(short_day(week)), *(Cell(f"{counts.get((week, tier), 0):,}") for tier in TIERS)) for week in weeks
        ]
        charts.append(
            _chart("tiers", "Accounts by tier, week by week", tier_trend(weeks, counts), columns, rows, legend=True)
        )
        revenue = {
            row["week"]: float(row["arr_reporting"])
            for row in data.trend
            if row["effective_tier"] == "at_risk" and row["arr_reporting"] is not None
        }
        if len(revenue) > 1:
            charts.append(
                _chart(
                    "revenue",
                    f"Annual revenue of at-risk accounts, {currency}",
                    revenue_at_risk(weeks, revenue, currency),
                    (("Week of", False), (f"Revenue, {currency}", True)),
                    [(Cell(short_day(week)), Cell(amount(revenue.get(week)))) for week in weeks],
                )
            )
    scores = [(row["score"], row["effective_tier"]) for row in data.health if row["score"] is not None]
    if scores:
        bins = [
            (start, [tier for score, tier in scores if min(score // 5 * 5, 95) == start]) for start in range(0, 100, 5)
        ]
        columns = (("Score", False), *((TIER_WORDS[tier], True) for tier in TIERS))
        rows = [
            (Cell(f"{start} to {start + 5}"), *(Cell(f"{tiers.count(tier):,}") for tier in TIERS))
            for start, tiers in bins
            if tiers
        ]
        charts.append(_chart("scores", "Accounts by score", score_shape(scores), columns, rows, legend=True))
    owners = plan_sections.owners_of_plan(data)
    if any(row["hours_needed"] for row in owners):
        bars = [
            (plan_sections.owner_label(data, row), row["hours_within_capacity"], row["hours_below_line"])
            for row in owners[:OWNERS_DRAWN]
        ]
        title = "Hours by owner" + (f", the {OWNERS_DRAWN} longest queues" if len(owners) > OWNERS_DRAWN else "")
        table = plan_sections.owners_table(data, currency)
        charts.append(
            {"key": "capacity", "title": title, "drawing": capacity_by_owner(bars), "table": table, "legend": False}
        )
    return charts


def _chart(
    key: str, title: str, drawing: Any, columns: tuple[tuple[str, bool], ...], rows: list[Any], legend: bool = False
) -> dict[str, Any]:
    return {"key": key, "title": title, "drawing": drawing, "table": Table(title, columns, rows), "legend": legend}


def write_whole(path: Path, text: str) -> None:
    """Replace the file in one step: a reader sees the old report or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
