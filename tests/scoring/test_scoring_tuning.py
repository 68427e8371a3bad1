"""Tuning: thresholds reach the policy, the choice keeps its guard rails and stays where a gain may be chance."""

from __future__ import annotations

import pandas as pd
import pytest
from simulated_company import simulate

from benchmarks.tuning import (
    GRID,
    MOST_AT_RISK,
    MOST_WATERMELONS,
    Thresholds,
    _condition,
    choose,
    choose_watermelons,
    evaluate,
    row,
    seeds_of,
)
from health_pipeline.policy.company import load_company
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.scoring.validation.inputs import file_inputs

POLICY = load_health_score(None)
IN_FORCE, OTHER = Thresholds(60, 72, 6), Thresholds(62, 74, 4)


def table(seen, stayers=0.1, at_risk=0.05, watermelons=0.1, seeds=5):
    spread = [0.01 * (seed - 2) for seed in range(seeds)]
    columns = {"stayers": stayers, "at_risk": at_risk, "watermelons": watermelons, "leavers": 20.0}
    return pd.DataFrame({"seen": [seen + part for part in spread], **columns})


def test_thresholds_reach_the_policy_and_its_hash():
    changed = OTHER.applied_to(POLICY)
    assert changed.model.tiers[1].from_ == OTHER.at_risk_below
    assert changed.hash != POLICY.hash
    assert changed.model.measures == POLICY.model.measures
    assert Thresholds.of(POLICY).applied_to(POLICY).hash == POLICY.hash
    assert len(set(GRID)) == len(GRID)


def test_the_best_within_the_guard_rails_is_chosen():
    assert choose({IN_FORCE: table(0.4), OTHER: table(0.6)}, IN_FORCE) == OTHER
    too_many = table(0.6, at_risk=MOST_AT_RISK + 0.01)
    assert choose({IN_FORCE: table(0.4), OTHER: too_many}, IN_FORCE) == IN_FORCE
    assert choose({IN_FORCE: table(0.4, at_risk=0.2), OTHER: table(0.3)}, IN_FORCE) == OTHER
    assert choose({IN_FORCE: table(0.4, at_risk=0.2), OTHER: table(0.3, at_risk=0.2)}, IN_FORCE) == IN_FORCE


def test_the_loosest_watermelons_that_are_few_enough_are_chosen():
    shares = dict(zip("abc", (MOST_WATERMELONS + 0.05, MOST_WATERMELONS, 0.01), strict=True))
    cells = {Thresholds(60, 72, 6, ord(name)): table(0.4, watermelons=share) for name, share in shares.items()}
    assert choose_watermelons(cells).single_from_seats == ord("b")
    all_too_many = {cell: table(0.4, watermelons=0.5) for cell in cells}
    assert choose_watermelons(all_too_many).single_from_seats == ord("c")


def test_a_policy_without_the_tuned_condition_is_told():
    content = {"watermelon": {"any_of": {"falling_trend": [{"feature": "mrr_change_share_90d"}]}}}
    with pytest.raises(LookupError, match="has no condition on usage_change_share_4w"):
        _condition(content, "falling_trend", "usage_change_share_4w")


def test_flagging_everybody_is_worth_nothing():
    assert choose({IN_FORCE: table(0.4), OTHER: table(0.9, stayers=0.8)}, IN_FORCE) == IN_FORCE


def test_a_gain_that_may_be_chance_changes_nothing():
    noisy = table(0.4)
    noisy["seen"] = [0.9, 0.1, 0.9, 0.1, 0.05]
    assert choose({IN_FORCE: table(0.4), OTHER: noisy}, IN_FORCE) == IN_FORCE


def test_a_line_of_the_table_has_a_t_interval_over_the_seeds():
    # 0.38 to 0.42 in five seeds: standard error 0.00707, t with 4 degrees of freedom 2.776: 2 points each way.
    assert row("x", table(0.4)).startswith("| x | 40 % (38 to 42) | 10 % (10 to 10) |")
    assert seeds_of("0-9") == list(range(10))
    assert seeds_of("3") == [3]


def test_a_policy_is_evaluated_on_features_and_outcomes(tmp_path):
    features, outcomes = simulate(accounts=40, weeks=34)
    features.to_parquet(tmp_path / "f.parquet")
    outcomes.to_parquet(tmp_path / "o.parquet")
    inputs = file_inputs(tmp_path / "f.parquet", tmp_path / "o.parquet", POLICY, load_company(None))
    tables = {"account_features_weekly": inputs.features, "account_outcomes_weekly": inputs.outcomes}
    found = evaluate(tables, POLICY)
    tier = inputs.health["tier"].to_pandas()
    assert found["at_risk"] == pytest.approx((tier == "at_risk").mean())
    nobody = evaluate(tables, Thresholds(1, 2, 6).applied_to(POLICY))
    assert (nobody["seen"], nobody["at_risk"]) == (0.0, 0.0)
    everybody = evaluate(tables, Thresholds(98, 99, 6).applied_to(POLICY))
    assert everybody["seen"] > 0.95
