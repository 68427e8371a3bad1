"""What always holds of the score, on the policies that come along: random accounts, random ignorance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health_pipeline.policy.documents import BUILT_IN
from health_pipeline.policy.features import feature
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score
from health_pipeline.scoring.scorer import MEASURED, MISSING, NOT_ON_CARD, ZERO, HealthScorer, evaluate_curve

SCORERS = [HealthScorer(load_health_score(folder).model).fit() for folder in (None, BUILT_IN / "professional_services")]
STATUSES = st.sampled_from(["measured", "measured", "measured", "zero", "missing", "stale", "not_applicable"])
VALUES = st.one_of(st.none(), st.floats(-1e6, 1e6), st.floats(-1, 1), st.integers(0, 12))
SEGMENTS = st.sampled_from(["low usage, low revenue", "high usage, high revenue", "unsegmented", None])


@st.composite
def accounts(draw: st.DrawFn, least: int = 1, most: int = 4) -> tuple[HealthScorer, pd.DataFrame]:
    scorer = draw(st.sampled_from(SCORERS))
    row = {name: STATUSES if name.endswith("_status") else VALUES for name in scorer.feature_names_in_}
    row |= {"lifecycle_stage": st.sampled_from(["onboarding", "established", None]), "segment": SEGMENTS}
    rows = draw(st.lists(st.fixed_dictionaries(row), min_size=least, max_size=most))
    return scorer, pd.DataFrame(rows).astype(object)


@settings(max_examples=40)
@given(accounts())
def test_the_score_is_within_0_and_100_and_the_sum_of_its_contributions(given_: tuple[HealthScorer, Any]) -> None:
    scorer, frame = given_
    weighed = scorer.judge(frame).weighed
    known = ~np.isnan(weighed.score)
    assert ((weighed.score[known] >= 0) & (weighed.score[known] <= 100)).all()
    np.testing.assert_allclose(weighed.contributions.sum(axis=1)[known], weighed.score[known], atol=1e-9, rtol=0)
    assert (weighed.weights >= 0).all()
    np.testing.assert_allclose(weighed.weights.sum(axis=1)[known], 1, atol=1e-9, rtol=0)
    # The group values, weighted by the groups' shares, are the score once more.
    shares = np.zeros_like(weighed.group_values)
    for column, group in enumerate(scorer.group_of_):
        shares[:, group] += weighed.weights[:, column]
    again = (shares * np.nan_to_num(weighed.group_values)).sum(axis=1)
    np.testing.assert_allclose(again[known], weighed.score[known], atol=1e-9, rtol=0)


@settings(max_examples=40)
@given(accounts(least=2), st.randoms(use_true_random=False))
def test_rows_order_and_batch_size_play_no_part(given_: tuple[HealthScorer, Any], random: Any) -> None:
    scorer, frame = given_
    whole = scorer.transform(frame)
    order = random.sample(range(len(frame)), len(frame))
    np.testing.assert_array_equal(scorer.transform(frame.iloc[order]), whole[order])
    for n in range(len(frame)):
        np.testing.assert_array_equal(scorer.transform(frame.iloc[[n]])[0], whole[n])


@settings(max_examples=60)
@given(accounts(most=1), st.data())
def test_a_better_value_never_lowers_the_score(given_: tuple[HealthScorer, Any], data: st.DataObject) -> None:
    scorer, frame = given_
    name = data.draw(st.sampled_from(list(scorer.measures_)))
    measure = scorer.measures_[name]
    status = feature(measure.feature).status_column
    values = sorted(data.draw(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=2)))
    if measure.direction == "lower_is_better":
        values.reverse()
    worse, better = (frame.assign(**{measure.feature: [value], status: ["measured"]}) for value in values)
    before, after = scorer.judge(worse).weighed, scorer.judge(better).weighed
    assert after.coverage[0] == before.coverage[0]
    assert np.isnan(before.score[0]) == np.isnan(after.score[0])
    assert np.isnan(before.score[0]) or after.score[0] >= before.score[0] - 1e-9


@settings(max_examples=60)
@given(accounts(most=1), st.data())
def test_a_missing_measure_is_as_if_the_policy_did_not_have_it(
    given_: tuple[HealthScorer, Any], data: st.DataObject
) -> None:
    scorer, frame = given_
    name = data.draw(st.sampled_from(list(scorer.measures_)))
    judged = scorer.judge(frame)
    without = judged.curve_values.copy()
    statuses = judged.statuses.copy()
    column = list(scorer.measures_).index(name)
    without[:, column] = np.nan
    statuses[:, column] = np.where(statuses[:, column] == NOT_ON_CARD, NOT_ON_CARD, MISSING)
    missing = scorer.weigh(without, statuses, judged.scorecards)
    kept = [n for n in range(len(scorer.measures_)) if n != column]
    by_hand = renormalised(scorer, judged.scorecards[0], without[0], kept)
    if by_hand is None:
        assert np.isnan(missing.score[0])
    else:
        assert missing.score[0] == pytest.approx(by_hand, abs=1e-9)
    assert missing.contributions[0, column] == 0
    assert (
        missing.coverage[0] <= judged.weighed.coverage[0] + 1e-9
        or statuses[0, column] == NOT_ON_CARD
        or (judged.statuses[0, column] not in (MEASURED, ZERO))
    )


def renormalised(scorer: HealthScorer, card: int, values: np.ndarray, kept: list[int]) -> float | None:
    """The score in plain words: means inside the groups, then over the groups that have something."""
    means: dict[str, float] = {}
    policy, names = scorer.policy_, list(scorer.measures_)
    on_card = policy.scorecard_measures(scorer.scorecards_[card])
    for group in scorer.groups_:
        some = [
            n
            for n in kept
            if names[n] in on_card and scorer.measures_[names[n]].group == group and not np.isnan(values[n])
        ]
        if some:
            weights = [scorer.measures_[names[n]].weight for n in some]
            means[group] = sum(w * values[n] for w, n in zip(weights, some, strict=True)) / sum(weights)
    if not means:
        return None
    weights_of = policy.group_weights(scorer.scorecards_[card])
    return sum(weights_of[g] * mean for g, mean in means.items()) / sum(weights_of[g] for g in means)


@settings(max_examples=200)
@given(st.data())
def test_curves_stay_within_0_and_100_and_follow_their_direction(data: st.DataObject) -> None:
    scorer = data.draw(st.sampled_from(SCORERS))
    measure = data.draw(st.sampled_from(list(scorer.measures_.values())))
    raw = np.sort(np.array(data.draw(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=20))))
    values = evaluate_curve(measure, raw)
    assert ((values >= 0) & (values <= 100)).all()
    steps = np.diff(values)
    assert (steps >= 0).all() if measure.direction == "higher_is_better" else (steps <= 0).all()


DOMAINS = sorted({measure.domain for scorer in SCORERS for measure in scorer.measures_.values()})


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("status", ["stale", "missing"])
def test_a_stale_domain_is_left_out_and_lowers_coverage(score: Any, one_account: Any, domain: str, status: str) -> None:
    """Its measures say stale, keep what was seen last, have neither points nor weight, and the rest carries on."""
    fresh, other = score(one_account([{}])), score(one_account([{f"{domain}_status": status}]))
    rows = {row["measure"]: row for row in other.contributions.to_pylist()}
    before = {row["measure"]: row for row in fresh.contributions.to_pylist()}
    policy: HealthScorePolicy = load_health_score(None).model
    hit = {name for name in rows if policy.measures[name].domain == domain}
    assert hit
    for name, row in rows.items():
        if name in hit:
            assert (row["status"], row["curve_value"], row["weight"], row["contribution"]) == (status, None, 0, 0)
            assert row["raw_value"] == (before[name]["raw_value"] if status == "stale" else None)
        else:
            assert (row["status"], row["curve_value"]) == (before[name]["status"], before[name]["curve_value"])
            assert row["weight"] >= before[name]["weight"]
    coverage = other.health["coverage"][0].as_py()
    lost = sum(before[name]["nominal_weight"] for name in hit)
    assert coverage == pytest.approx(fresh.health["coverage"][0].as_py() - lost, abs=1e-9)
    assert sum(row["contribution"] for row in rows.values()) == pytest.approx(
        other.health["score"][0].as_py(), abs=1e-9
    )
