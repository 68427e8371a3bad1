"""Green outside, weak inside: each reason at its boundary and just beyond it; what is unknown is no reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from health_pipeline.policy.documents import BUILT_IN
from health_pipeline.policy.health_score import HealthScorePolicy, Watermelon, load_health_score
from health_pipeline.scoring.scorer import HealthScorer
from health_pipeline.scoring.tier_path import AT_RISK, EXPANSION_READY, HEALTHY, NOT_SCORED, WATCH
from health_pipeline.scoring.watermelons import WATERMELON_REASONS, watermelon_reasons
from health_pipeline.scoring.weekly import ScoredWeeks

Score = Callable[..., ScoredWeeks]
Rows = Callable[..., pa.Table]

BIG = {"seats_licensed": 200}
# change of a good account, whether it is then a watermelon, and by which reason
BOUNDARIES: list[tuple[dict[str, Any], str, bool]] = [
    ({"usage_change_share_4w": -0.7}, "falling_trend", True),
    ({"usage_change_share_4w": -0.699}, "falling_trend", False),
    ({"usage_change_share_4w": None}, "falling_trend", False),
    ({"usage_change_share_4w": -0.9, "usage_status": "stale"}, "falling_trend", False),
    ({"mrr_change_share_90d": -0.1}, "falling_trend", True),
    ({"mrr_change_share_90d": -0.099}, "falling_trend", False),
    ({"engaged_contacts_91d": 1} | BIG, "single_threaded", True),
    ({"engaged_contacts_91d": 0} | BIG, "single_threaded", True),
    ({"engaged_contacts_91d": 2} | BIG, "single_threaded", False),
    ({"engaged_contacts_91d": 1, "seats_licensed": 199}, "single_threaded", False),
    ({"engaged_contacts_91d": 1, "seats_licensed": None}, "single_threaded", False),
    ({"engaged_contacts_91d": 1, "seats_licensed": 5, "champion_left_180d": True}, "single_threaded", True),
    ({"engaged_contacts_91d": 2, "seats_licensed": 5, "champion_left_180d": True}, "single_threaded", False),
    ({"engaged_contacts_91d": None} | BIG, "single_threaded", False),
    ({"engaged_contacts_91d": 1, "engagement_status": "missing"} | BIG, "single_threaded", False),
    ({"overdue_goals": 2}, "missed_goal", True),
    ({"overdue_goals": 1}, "missed_goal", False),
    ({"goals_on_track_share": 0.49}, "missed_goal", True),
    ({"goals_on_track_share": 0.5}, "missed_goal", False),
    ({"overdue_goals": 3, "outcomes_status": "stale"}, "missed_goal", False),
    ({"csm_sentiment": 2.0}, "csm_disagrees", True),
    ({"csm_sentiment": 2.1}, "csm_disagrees", False),
    ({"csm_sentiment": 1.0, "sentiment_status": "stale"}, "csm_disagrees", False),
]


def reasons_of(change: dict[str, Any], features: Rows, policy: HealthScorePolicy, tier: int = HEALTHY) -> set[str]:
    week = pd.Timestamp("2026-08-10").date()
    frame = features([{"account_id": "a", "week": week, **change}]).to_pandas()
    judge = HealthScorer(policy).fit()
    holds = watermelon_reasons(judge, frame, judge.judge(frame), pd.array([tier]).to_numpy())
    return {reason for reason, is_held in zip(WATERMELON_REASONS, holds[0], strict=True) if is_held}


@pytest.mark.parametrize(("change", "reason", "holds"), BOUNDARIES)
def test_each_reason_at_its_boundary(
    features: Rows, policy: Any, change: dict[str, Any], reason: str, holds: bool
) -> None:
    assert (reason in reasons_of(change, features, policy.model)) is holds


def test_both_policies_of_ours_know_every_reason() -> None:
    for folder in (None, BUILT_IN / "professional_services"):
        any_of = load_health_score(folder).model.watermelon.any_of
        assert {"low_coverage", "stale_inputs", *any_of} == set(WATERMELON_REASONS)


def small(change: dict[str, Any], **watermelon: Any) -> HealthScorePolicy:
    """Four groups of a quarter each that read a share as points; outcomes a little more."""
    features = {"outcomes": "goals_on_track_share", "usage": "license_utilisation", "support": "csat_91d",
                "commercial": "mrr_change_share_90d"}  # fmt: skip
    plain = {
        "groups": {"outcomes": 25.5, "usage": 24.5, "support": 25, "commercial": 25},
        "scorecards": {"one": {}},
        "measures": {
            group: {"feature": name, "group": group, "domain": group, "direction": "higher_is_better", "weight": 1,
                    "curve": [[0, 0], [1, 100]]} for group, name in features.items()
        },
        "coverage_floor": 0.4,
        "tiers": [{"tier": "at_risk", "from": 0, "below": 50}, {"tier": "watch", "from": 50, "below": 72},
                  {"tier": "healthy", "from": 72, "through": 100}],
        "margin": 5,
        "hysteresis_weeks": 2,
        "outcome_cap": {"group": "outcomes", "below": 0},
        "expansion_ready": {"healthy_weeks": 9, "all_of": [{"feature": "open_risks", "operator": "==", "value": 0}]},
        "watermelon": {"coverage_below": 0.75, "stale_weight_share": 0.25, "any_of": {}} | watermelon,
    }  # fmt: skip
    return HealthScorePolicy.model_validate(plain | change)


def dial(points: float, **change: Any) -> dict[str, Any]:
    names = ("goals_on_track_share", "license_utilisation", "csat_91d", "mrr_change_share_90d")
    return dict.fromkeys(names, points / 100) | change


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, set()),
        # coverage of exactly 0.75, and a quarter of the weight stale: the first is not below, the second is enough
        ({"support_status": "missing"}, set()),
        ({"support_status": "stale"}, {"stale_inputs"}),
        ({"usage_status": "stale"}, set()),
        ({"outcomes_status": "missing"}, {"low_coverage"}),
        ({"outcomes_status": "stale"}, {"low_coverage", "stale_inputs"}),
        ({"outcomes_status": "not_applicable"}, set()),
    ],
)
def test_low_coverage_and_stale_inputs_at_their_boundaries(
    features: Rows, change: dict[str, Any], holds: set[str]
) -> None:
    assert reasons_of(dial(90, **change), features, small({})) == holds


@pytest.mark.parametrize(
    ("points", "worth", "holds"),
    [
        # A quarter is stale: 0.75 x 80 + 0.25 x 48 = 72 is healthy still; a hair less is not.
        (80, 48, False),
        (79.99, 48, True),
        (80, 47.9, True),
        (96, 0, False),
        (95.9, 0, True),
        (72, None, True),
    ],
)
def test_a_gap_is_a_reason_where_it_could_decide(
    features: Rows, points: float, worth: float | None, holds: bool
) -> None:
    policy = small({}, unknown_worth=worth)
    assert ("stale_inputs" in reasons_of(dial(points, support_status="stale"), features, policy)) is holds


@pytest.mark.parametrize(
    ("tier", "is_green"),
    [(AT_RISK, False), (WATCH, False), (NOT_SCORED, False), (HEALTHY, True), (EXPANSION_READY, True)],
)
def test_only_green_accounts_are_watermelons(features: Rows, policy: Any, tier: int, is_green: bool) -> None:
    assert bool(reasons_of({"csm_sentiment": 1.0}, features, policy.model, tier)) is is_green


def test_the_queue_says_why_how_often_and_whose(score: Score, one_account: Rows) -> None:
    scored = score(one_account([{"csm_sentiment": 2.0, "engaged_contacts_91d": 1, "seats_licensed": 240}]))
    assert scored.health["tier"].to_pylist() == ["healthy"]
    row = scored.watermelons.to_pylist()[0]
    assert (row["reasons"], row["reasons_count"]) == ("single_threaded,csm_disagrees", 2)
    assert row["owner_email"] == "owner@example.com"
    assert row["score"] == scored.health["score"][0].as_py()


def test_a_good_account_and_a_red_one_are_in_no_queue(score: Score, one_account: Rows) -> None:
    assert score(one_account([{}])).watermelons.num_rows == 0
    notice = {"is_cancellation_scheduled": True, "overdue_goals": 3}
    assert score(one_account([notice])).watermelons.num_rows == 0


def test_a_condition_alone_is_a_list_of_one() -> None:
    condition = {"feature": "csm_sentiment", "operator": "<=", "value": 2}
    other = {"feature": "seats_licensed", "operator": ">=", "value": 25}
    given = {
        "coverage_below": 0.7,
        "stale_weight_share": 0.1,
        "any_of": {"csm_disagrees": [condition, [condition, other]]},
    }
    read = Watermelon.model_validate(given)
    assert [len(item) for item in read.any_of["csm_disagrees"]] == [1, 2]
    assert [str(one) for one in read.conditions] == ["csm_sentiment <= 2", "csm_sentiment <= 2", "seats_licensed >= 25"]
    assert Watermelon.model_validate(read.model_dump()) == read
