"""A person adopts a segment model; it comes into force from the first Monday after that, never in the past."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from health_pipeline.contract.clocks import Week, week_of
from health_pipeline.mart.published import read_published
from health_pipeline.segmentation.registry import adopt
from health_pipeline.settings import Settings


def effective_monday(adopted_at: datetime, newest_published: Week | None) -> date:
    """The first Monday after the adoption that is not published yet: a published week keeps its segments."""
    first = week_of(adopted_at).shift(1)
    if newest_published is not None:
        first = max(first, newest_published.shift(1))
    return first.monday


def newest_published_week(settings: Settings) -> Week | None:
    """The newest week in the current release; None where nothing is published."""
    weeks = read_published(settings, "account_health_current")["week"].to_pylist()
    return Week(max(weeks)) if weeks else None


def adopt_model(settings: Settings, segment_model_id: str, by: str, reason: str, at: datetime) -> date:
    """Record the adoption in the ledger; the next weekly run uses the model from the returned Monday on.

    Raises
    ------
    ValueError
        If `by` or `reason` is empty.
    LookupError
        If no published model has that id; names the ones there are.
    """
    if not by.strip() or not reason.strip():
        raise ValueError("An adoption needs a person (--by) and a reason (--reason).")
    models = {row["segment_model_id"]: row for row in read_published(settings, "segment_models").to_pylist()}
    if segment_model_id not in models:
        known = ", ".join(sorted(models)) or "none; run `health-pipeline quarterly --quarter YYYY-MM-DD` first"
        raise LookupError(f"No published segment model is called {segment_model_id!r}; there are: {known}.")
    effective_from = effective_monday(at, newest_published_week(settings))
    adopt(
        settings.ledger_url,
        segment_model_id,
        models[segment_model_id]["quarter"],
        effective_from,
        by,
        reason,
        at,
    )
    return effective_from


def review_day(quarter_end: date) -> date:
    """The 8th of the month that follows a quarter: when its review is due."""
    return quarter_end + timedelta(days=7)
