"""The tier path on accounts whose score is dialled: precedence, hysteresis, margin, single measures, expansion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import Document
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score
from health_pipeline.scoring.tier_path import REASONS
from health_pipeline.scoring.weekly import PreviousWeek, score_weeks

# Measures that read a share as points, so that one number dials the score. The heaviest weighs a fifth.
DIALS = {
    "goals": ("goals_on_track_share", "outcomes"),
    "milestones": ("milestones_overdue_share", "outcomes"),
    "licences": ("license_utilisation", "usage"),
    "stickiness": ("stickiness", "usage"),
    "urgency": ("urgent_high_share_91d", "support"),
    "satisfaction": ("csat_91d", "support"),
}
PLAIN: dict[str, Any] = {
    "groups": {"outcomes": 4, "usage": 3, "support": 3},
    "scorecards": {"one": {}},
    "measures": {
        name: {"feature": feature, "group": group, "domain": group, "direction": "higher_is_better", "weight": 1,
               "curve": [[0, 0], [1, 100]]}
        for name, (feature, group) in DIALS.items()
    },
    "coverage_floor": 0.5,
    "tiers": [{"tier": "at_risk", "from": 0, "below": 50}, {"tier": "watch", "from": 50, "below": 70},
              {"tier": "healthy", "from": 70, "through": 100}],
    "margin": 6,
    "hysteresis_weeks": 2,
    "decisive": [{"feature": "is_cancellation_scheduled", "operator": "==", "value": 1}],
    "outcome_cap": {"group": "outcomes", "below": 40},
    "expansion_ready": {
        "healthy_weeks": 9,
        "all_of": [{"feature": "license_utilisation", "operator": ">=", "value": 0.9},
                   {"feature": "usage_change_share_4w", "operator": ">", "value": 0},
                   {"group": "support", "operator": ">=", "value": 60},
                   {"feature": "open_risks", "operator": "==", "value": 0}],
    },
    "watermelon": {"coverage_below": 0.7, "stale_weight_share": 0.2, "any_of": {}},
}  # fmt: skip
POLICY = Document("health_score", load_health_score(None).path, HealthScorePolicy.model_validate(PLAIN), "dialled")
UNKNOWN = {"outcomes_status": "missing", "usage_status": "missing"}
NOTICE = {"is_cancellation_scheduled": True}


def dial(score: float, **change: Any) -> dict[str, Any]:
    return dict.fromkeys((feature for feature, _ in DIALS.values()), score / 100) | change


@pytest.fixture
def path(one_account: Callable[..., pa.Table], first_week: Week) -> Callable[..., pd.DataFrame]:
    def run(values: Sequence[float | dict[str, Any]], policy: Document[HealthScorePolicy] = POLICY) -> pd.DataFrame:
        table = one_account([value if isinstance(value, dict) else dial(value) for value in values])
        weeks = [first_week.shift(n) for n in range(len(values))]
        before = PreviousWeek(empty_table("account_health_weekly"), empty_table("score_contributions_weekly"))
        nobody = pd.DataFrame(columns=["account_id", "week", "segment", "segment_model_id"])
        return score_weeks(table, nobody, policy, load_company(None), weeks, before).health.to_pandas()

    return run


def tiers(health: pd.DataFrame) -> list[str]:
    return health["tier"].tolist()


def test_the_first_week_takes_the_score_s_tier(path: Callable[..., pd.DataFrame]) -> None:
    health = path([72])
    assert health.loc[0, ["tier", "score_tier", "tier_reason"]].tolist() == ["healthy", "healthy", "first_week"]
    assert health.loc[0, "score"] == pytest.approx(72)
    assert pd.isna(health.loc[0, "previous_tier"])
    assert health.loc[0, ["weeks_in_tier", "healthy_weeks"]].tolist() == [1, 1]


def test_a_small_crossing_needs_two_weeks_in_a_row(path: Callable[..., pd.DataFrame]) -> None:
    health = path([72, 66, 72, 66, 66, 66])
    assert tiers(health) == ["healthy", "healthy", "healthy", "healthy", "watch", "watch"]
    assert health["tier_reason"].tolist() == ["first_week", "hysteresis", "score", "hysteresis", "score", "score"]
    assert health["pending_tier"].fillna("").tolist() == ["", "watch", "", "watch", "", ""]
    assert health["score_tier"].tolist() == ["healthy", "watch", "healthy", "watch", "watch", "watch"]
    assert health["weeks_in_tier"].tolist() == [1, 2, 3, 4, 1, 2]
    assert health["healthy_weeks"].tolist() == [1, 2, 3, 4, 0, 0]
    assert health["previous_tier"].fillna("").tolist() == ["", "healthy", "healthy", "healthy", "healthy", "watch"]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([72, 64.5], ["healthy", "healthy"]),
        ([72, 63.5], ["healthy", "watch"]),
        ([60, 75.5], ["watch", "watch"]),
        ([60, 76.5], ["watch", "healthy"]),
        ([72, 43.5], ["healthy", "at_risk"]),
        # Beyond the margin of the first boundary only: the second one waits.
        ([72, 46.0, 46.0], ["healthy", "watch", "at_risk"]),
        # Out for two weeks: the nearer of the two tiers holds, the farther one waits.
        ([72, 66.0, 48.0, 48.0], ["healthy", "healthy", "watch", "at_risk"]),
        ([48, 52, 72], ["at_risk", "at_risk", "watch"]),
    ],
)
def test_a_crossing_wider_than_the_margin_holds_at_once(
    path: Callable[..., pd.DataFrame], scores: list[float], expected: list[str]
) -> None:
    assert tiers(path(scores)) == expected


def test_a_notice_is_decisive_at_any_score_and_any_coverage(path: Callable[..., pd.DataFrame]) -> None:
    health = path([90, dial(90, **NOTICE), dial(90, **NOTICE, **UNKNOWN), 90])
    assert tiers(health) == ["healthy", "at_risk", "at_risk", "healthy"]
    assert health["tier_reason"].tolist() == ["first_week", "decisive", "decisive", "score"]
    assert health["score"].isna().tolist() == [False, False, True, False]
    assert health["score_tier"].fillna("").tolist() == ["healthy", "healthy", "", "healthy"]


def test_a_notice_counts_while_billing_is_stale(path: Callable[..., pd.DataFrame]) -> None:
    assert tiers(path([90, dial(90, **NOTICE, commercial_status="stale")])) == ["healthy", "at_risk"]


def test_below_the_floor_nothing_is_guessed(path: Callable[..., pd.DataFrame]) -> None:
    health = path([90, dial(90, **UNKNOWN), 66])
    assert tiers(health) == ["healthy", "not_scored", "watch"]
    assert health["tier_reason"].tolist() == ["first_week", "coverage_floor", "score"]
    assert health["coverage"].tolist() == pytest.approx([1, 0.3, 1])
    assert health["healthy_weeks"].tolist() == [1, 0, 0]


def test_weak_outcomes_cap_at_once_and_the_cap_lifts_after_two_weeks(path: Callable[..., pd.DataFrame]) -> None:
    weak = dial(95, goals_on_track_share=0.39, milestones_overdue_share=0.39)
    strong = weak | {"goals_on_track_share": 0.5}
    health = path([95, weak, weak, strong, strong])
    assert tiers(health) == ["healthy", "watch", "watch", "watch", "healthy"]
    assert health.loc[1, ["score_tier", "tier_reason"]].tolist() == ["healthy", "outcome_cap"]


def test_outcomes_that_are_not_known_do_not_cap(path: Callable[..., pd.DataFrame]) -> None:
    health = path([dial(95, outcomes_status="missing")])
    assert tiers(health) == ["healthy"]
    assert health.loc[0, "coverage"] == pytest.approx(0.6)


def test_one_measure_alone_crosses_no_tier(path: Callable[..., pd.DataFrame]) -> None:
    one = dial(72, csat_91d=0.1)
    health = path([72, *[one] * 5])
    assert tiers(health) == ["healthy"] * 6
    assert health["score"].tolist() == pytest.approx([72, *[62.7] * 5])
    assert set(health["tier_reason"][1:]) == {"single_measure"}
    assert health["pending_tier"].isna().all()
    assert set(health["score_tier"][1:]) == {"watch"}


def test_noise_beside_the_one_measure_does_not_let_it_cross(path: Callable[..., pd.DataFrame]) -> None:
    one = dial(71.8, csat_91d=0.1)
    assert tiers(path([72, one, one, one])) == ["healthy"] * 4


def test_a_second_measure_that_is_enough_lets_the_crossing_hold(path: Callable[..., pd.DataFrame]) -> None:
    one = dial(72, csat_91d=0.1)
    two = one | {"stickiness": 0.5}
    assert tiers(path([72, one, one, two])) == ["healthy", "healthy", "healthy", "watch"]


def test_two_measures_that_cross_together_do_cross(path: Callable[..., pd.DataFrame]) -> None:
    # Each takes 1.5 points from 72: neither reaches 70 alone, both together do.
    both = dial(72, csat_91d=0.62, stickiness=0.62)
    health = path([72, both, both])
    assert health["score"].tolist() == pytest.approx([72, 69, 69])
    assert tiers(health) == ["healthy", "healthy", "watch"]


def test_a_measure_that_vanishes_alone_crosses_no_tier(path: Callable[..., pd.DataFrame]) -> None:
    carried = dial(66, csat_91d=1.0)
    gone = carried | {"csat_91d": None}
    health = path([carried, gone, gone])
    assert health["score"].tolist() == pytest.approx([71.1, 66, 66])
    assert tiers(health) == ["healthy"] * 3


@settings(max_examples=25)
@given(start=st.integers(0, 100), measure=st.sampled_from(sorted(DIALS)), values=st.lists(st.floats(0, 1), max_size=4))
def test_no_single_measure_ever_moves_a_scored_account(start: int, measure: str, values: list[float]) -> None:
    feature = DIALS[measure][0]
    scorer_rows = [dial(start)] + [dial(start) | {feature: value} for value in values]
    health = _path(scorer_rows, _without_cap())
    assert set(health["tier"]) == {health.loc[0, "tier"]}


def _without_cap() -> Document[HealthScorePolicy]:
    plain = PLAIN | {"outcome_cap": {"group": "outcomes", "below": 0}}
    return Document("health_score", POLICY.path, HealthScorePolicy.model_validate(plain), "dialled without a cap")


@pytest.fixture(autouse=True, scope="module")
def _table_builder(one_account: Callable[..., pa.Table]) -> None:
    global _build  # noqa: PLW0603 - hypothesis gives no function-scoped fixture to a property
    _build = one_account


_build: Callable[..., pa.Table]


def _path(rows: list[dict[str, Any]], policy: Document[HealthScorePolicy]) -> pd.DataFrame:
    table = _build(rows)
    weeks = [Week(monday) for monday in sorted(table["week"].to_pylist())]
    before = PreviousWeek(empty_table("account_health_weekly"), empty_table("score_contributions_weekly"))
    nobody = pd.DataFrame(columns=["account_id", "week", "segment", "segment_model_id"])
    return score_weeks(table, nobody, policy, load_company(None), weeks, before).health.to_pandas()


READY = dial(95, usage_change_share_4w=0.05)


def test_expansion_ready_from_the_ninth_healthy_reading(path: Callable[..., pd.DataFrame]) -> None:
    health = path([READY] * 11)
    assert tiers(health) == ["healthy"] * 8 + ["expansion_ready"] * 3
    assert health["tier_reason"].tolist()[8:] == ["expansion"] * 3
    assert health["pending_tier"].fillna("").tolist() == [""] * 7 + ["expansion_ready"] + [""] * 3
    assert health["healthy_weeks"].tolist() == list(range(1, 12))
    assert set(health["score_tier"]) == {"healthy"}


@pytest.mark.parametrize(
    "lost",
    [
        {"usage_change_share_4w": 0.0},
        {"usage_change_share_4w": None},
        {"license_utilisation": 0.89},
        {"csat_91d": 0.2},
        {"open_risks": 1},
        {"risk_status": "missing"},
        {"support_status": "stale"},
    ],
)
def test_expansion_ready_is_lost_at_once_and_found_in_two_weeks(
    path: Callable[..., pd.DataFrame], lost: dict[str, Any]
) -> None:
    health = path([*[READY] * 10, READY | lost, READY, READY])
    assert tiers(health)[8:] == ["expansion_ready", "expansion_ready", "healthy", "healthy", "expansion_ready"]


def test_a_reading_below_healthy_starts_the_nine_weeks_again(path: Callable[..., pd.DataFrame]) -> None:
    health = path([*[READY] * 5, 50, *[READY] * 9])
    assert health["healthy_weeks"].tolist() == [1, 2, 3, 4, 5, 0, *range(1, 10)]
    assert tiers(health)[-2:] == ["healthy", "expansion_ready"]


def test_without_hysteresis_every_crossing_holds_at_once(path: Callable[..., pd.DataFrame]) -> None:
    model = HealthScorePolicy.model_validate(PLAIN | {"hysteresis_weeks": 1})
    policy = Document("health_score", POLICY.path, model, "at once")
    assert tiers(path([72, 69, 71], policy)) == ["healthy", "watch", "healthy"]


def test_a_gap_starts_the_path_anew(one_account: Callable[..., pa.Table], first_week: Week) -> None:
    rows = one_account([dial(72), dial(72), dial(66)])
    gap = rows.filter(pa.array([True, False, True]))
    weeks = [first_week.shift(n) for n in range(3)]
    before = PreviousWeek(empty_table("account_health_weekly"), empty_table("score_contributions_weekly"))
    nobody = pd.DataFrame(columns=["account_id", "week", "segment", "segment_model_id"])
    scored = score_weeks(gap, nobody, POLICY, load_company(None), weeks, before)
    assert scored.health.to_pandas()["tier_reason"].tolist() == ["first_week", "first_week"]
    assert scored.movements.to_pandas()["movement"].tolist() == ["left", "appeared"]


WEAK = {"goals_on_track_share": 0.39, "milestones_overdue_share": 0.39}
# What holds in a healthy account's second week: by precedence the first of these that holds decides.
PRECEDENCE: list[tuple[str, dict[str, Any], str, str]] = [
    ("a notice beats the coverage floor", dial(90, **NOTICE, **UNKNOWN), "at_risk", "decisive"),
    ("a notice beats the outcome cap", dial(95, **WEAK, **NOTICE), "at_risk", "decisive"),
    ("a notice beats hysteresis", dial(66, **NOTICE), "at_risk", "decisive"),
    ("the floor beats the outcome cap", dial(95, **WEAK, usage_status="missing", support_status="missing"),
     "not_scored", "coverage_floor"),
    ("the floor beats hysteresis", dial(66, **UNKNOWN), "not_scored", "coverage_floor"),
    ("the cap beats hysteresis", dial(95, **WEAK), "watch", "outcome_cap"),
    ("the cap beats the single measure", dial(95, goals_on_track_share=0.0, milestones_overdue_share=0.79), "watch",
     "outcome_cap"),
    ("the single measure beats the margin", dial(72, csat_91d=0.0, urgent_high_share_91d=0.72), "healthy",
     "single_measure"),
    ("beyond the margin beats hysteresis", dial(63.5), "watch", "score"),
    ("hysteresis holds the rest", dial(66), "healthy", "hysteresis"),
    ("nothing crosses", dial(71), "healthy", "score"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "second", "tier", "reason"), PRECEDENCE, ids=[row[0] for row in PRECEDENCE])
def test_what_decides_where_several_rules_hold(
    path: Callable[..., pd.DataFrame], what: str, second: dict[str, Any], tier: str, reason: str
) -> None:
    health = path([72, second])
    assert health.loc[1, ["tier", "tier_reason"]].tolist() == [tier, reason], what


def test_every_reason_is_reached_by_some_test() -> None:
    reached = {reason for _, _, _, reason in PRECEDENCE} | {"first_week", "expansion"}
    assert reached == set(REASONS)


@pytest.mark.parametrize(
    ("score", "tier"),
    [
        (64.0, "healthy"),  # exactly the margin of 6 below 70: waits
        (63.999, "watch"),
        (44.0, "watch"),  # exactly the margin below 50
        (43.999, "at_risk"),
    ],
)
def test_a_fall_of_exactly_the_margin_waits(path: Callable[..., pd.DataFrame], score: float, tier: str) -> None:
    assert tiers(path([72, score]))[1] == tier


def test_a_decisive_measure_crosses_alone_and_another_does_not(path: Callable[..., pd.DataFrame]) -> None:
    plain = {"feature": "csat_91d", "operator": "<=", "value": 0.1}
    model = HealthScorePolicy.model_validate(PLAIN | {"decisive": [plain]})
    decisive = Document("health_score", POLICY.path, model, "decisive satisfaction")
    rows = [72, dial(72, csat_91d=0.1)]
    assert tiers(path(rows)) == ["healthy", "healthy"]
    assert tiers(path(rows, decisive)) == ["healthy", "at_risk"]


# Each condition at its boundary: what is met exactly, what is just not met, what is not known.
EXPANSION: list[tuple[str, dict[str, Any], bool]] = [
    ("licences at 90 %", {"license_utilisation": 0.9}, True),
    ("licences below 90 %", {"license_utilisation": 0.8999}, False),
    ("licences unknown", {"license_utilisation": None}, False),
    ("usage rising by a hair", {"usage_change_share_4w": 0.0001}, True),
    ("usage level", {"usage_change_share_4w": 0.0}, False),
    ("usage trend unknown", {"usage_change_share_4w": None}, False),
    ("usage stale", {"usage_status": "stale"}, False),
    ("sentiment at its threshold", {"csat_91d": 0.2, "urgent_high_share_91d": 1.0}, True),
    ("sentiment just below", {"csat_91d": 0.1999, "urgent_high_share_91d": 1.0}, False),
    ("sentiment unknown", {"support_status": "missing"}, False),
    ("no risk is open", {"open_risks": 0}, True),
    ("no risk is open, the register silent", {"open_risks": 0, "risk_status": "zero"}, True),
    ("a risk is open", {"open_risks": 1}, False),
    ("the register is not connected", {"open_risks": None, "risk_status": "missing"}, False),
    ("the register grew stale", {"open_risks": 0, "risk_status": "stale"}, False),
    ("the company keeps no register", {"open_risks": None, "risk_status": "not_applicable"}, False),
]


@pytest.mark.parametrize(("what", "change", "is_ready"), EXPANSION, ids=[row[0] for row in EXPANSION])
def test_each_condition_of_expansion_ready_at_its_boundary(
    path: Callable[..., pd.DataFrame], what: str, change: dict[str, Any], is_ready: bool
) -> None:
    ready = dial(95, usage_change_share_4w=0.05) | change
    assert tiers(path([ready] * 9))[-1] == ("expansion_ready" if is_ready else "healthy"), what


@pytest.mark.parametrize(("readings", "tier"), [(8, "healthy"), (9, "expansion_ready")])
def test_nine_readings_are_needed(path: Callable[..., pd.DataFrame], readings: int, tier: str) -> None:
    assert tiers(path([60, 60, *[READY] * readings]))[-1] == tier
    assert tiers(path([READY] * readings))[-1] == tier
