"""The strategies of the demo company do what its ground truth says, and the records tell enough to find it out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from delivered_records import company, records

from health_pipeline.sources.demo.calendar import DAY, HISTORY_WEEKS, week_index
from health_pipeline.sources.demo.trials import HEALTH_CHECK, SMALL, STRATEGIES, WORKSHOP, WORKSHOP_ADDS_SEATS
from health_pipeline.sources.demo.world import World, simulate_world

SEEDS = range(8)


def grew(world: World, account: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Whether each account had more seats 91 days after that moment."""
    then, later = week_index(at), np.minimum(week_index(at) + 13, 103)
    return world.contracts.seats[account, later] > world.contracts.seats[account, then]


def uplift(worlds: list[World], strategy: int, small: bool) -> tuple[float, float]:
    """Difference of the share that grew between the arms, with its standard error, over several companies."""
    treated, control = [], []
    for world in worlds:
        trials = world.trials
        chosen = (trials.strategy == strategy) & ((world.accounts.segment[trials.account] == SMALL) == small)
        chosen &= world.in_contract(trials.account, trials.at)
        found = grew(world, trials.account[chosen], trials.at[chosen])
        treated.append(found[trials.is_treated[chosen]])
        control.append(found[~trials.is_treated[chosen]])
    on, off = np.concatenate(treated), np.concatenate(control)
    error = np.sqrt(on.var() / len(on) + off.var() / len(off))
    return float(on.mean() - off.mean()), float(error)


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [simulate_world(seed, 400) for seed in SEEDS]


def test_a_workshop_brings_seats_at_small_customers_alone(worlds: list[World]) -> None:
    effect, error = uplift(worlds, WORKSHOP, small=True)
    # One in four has a story and is left to it; some leave, renew in that week, or would have grown anyway.
    assert 0.6 * WORKSHOP_ADDS_SEATS < effect < 0.9 * WORKSHOP_ADDS_SEATS
    assert effect > 6 * error
    nothing, error = uplift(worlds, WORKSHOP, small=False)
    assert abs(nothing) < 3.5 * error


@pytest.mark.parametrize("small", [True, False])
def test_alignment_and_health_checks_bring_no_seats(worlds: list[World], small: bool) -> None:
    for strategy in (STRATEGIES.index("executive_alignment"), HEALTH_CHECK):
        effect, error = uplift(worlds, strategy, small)
        assert abs(effect) < 3.5 * error


def test_a_health_check_is_held_before_a_renewal_and_the_others_by_a_coin(worlds: list[World]) -> None:
    world = worlds[0]
    trials = world.trials
    until = 365 - ((trials.at - world.accounts.renewal_at[trials.account]) / DAY) % 365
    before, checks = (until >= 15) & (until <= 75), trials.strategy == HEALTH_CHECK
    assert trials.is_treated[checks & before].mean() > 0.65
    assert trials.is_treated[checks & ~before].mean() < 0.3
    assert trials.is_treated[~checks].mean() == pytest.approx(0.5, abs=0.06)
    assert not trials.is_randomised[checks].any()
    assert trials.is_randomised[~checks].all()
    assert week_index(trials.at).min() > HISTORY_WEEKS


def test_what_is_delivered_is_what_was_assigned_and_says_nothing_of_the_effect() -> None:
    delivered = records(7, "cs", "treatment")
    assert set(delivered["strategy"]) == set(STRATEGIES)
    assert set(delivered["arm"]) == {"treated", "control"}
    world, truth = company(7)._world, company(7).truth().trials
    crm_id = pd.Series(world.source_ids["crm"].to_pylist())
    seen = delivered.assign(crm_id=delivered["account"].map(crm_id))
    both = seen.merge(truth, on=["crm_id", "strategy"], suffixes=("", "_truth"))
    assert len(both) == len(delivered) > 700
    assert ((both["arm"] == "treated") == both["is_treated"]).all()
    assert (both["assigned_at"] == both["at"]).all()
    assert "effect" not in delivered.columns
