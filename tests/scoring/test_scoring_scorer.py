"""The scorer: one account by hand, exact contributions, the four ways of not knowing, the estimator's manners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from health_pipeline.policy.health_score import HealthScorePolicy
from health_pipeline.scoring.scorer import HealthScorer, as_floats, evaluate_curve

SMALL = HealthScorePolicy.model_validate(
    {
        "groups": {"outcomes": 6, "usage": 3, "support": 1},
        "scorecards": {"one": {}},
        "measures": {
            "goals": {"feature": "goals_on_track_share", "group": "outcomes", "domain": "outcomes",
                      "direction": "higher_is_better", "weight": 2, "curve": [[0, 0], [1, 100]]},
            "overdue": {"feature": "overdue_goals", "group": "outcomes", "domain": "outcomes",
                        "direction": "lower_is_better", "weight": 1, "curve": [[0, 100], [4, 0]]},
            "licences": {"feature": "license_utilisation", "group": "usage", "domain": "usage",
                         "direction": "higher_is_better", "weight": 1, "curve": [[0, 0], [0.5, 80], [1, 100]]},
            "backlog": {"feature": "open_backlog", "group": "support", "domain": "support",
                        "direction": "lower_is_better", "weight": 1,
                        "bands": [{"to": 0, "value": 100}, {"from": 1, "to": 5, "value": 60}, {"from": 6, "value": 0}]},
            "oldest": {"feature": "oldest_open_ticket_days", "group": "support", "domain": "support",
                       "direction": "lower_is_better", "weight": 1, "curve": [[0, 100], [10, 0]],
                       "optional_when_null": {"means": "no ticket is open", "curve_value": 100}},
        },
        "coverage_floor": 0.5,
        "tiers": [{"tier": "at_risk", "from": 0, "below": 50}, {"tier": "watch", "from": 50, "below": 70},
                  {"tier": "healthy", "from": 70, "through": 100}],
        "margin": 5,
        "hysteresis_weeks": 2,
        "outcome_cap": {"group": "outcomes", "below": 40},
        "expansion_ready": {"healthy_weeks": 9,
                            "all_of": [{"feature": "open_risks", "operator": "==", "value": 0}]},
        "watermelon": {"coverage_below": 0.7, "stale_weight_share": 0.2, "any_of": {}},
    }
)  # fmt: skip
HAND = {
    "lifecycle_stage": "established",
    "goals_on_track_share": 0.9,
    "overdue_goals": 1,
    "license_utilisation": 0.25,
    "open_backlog": 3,
    "oldest_open_ticket_days": 4,
    "outcomes_status": "measured",
    "usage_status": "measured",
    "support_status": "measured",
}


def scored(**change: Any) -> pd.Series:
    return HealthScorer(SMALL).set_output(transform="pandas").fit_transform(pd.DataFrame([HAND | change])).iloc[0]


def test_one_account_by_hand() -> None:
    row = scored()
    # outcomes: (2 * 90 + 1 * 75) / 3 = 85; usage: 40; support: (60 + 60) / 2 = 60; weights 0.6, 0.3, 0.1
    assert row["group__outcomes"] == pytest.approx(85)
    assert row["group__usage"] == pytest.approx(40)
    assert row["group__support"] == pytest.approx(60)
    assert row["score"] == pytest.approx(0.6 * 85 + 0.3 * 40 + 0.1 * 60) == pytest.approx(69)
    assert row["contribution__goals"] == pytest.approx(0.4 * 90)
    assert row["contribution__overdue"] == pytest.approx(0.2 * 75)
    assert row["contribution__backlog"] == pytest.approx(0.05 * 60)
    assert row["coverage"] == pytest.approx(1.0)


def test_a_missing_measure_gives_its_weight_to_its_group_first() -> None:
    row = scored(overdue_goals=None)
    assert row["group__outcomes"] == pytest.approx(90)
    assert row["score"] == pytest.approx(0.6 * 90 + 0.3 * 40 + 0.1 * 60)
    assert row["coverage"] == pytest.approx(1 - 0.2)


@pytest.mark.parametrize("status", ["missing", "stale"])
def test_an_unknown_group_gives_its_weight_to_the_others_and_lowers_coverage(status: str) -> None:
    row = scored(usage_status=status)
    assert row["score"] == pytest.approx((0.6 * 85 + 0.1 * 60) / 0.7)
    assert row["coverage"] == pytest.approx(0.7)
    assert np.isnan(row["group__usage"])


def test_what_does_not_apply_leaves_the_denominator() -> None:
    row = scored(usage_status="not_applicable")
    assert row["score"] == pytest.approx((0.6 * 85 + 0.1 * 60) / 0.7)
    assert row["coverage"] == pytest.approx(1.0)
    declared = HealthScorer(SMALL, ("usage",)).set_output(transform="pandas").fit_transform(pd.DataFrame([HAND]))
    assert declared.loc[0, "score"] == pytest.approx(row["score"])
    assert declared.loc[0, "coverage"] == pytest.approx(1.0)


def test_a_connected_silent_source_counts_as_zero_and_is_measured() -> None:
    row = scored(usage_status="zero", license_utilisation=0.0)
    assert row["group__usage"] == 0
    assert row["coverage"] == pytest.approx(1.0)


def test_a_zero_denominator_is_missing_and_not_zero() -> None:
    row = scored(usage_status="zero", license_utilisation=None)
    assert np.isnan(row["group__usage"])
    assert row["coverage"] == pytest.approx(0.7)


def test_a_null_that_the_policy_explains_counts_as_it_says() -> None:
    row = scored(open_backlog=0, oldest_open_ticket_days=None)
    assert row["group__support"] == pytest.approx(100)
    assert row["coverage"] == pytest.approx(1.0)
    # The explanation is about a measured domain: when support is not known, a null explains nothing.
    unknown = scored(support_status="missing", oldest_open_ticket_days=None)
    assert np.isnan(unknown["group__support"])


def test_below_the_floor_there_is_no_score_and_no_contribution() -> None:
    row = scored(outcomes_status="missing")
    assert row["coverage"] == pytest.approx(0.4)
    assert np.isnan(row["score"])
    assert np.isnan(row[[name for name in row.index if name.startswith("contribution__")]].astype(float)).all()


def test_nothing_known_and_nothing_applicable_give_no_score() -> None:
    for status in ("missing", "not_applicable"):
        row = scored(outcomes_status=status, usage_status=status, support_status=status)
        assert np.isnan(row["score"])
        assert row["coverage"] == 0


def test_curves_are_flat_outside_and_bands_hold_both_ends() -> None:
    licences = SMALL.measures["licences"]
    values = evaluate_curve(licences, np.array([-1.0, 0.0, 0.25, 0.5, 0.75, 2.0, np.nan]))
    np.testing.assert_allclose(values, [0, 0, 40, 80, 90, 100, np.nan])
    backlog = evaluate_curve(SMALL.measures["backlog"], np.array([-3.0, 0, 1, 5, 6, 90, np.nan]))
    np.testing.assert_allclose(backlog, [100, 100, 60, 60, 0, 0, np.nan])


def test_booleans_and_nulls_read_as_numbers() -> None:
    np.testing.assert_array_equal(as_floats(pd.Series([True, None, False], dtype=object)), [1, np.nan, 0])
    np.testing.assert_array_equal(as_floats(pd.Series([True, None], dtype="boolean")), [1, np.nan])
    np.testing.assert_array_equal(as_floats(pd.Series([3, None], dtype="Int64")), [3, np.nan])


FITTED = HealthScorer().fit()
VALUES = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 0.5]))
STATUS = st.sampled_from(["measured", "zero", "missing", "stale", "not_applicable"])
ROW = st.fixed_dictionaries(
    {name: STATUS if name.endswith("_status") else VALUES for name in FITTED.feature_names_in_}
    | {"lifecycle_stage": st.sampled_from(["onboarding", "established", None])}
)


@settings(max_examples=40)
@given(rows=st.lists(ROW, min_size=1, max_size=3))
def test_contributions_sum_to_the_score_and_weights_to_one(rows: list[dict[str, Any]]) -> None:
    scorer = FITTED
    frame = pd.DataFrame(rows).astype(object)
    judged = scorer.judge(frame)
    weighed = judged.weighed
    known = ~np.isnan(weighed.score)
    np.testing.assert_allclose(weighed.contributions.sum(axis=1)[known], weighed.score[known], atol=1e-9, rtol=0)
    np.testing.assert_allclose(weighed.weights.sum(axis=1)[known], 1, atol=1e-9)
    assert ((weighed.score[known] >= -1e-9) & (weighed.score[known] <= 100 + 1e-9)).all()
    assert ((weighed.coverage >= 0) & (weighed.coverage <= 1)).all()
    # A single account scores as it does in a batch, to the last bit.
    alone = scorer.judge(frame.iloc[[0]]).weighed
    np.testing.assert_array_equal(alone.contributions[0], weighed.contributions[0])
    np.testing.assert_array_equal(alone.score[0], weighed.score[0])


def test_clones_pipelines_and_named_output(features: Callable[..., pa.Table], first_week: Any) -> None:
    frame = features(
        [{"account_id": f"a{n}", "week": first_week.monday, "open_backlog": n} for n in range(3)]
    ).to_pandas()
    scorer = HealthScorer(not_applicable_domains=("risk",))
    copy = clone(scorer)
    assert copy is not scorer
    assert copy.get_params()["not_applicable_domains"] == ("risk",)
    assert clone(HealthScorer(SMALL)).get_params()["policy"] == SMALL
    pipeline = make_pipeline(FunctionTransformer(feature_names_out="one-to-one"), copy).set_output(transform="pandas")
    result = pipeline.fit_transform(frame)
    assert list(result.columns) == list(pipeline.get_feature_names_out())
    assert result.index.equals(frame.index)
    assert (result["score"].diff().dropna() < 0).all()
    np.testing.assert_array_equal(HealthScorer(not_applicable_domains=("risk",)).fit_transform(frame), result)


def test_fit_does_not_change_parameters_and_reads_no_data(features: Callable[..., pa.Table], first_week: Any) -> None:
    frame = features([{"account_id": "a", "week": first_week.monday}]).to_pandas()
    scorer = HealthScorer()
    before = scorer.get_params()
    other = frame.assign(open_backlog=19)
    np.testing.assert_array_equal(scorer.fit(other).transform(frame), HealthScorer().fit(frame).transform(frame))
    assert scorer.get_params() == before
    assert scorer.transform(frame.iloc[:0]).shape == (0, len(scorer.get_feature_names_out()))


def test_wrong_frames_are_refused_in_a_sentence() -> None:
    frame = pd.DataFrame([HAND])
    with pytest.raises(ValueError, match="the features lack open_backlog; give the columns of account_features_weekly"):
        HealthScorer(SMALL).fit_transform(frame.drop(columns="open_backlog"))
    with pytest.raises(ValueError, match=r"usage_status holds \['unknown'\]; a status is one of measured, zero"):
        HealthScorer(SMALL).fit_transform(frame.assign(usage_status="unknown"))
    with pytest.raises(ValueError, match=r"lifecycle_stage holds \['old'\]"):
        HealthScorer(SMALL).fit_transform(frame.assign(lifecycle_stage="old"))
    with pytest.raises(TypeError, match="give a pandas DataFrame, not ndarray"):
        HealthScorer(SMALL).fit_transform(np.zeros((2, 2)))


def test_weights_are_shown_as_written_and_normalised() -> None:
    shown = HealthScorer(SMALL).weights_shown().set_index("measure")
    assert shown.loc["goals", ["group_weight", "measure_weight", "normalised_weight"]].tolist() == pytest.approx(
        [6, 2, 0.4]
    )
    totals = HealthScorer().weights_shown().groupby("scorecard")["normalised_weight"].sum()
    assert set(totals.index) == {"onboarding", "established_low_revenue", "established"}
    assert totals.tolist() == pytest.approx([1, 1, 1])


def test_a_scorecard_for_a_segment_judges_only_that_segment() -> None:
    plain = SMALL.model_dump(by_alias=True)
    plain["scorecards"] = {
        "large": {
            "when": {"lifecycle_stages": ["established"], "segments": ["*high revenue"]},
            "group_weights": {"usage": 0},
        },
        "one": {},
    }
    policy = HealthScorePolicy.model_validate(plain)
    frame = pd.DataFrame([HAND | {"segment": "low usage, high revenue"}, HAND | {"segment": "unsegmented"}])
    result = HealthScorer(policy).set_output(transform="pandas").fit_transform(frame)
    assert result["score"].tolist() == pytest.approx([(0.6 * 85 + 0.1 * 60) / 0.7, 69])
