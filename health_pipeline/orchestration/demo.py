"""The demo: the whole review on the simulated company, week by week and quarter by quarter, as it would have gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Literal

import dagster as dg
import yaml

from health_pipeline.contract.clocks import Quarter, Week, weeks_between
from health_pipeline.contract.yaml_text import parse_yaml
from health_pipeline.mart.published import current_release, read_published
from health_pipeline.observability.logs import get_logger
from health_pipeline.orchestration.build import build_definitions
from health_pipeline.orchestration.run import run_quarterly, run_weekly
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import BUILT_IN
from health_pipeline.reporting.quarterly.reports import KINDS
from health_pipeline.segmentation.adoption import adopt_model, newest_published_week
from health_pipeline.segmentation.registry import adoptions, recommended_models, review_due_at
from health_pipeline.settings import Settings

NEWEST_WEEK = Week(date(2026, 11, 9))
QUARTERS = (date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 1))
DemoKind = Literal["software", "services"]
logger = get_logger("demo")


def run_demo(settings: Settings, seed: int, accounts: int, kind: DemoKind = "software") -> Iterator[str]:
    """Publish every week of the demo's year and adopt a segment model after each quarter; then say where it is.

    A services company is reviewed by the policy for professional services, unless `HEALTH_POLICY` names another.

    A demo that was killed goes on where it stopped: what is published is not run again, but for a newest week whose
    plan or report is not there yet.

    Raises
    ------
    ValueError
        If this state folder belongs to other sources, or the policy's calendar is not the demo's.
    """
    is_own_policy = settings.policy is not None
    settings = reviewed_by(settings, kind)
    configure_sources(settings, seed, accounts, kind)
    company = load_company(settings.policy).model
    definitions = build_definitions(settings)
    first = Week(company.first_week)
    quarters = [Quarter(day, company.fiscal_year_start_month) for day in QUARTERS]
    stages = [first.shift(-1), *(quarter.last_week for quarter in quarters), NEWEST_WEEK]
    tell_newest_week(settings, definitions)
    for number, (before, last) in enumerate(pairwise(stages)):
        published = newest_published_week(settings)
        start = max(before, published) if published else before
        if start < last:
            weeks = list(weeks_between(start.shift(1), last))
            logger.info("weekly_review", weeks=len(weeks), first=str(weeks[0]), last=str(last))
            run_weekly(settings, weeks, definitions=definitions)
        if number < len(quarters):
            _review_and_adopt(settings, quarters[number], definitions)
    yield from where_things_are(settings)
    if settings.policy is not None and not is_own_policy:
        yield f"Policy     export HEALTH_POLICY={settings.policy}, before any other command on this state folder"


def reviewed_by(settings: Settings, kind: DemoKind) -> Settings:
    """The settings with the policy that fits that kind of company, where none is named."""
    if kind == "services" and settings.policy is None:
        return settings.model_copy(update={"policy": BUILT_IN / "professional_services"})
    return settings


def configure_sources(settings: Settings, seed: int, accounts: int, kind: DemoKind = "software") -> None:
    """Write `sources.yaml`, or make sure that the one there is this demo's."""
    path = settings.home / "sources.yaml"
    wanted: dict[str, dict[str, int | str]] = {"demo": {"seed": seed, "accounts": accounts}}
    if kind != "software":
        wanted["demo"]["company"] = kind
    if path.exists():
        there = parse_yaml(path.read_text(encoding="utf-8"))
        if there != wanted:
            raise ValueError(
                f"{path} says {there}, the demo asked for {wanted}; set HEALTH_HOME to another folder, "
                f"or remove {settings.home}."
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: what a killed demo left half written would be taken for other sources.
    partial = path.with_suffix(".partial")
    partial.write_text(yaml.safe_dump(wanted), encoding="utf-8")
    partial.replace(path)


def tell_newest_week(settings: Settings, definitions: dg.Definitions) -> None:
    """Run the newest published week again where its plan or its report is missing: that publishes nothing anew."""
    newest = newest_published_week(settings)
    if newest is None:
        return
    # Each is the last file of its kind that a run writes.
    plan, report = settings.emitted / str(newest) / "review_tasks.jsonl", settings.reports / "latest.html"
    weekly = settings.reports / f"weekly-{newest}.html"
    is_reported = report.is_file() and weekly.is_file() and report.read_bytes() == weekly.read_bytes()
    if not (plan.is_file() and is_reported):
        logger.info("weekly_review", weeks=1, first=str(newest), last=str(newest))
        run_weekly(settings, [newest], definitions=definitions)


def _review_and_adopt(settings: Settings, quarter: Quarter, definitions: dg.Definitions) -> None:
    models = _models_of(settings, quarter)
    # Also where only the adoption is missing: the run publishes nothing then, and adopts what the policy lets it.
    if not {adoption.segment_model_id for adoption in adoptions(settings.ledger_url)} & set(models):
        logger.info("quarterly_review", quarter=str(quarter))
        run_quarterly(settings, quarter, definitions)
        models = _models_of(settings, quarter)
    newest = newest_published_week(settings)
    if newest is not None and newest > quarter.last_week:
        return
    # Planted: in the demo the head of customer success adopts each model on the day its review is due.
    adopt_model(
        settings,
        models[0],
        "head-of-cs@example.com",
        "planted in the demo: adopted at the quarterly review",
        review_due_at(quarter),
    )


def _models_of(settings: Settings, quarter: Quarter) -> list[str]:
    rows = recommended_models(read_published(settings, "segment_models")).to_pylist()
    return [row["segment_model_id"] for row in rows if row["quarter"] == quarter.first_day]


def where_things_are(settings: Settings) -> Iterator[str]:
    """The lines a newcomer needs: what came out, the report, the mart, the UI, the desk."""
    health = read_published(settings, "account_health_current")
    tiers = health["tier"].to_pylist()
    counts = ", ".join(f"{tiers.count(tier)} {tier}" for tier in sorted(set(tiers), key=tiers.count, reverse=True))
    weeks = {str(week) for week in read_published(settings, "account_health_weekly")["week"].to_pylist()}
    quarters = {str(day) for day in read_published(settings, "segment_assignments_quarterly")["quarter"].to_pylist()}
    mart = settings.published / "current" / "customer_health.duckdb"
    yield ""
    yield f"[bold]Week {max(weeks)}: {health.num_rows} accounts: {counts}.[/bold]"
    yield f"Published  {len(weeks)} weeks, {len(quarters)} quarters of segments, release {current_release(settings)}"
    yield f"Report     {settings.reports / 'latest.html'}"
    for kind in KINDS if quarters else ():
        yield f"Quarterly  {settings.reports / f'{kind.stem}-{max(quarters)}.html'}"
    yield f"Mart       duckdb -readonly {mart}"
    yield f"Plan       {settings.emitted / max(weeks)}"
    yield "Next       make dev, then http://localhost:3000 (Dagster's UI) and http://localhost:8600 (the review desk)"
