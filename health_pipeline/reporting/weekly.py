"""The weekly report: one self-contained HTML file from a published release, the verdict first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from health_pipeline.contract.clocks import Week
from health_pipeline.planning.wording import TIER_WORDS, counted
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.reporting import plan_sections, sections
from health_pipeline.reporting.charts import (
    TIERS,
    capacity_by_owner,
    revenue_at_risk,
    score_shape,
    sparkline_svg,
    tier_trend,
)
from health_pipeline.reporting.figures import amount, clock, money, short_day, signed, week_span
from health_pipeline.reporting.plan_sections import OWNERS_DRAWN, ReportedIncident
from health_pipeline.reporting.release_data import ReleaseData, read_release
from health_pipeline.reporting.tables import Cell, Table
from health_pipeline.reporting.verdict import revenue_of, verdict
from health_pipeline.settings import Settings

STYLE = Path(__file__).with_name("report.css")
# Signs that tell tiers apart without colour.
TIER_SIGNS = {"at_risk": "▼", "watch": "◆", "healthy": "●", "expansion_ready": "▲", "not_scored": "○"}


def write_weekly_report(
    settings: Settings, release_folder: Path, incidents: Sequence[ReportedIncident] | None = None
) -> Path:
    """Write the report of a release's newest week, and `latest.html` beside it.

    Parameters
    ----------
    settings : where reports go; the company's name and reporting currency come from its policy
    release_folder : `published/releases/<release>`: the only place data is read from
    incidents : open data incidents, where the caller has them; the section is left out without

    Returns
    -------
    Path
        `reports/weekly-<week>.html`, whole or not written at all.

    Raises
    ------
    NoReportError
        If the folder is no release, or holds no published week.
    """
    data = read_release(release_folder)
    text = render_weekly_report(data, load_company(settings.policy).model, incidents)
    path = settings.reports / f"weekly-{data.week}.html"
    write_whole(path, text)
    write_whole(settings.reports / "latest.html", text)
    return path


def render_weekly_report(
    data: ReleaseData, company: CompanyPolicy, incidents: Sequence[ReportedIncident] | None = None
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
        **_content(data, company, incidents),
    )


def _content(data: ReleaseData, company: CompanyPolicy, incidents: Sequence[ReportedIncident] | None) -> dict[str, Any]:
    currency = company.reporting_currency
    return {
        "company": company.company_name,
        "week": data.week,
        "span": week_span(data.week),
        "verdict": verdict(data, company),
        "accounts": counted(len(data.health), "account"),
        "cards": _cards(data, currency),
        "charts": _charts(data, currency),
        "movement_summary": sections.movement_summary(data),
        "movements": sections.movement_table(data, currency),
        "at_risk": sections.at_risk_table(data, currency),
        "watermelons": sections.watermelon_table(data, currency),
        "expansion": sections.expansion_table(data, currency),
        "unowned": sections.unowned_table(data, currency),
        "plan": plan_sections.plan_table(data, currency),
        "capacity_sentence": plan_sections.capacity_sentence(data),
        "segments": plan_sections.segments_table(data, currency),
        "freshness": plan_sections.freshness_table(data),
        "unmatched": plan_sections.unmatched_sentence(data, currency),
        "incidents": None if incidents is None else plan_sections.incidents_table(incidents),
        "provenance": plan_sections.provenance(data),
        "as_of": clock(Week(data.week).as_of_at),
        "known": clock(data.health[0]["known_at"]),
        "not_applicable": list(company.not_applicable_domains),
        "release": data.manifest.get("release") or "unknown",
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
    if owners:
        bars = [(owner, within, below) for owner, _, within, below, _ in owners[:OWNERS_DRAWN]]
        table = plan_sections.owners_table(data)
        title = "Hours by owner" + (f", the {OWNERS_DRAWN} longest queues" if len(owners) > OWNERS_DRAWN else "")
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
