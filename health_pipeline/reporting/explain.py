"""Reads what an explanation needs from the published release, and the evidence where the warehouse is at hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.connection import WarehouseBusyError
from health_pipeline.mart.evidence import LandedRecords, landed_records
from health_pipeline.mart.published import published_file, read_published
from health_pipeline.reporting.explanation import WEEKLY_TABLES, Explanation, explain_account
from health_pipeline.reporting.find_account import find_account
from health_pipeline.settings import Settings


def explain(settings: Settings, asked: str, week: Week | None = None) -> Explanation:
    """Explain an account's week by the current release.

    Parameters
    ----------
    settings : where state lives
    asked : the account's id, a unique part of its name, or a source's id
    week : a published week; None takes the newest

    Raises
    ------
    LookupError
        If the account can't be told, or has no row in that week.
    ValueError
        If nothing is published yet.
    """
    if published_file(settings) is None:
        raise ValueError(f"Nothing is published under {settings.published}; run `health-pipeline weekly` first.")
    accounts = read_published(settings, "accounts")
    links = read_published(settings, "account_links")
    account_id = find_account(asked, accounts.to_pylist(), links.to_pylist())
    chosen = week or newest_week(settings)
    tables = {name: read_published(settings, name, weeks=[chosen]) for name in WEEKLY_TABLES}
    if account_id not in set(tables["account_health_weekly"]["account_id"].to_pylist()):
        tables["account_health_weekly"] = read_published(settings, "account_health_weekly")
    tables["accounts"] = accounts
    explained = explain_account(tables, account_id, chosen)
    evidence = _evidence(settings, links, explained)
    return explained if evidence is None else explain_account(tables, account_id, chosen, evidence)


def newest_week(settings: Settings) -> Week:
    """The newest published week.

    Raises
    ------
    ValueError
        If no week is published.
    """
    weeks = read_published(settings, "account_health_current")["week"].to_pylist()
    if not weeks:
        raise ValueError("No week is published yet; run `health-pipeline weekly` first.")
    return Week(max(weeks))


def _evidence(
    settings: Settings, links: pa.Table, explained: Explanation
) -> dict[str, tuple[LandedRecords, ...]] | None:
    features = [measure.feature for measure in explained.measures]
    try:
        return landed_records(settings, links, explained.account_id, features, Week(explained.week), explained.known_at)
    except (FileNotFoundError, WarehouseBusyError):
        # a machine that has the release only, or a run that goes on: the explanation stands without the records
        return None


def as_json(explained: Explanation) -> str:
    """The explanation as JSON: the dataclass's fields, dates in ISO 8601, numbers unrounded."""
    return json.dumps(asdict(explained), indent=2, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
