"""Features of made-up accounts in the mart's types."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.policy.documents import Document
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score
from health_pipeline.scoring.weekly import PreviousWeek, ScoredWeeks, score_weeks

sys.path.insert(0, str(Path(__file__).parent))

FIRST = Week(date(2026, 8, 10))

GOOD: dict[str, Any] = {
    "lifecycle_stage": "established",
    "owner_email": "owner@example.com",
    "currency": "USD",
    "account_tenure_days": 400,
    "arr": Decimal("12000.00"),
    "arr_reporting": Decimal("12000.00"),
    "seats_licensed": 20,
    "mrr_change_share_90d": 0.0,
    "is_cancellation_scheduled": False,
    "failed_payment_count_28d": 0,
    "overdue_amount": Decimal("0.00"),
    "max_days_past_due": 0,
    "late_payment_share_365d": 0.0,
    "active_users_28d": 17,
    "license_utilisation": 0.85,
    "active_days_28d": 20,
    "stickiness": 0.6,
    "feature_breadth_28d": 9,
    "usage_depth_28d": 40.0,
    "usage_change_share_4w": 0.02,
    "features_first_used_28d": 0,
    "days_since_last_activity": 1,
    "tickets_opened_28d": 1,
    "tickets_opened_91d": 3,
    "open_backlog": 1,
    "oldest_open_ticket_days": 3,
    "unreplied_open_tickets": 0,
    "first_reply_minutes_median_91d": 90.0,
    "full_resolution_minutes_median_91d": 1500.0,
    "urgent_high_share_91d": 0.2,
    "csat_91d": 0.9,
    "days_since_last_two_way_touch": 10,
    "meetings_91d": 4,
    "engaged_contacts_91d": 4,
    "has_active_champion": True,
    "has_exec_sponsor": True,
    "champion_left_180d": False,
    "nps_account_90d": 40.0,
    "nps_answers_90d": 5,
    "csm_sentiment": 4.0,
    "csm_sentiment_age_days": 20,
    "goals_on_track_share": 0.8,
    "overdue_goals": 0,
    "days_since_goal_validated": 40,
    "milestones_overdue_share": 0.0,
    "onboarding_complete": True,
    "open_risks": 0,
    "max_open_risk_severity": None,
}
STATUS_COLUMNS = [name for name in mart_tables()["account_features_weekly"].column_names if name.endswith("_status")]


def feature_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows of account_features_weekly: good accounts but for what each row says."""
    schema = mart_tables()["account_features_weekly"].arrow_schema
    filled = []
    for given in rows:
        row = dict.fromkeys(schema.names) | GOOD | dict.fromkeys(STATUS_COLUMNS, "measured") | given
        row["as_of_at"] = pd.Timestamp(row["week"] + timedelta(days=7)).to_pydatetime()
        row["known_at"] = row["as_of_at"] + timedelta(hours=6)
        filled.append(row)
    return pa.Table.from_pylist(filled, schema=schema)


def weeks_of(values: Sequence[dict[str, Any]], account: str = "a", first: Week = FIRST) -> pa.Table:
    """One account over consecutive weeks."""
    return feature_table(
        [{"account_id": account, "week": first.shift(n).monday, **row} for n, row in enumerate(values)]
    )


def random_features(accounts: int, weeks: Sequence[Week], seed: int = 0) -> pa.Table:
    """Accounts that drift over the weeks, with what is missing, stale or not applicable at random."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0.55, 0.25, accounts)
    rows = []
    for week in weeks:
        level = level + rng.normal(0, 0.06, accounts)
        for n in range(accounts):
            if rng.random() < 0.03:
                continue
            rows.append({"account_id": f"account-{n:04d}", "week": week.monday, **_drawn(rng, level[n])})
    return feature_table(rows)


def _drawn(rng: np.random.Generator, level: float) -> dict[str, Any]:
    def share() -> float:
        return float(np.clip(level + rng.normal(0, 0.15), 0, 1))

    def count(most: int) -> int:
        return int(rng.poisson(max(0.05, (1 - share()) * most)))

    row = {
        "lifecycle_stage": str(rng.choice(["onboarding", "established", "established"])),
        "goals_on_track_share": share(),
        "overdue_goals": count(3),
        "days_since_goal_validated": count(200),
        "milestones_overdue_share": None if rng.random() < 0.3 else 1 - share(),
        "license_utilisation": share() * 1.1,
        "active_days_28d": int(share() * 24),
        "usage_change_share_4w": share() - 0.5,
        "days_since_last_two_way_touch": None if rng.random() < 0.1 else count(60),
        "engaged_contacts_91d": int(share() * 6),
        "has_active_champion": bool(rng.random() < level),
        "open_backlog": count(8),
        "oldest_open_ticket_days": None if rng.random() < 0.4 else count(40),
        "max_days_past_due": count(20),
        "nps_account_90d": None if rng.random() < 0.5 else share() * 200 - 100,
        "csm_sentiment": float(1 + round(share() * 4)),
        "open_risks": count(2),
        "is_cancellation_scheduled": bool(rng.random() < 0.02),
        "arr_reporting": Decimal(int(rng.integers(100, 100_000))),
    }
    statuses = ["measured", "zero", "missing", "stale", "not_applicable"]
    return row | {name: str(rng.choice(statuses, p=[0.8, 0.05, 0.07, 0.05, 0.03])) for name in STATUS_COLUMNS}


@pytest.fixture(scope="session")
def policy() -> Document[HealthScorePolicy]:
    return load_health_score(None)


@pytest.fixture(scope="session")
def company() -> Document[CompanyPolicy]:
    return load_company(None)


@pytest.fixture
def nothing_before() -> PreviousWeek:
    return PreviousWeek(empty_table("account_health_weekly"), empty_table("score_contributions_weekly"))


@pytest.fixture(scope="session")
def no_segments() -> pd.DataFrame:
    return pd.DataFrame(columns=["account_id", "week", "segment", "segment_model_id"])


@pytest.fixture(scope="session")
def features() -> Callable[[Sequence[dict[str, Any]]], pa.Table]:
    return feature_table


@pytest.fixture(scope="session")
def one_account() -> Callable[..., pa.Table]:
    return weeks_of


@pytest.fixture(scope="session")
def drifting() -> Callable[..., pa.Table]:
    return random_features


@pytest.fixture(scope="session")
def first_week() -> Week:
    return FIRST


@pytest.fixture
def score(
    policy: Document[HealthScorePolicy],
    company: Document[CompanyPolicy],
    no_segments: pd.DataFrame,
    nothing_before: PreviousWeek,
) -> Callable[..., ScoredWeeks]:
    """Score every week of the features, from nothing unless told otherwise."""

    def run(table: pa.Table, **given: Any) -> ScoredWeeks:
        weeks = [Week(monday) for monday in sorted(set(table["week"].to_pylist()))]
        arguments = {
            "segments": no_segments,
            "policy": policy,
            "company": company,
            "weeks": weeks,
            "previous": nothing_before,
        }
        return score_weeks(table, **(arguments | given))

    return run


@pytest.fixture
def changed(policy: Document[HealthScorePolicy]) -> Callable[..., Document[HealthScorePolicy]]:
    """The built-in policy with some top keys replaced, under another hash."""

    def change(**keys: Any) -> Document[HealthScorePolicy]:
        plain = policy.model.model_dump(by_alias=True) | keys
        return Document("health_score", policy.path, HealthScorePolicy.model_validate(plain), repr(sorted(keys)))

    return change
