"""A person adopts a segment model; it comes into force from the first Monday after that, never in the past."""

from __future__ import annotations

from datetime import date, datetime

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.mart.published import read_published
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.segmentation.registry import (
    Adoption,
    adopt,
    adopt_first,
    adoptions,
    first_monday_after,
    review_due_at,
)
from health_pipeline.settings import Settings


def effective_monday(adopted_at: datetime, newest_published: Week | None) -> date:
    """The first Monday after the adoption that is not published yet: a published week keeps its segments."""
    first = Week(first_monday_after(adopted_at))
    if newest_published is not None:
        first = max(first, newest_published.shift(1))
    return first.monday


def newest_published_week(settings: Settings) -> Week | None:
    """The newest week in the current release; None where nothing is published."""
    weeks = read_published(settings, "account_health_current")["week"].to_pylist()
    return Week(max(weeks)) if weeks else None


def adopt_model(settings: Settings, segment_model_id: str, by: str, reason: str, at: datetime) -> date:
    """Record the adoption in the ledger; the next weekly run uses the model from the returned Monday on.

    Adopting the model that was adopted last changes nothing and returns the Monday it is in force from.

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
    newest = adoptions(settings.ledger_url)[-1:]
    if newest and newest[0].segment_model_id == segment_model_id:
        # It is the one in force, or about to be: adopting it again must not take it out of force until then.
        return newest[0].effective_from
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


def adopt_first_model(settings: Settings, company: CompanyPolicy, quarter: Quarter, now: datetime) -> Adoption | None:
    """Adopt the first model that was ever published, where the policy lets that happen without a person.

    The adoption counts from the day the quarter's review was due, so that a backfill imputes it and running again
    changes nothing; never from a week that is published.
    """
    newest = newest_published_week(settings)
    return adopt_first(
        settings.ledger_url,
        read_published(settings, "segment_models"),
        company.segment_adoption,
        min(review_due_at(quarter), now),
        newest.shift(1).monday if newest else date.min,
    )
