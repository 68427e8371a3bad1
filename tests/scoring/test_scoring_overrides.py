"""Overrides in the score's rows: they change the effective tier and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.scoring.weekly import ScoredWeeks

UNKNOWN = {"outcomes_status": "missing", "usage_status": "missing", "engagement_status": "missing"}
NOTICE = {"is_cancellation_scheduled": True}
EXPIRES = datetime(2026, 12, 31)
Score = Callable[..., ScoredWeeks]
Rows = Callable[..., pa.Table]


def override(account: str, week: Week, tier: str) -> dict[str, Any]:
    return {
        "account_id": account,
        "week": week.monday,
        "override_tier": tier,
        "override_reason": "migrates this month, agreed with their lead",
        "override_approved_by": "lead@example.com",
        "override_expires_at": EXPIRES,
    }


@pytest.mark.parametrize(
    ("facts", "tier", "by_rule"),
    [
        ({}, "at_risk", "healthy"),
        ({}, "healthy", "healthy"),
        (NOTICE, "healthy", "at_risk"),
        (UNKNOWN, "watch", "not_scored"),
    ],
)
def test_an_override_stands_beside_the_rule(
    score: Score, one_account: Rows, first_week: Week, facts: dict[str, Any], tier: str, by_rule: str
) -> None:
    rows = one_account([facts])
    plain = score(rows)
    overridden = score(rows, overrides=pa.Table.from_pylist([override("a", first_week, tier)]))
    row, without = overridden.health.to_pylist()[0], plain.health.to_pylist()[0]
    assert (row["tier"], row["effective_tier"]) == (by_rule, tier)
    assert row["override_tier"] == tier
    assert row["override_reason"] == "migrates this month, agreed with their lead"
    assert (row["override_approved_by"], row["override_expires_at"]) == ("lead@example.com", EXPIRES)
    changed = {name for name in row if row[name] != without[name]}
    assert changed <= {name for name in row if name.startswith("override_")} | {"effective_tier"}
    # No score is invented, and nothing else says anything different.
    for table in ("contributions", "changes", "movements", "watermelons"):
        assert getattr(overridden, table).equals(getattr(plain, table))


def test_an_override_hides_no_watermelon(score: Score, one_account: Rows, first_week: Week) -> None:
    weak_inside = one_account([{"csm_sentiment": 1.0}])
    for tier in ("at_risk", "watch", "healthy", "expansion_ready"):
        scored = score(weak_inside, overrides=pa.Table.from_pylist([override("a", first_week, tier)]))
        assert scored.watermelons["account_id"].to_pylist() == ["a"]


def test_an_override_holds_in_its_weeks_and_leaves_the_path_alone(
    score: Score, one_account: Rows, first_week: Week
) -> None:
    rows = one_account([{}] * 3)
    given = pa.Table.from_pylist([override("a", first_week.shift(1), "watch")])
    health = score(rows, overrides=given).health.to_pandas()
    assert health["effective_tier"].tolist() == ["healthy", "watch", "healthy"]
    assert health["tier"].tolist() == ["healthy"] * 3
    assert health["weeks_in_tier"].tolist() == [1, 2, 3]
    assert health["override_approved_by"].isna().tolist() == [True, False, True]


def test_two_overrides_of_one_account_are_refused(score: Score, one_account: Rows, first_week: Week) -> None:
    two = pa.Table.from_pylist([override("a", first_week, tier) for tier in ("watch", "healthy")])
    with pytest.raises(ValueError, match=f"account a has two overrides in {first_week}; the newest alone holds"):
        score(one_account([{}]), overrides=two)
