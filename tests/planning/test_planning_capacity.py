"""Capacity by owner: parts sum to the plan, hours of an owner who is away, what enters with a tenth more."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from health_pipeline.policy.capacity import CapacityPolicy

WEIGHTS = {"at_risk": 1.0, "watch": 0.5, "not_scored": 0.4, "expansion_ready": 0.5, "healthy": 0.3}


def owners(plan):
    return {row["owner"]: row for row in plan.capacity.to_pylist()}


def test_each_owner_has_hours_a_line_and_what_enters(planner):
    week = planner.first
    # Five account reviews of 4 hours each for Ana, who has 11: two fit, the third (12 hours) enters at 12.1.
    accounts = [planner.health_row(f"a{n}", week, "at_risk", arr_reporting=Decimal(1000 - n)) for n in range(5)]
    accounts[4]["arr_reporting"] = None
    accounts += [
        planner.health_row("w", week, "watch", owner_email="Ben@Example.com ", arr_reporting=Decimal(10)),
        planner.health_row("h", week, "healthy", owner_email="chloe@example.com"),
        planner.health_row("u", week, "watch", owner_email=None, arr_reporting=Decimal(10)),
    ]
    policy = CapacityPolicy(
        hours_per_owner_week=6,
        unowned_hours_per_week=0.5,
        owners={"ana@example.com": 11, "zoe@example.com": 3},
        tier_weights=WEIGHTS,
    )
    found = owners(planner.plan(accounts, capacity=policy))
    assert list(found) == ["unowned", "ana@example.com", "ben@example.com", "chloe@example.com", "zoe@example.com"]
    ana = found["ana@example.com"]
    assert (ana["accounts_owned"], ana["accounts_planned"]) == (5, 5)
    assert (ana["hours_available"], ana["hours_needed"], ana["hours_within_capacity"]) == (11, 20, 8)
    assert (ana["hours_below_line"], ana["hours_left"], ana["accounts_below_line"]) == (12, 3, 3)
    assert (ana["accounts_entering_at_plus_10_percent"], ana["hours_entering_at_plus_10_percent"]) == (1, 4)
    # Of 1000, 999, 998, 997, 10 and 10 the median is 997.5: the account of unknown revenue is fourth of Ana's five.
    assert ana["arr_reporting_below_line"] == Decimal(998 + 997)
    assert ana["accounts_below_line_without_arr"] == 1
    assert (found["ben@example.com"]["hours_within_capacity"], found["ben@example.com"]["hours_left"]) == (1, 5)
    # No proposal, and an owner of the policy without an account: the hours are there.
    assert (found["chloe@example.com"]["accounts_owned"], found["chloe@example.com"]["hours_left"]) == (1, 6)
    assert (found["zoe@example.com"]["accounts_owned"], found["zoe@example.com"]["hours_available"]) == (0, 3)
    unowned = found["unowned"]
    assert (unowned["owner_email"], unowned["hours_available"], unowned["accounts_below_line"]) == (None, 0.5, 1)
    assert {row["policy_version"] for row in found.values()} == {"changed"}


def test_an_owner_who_is_away_has_everything_below_the_line(planner):
    week = planner.first
    policy = CapacityPolicy(
        hours_per_owner_week=12, unowned_hours_per_week=8, owners={"ana@example.com": 0}, tier_weights=WEIGHTS
    )
    ana = owners(planner.plan([planner.health_row("a", week, "at_risk")], capacity=policy))["ana@example.com"]
    assert (ana["hours_available"], ana["hours_left"], ana["accounts_below_line"]) == (0, 0, 1)
    assert ana["accounts_entering_at_plus_10_percent"] == 0


def test_a_week_without_accounts_has_no_row(planner):
    assert planner.plan([]).capacity.num_rows == 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    accounts=st.lists(
        st.tuples(
            st.sampled_from(["at_risk", "watch", "healthy", "not_scored", "expansion_ready"]),
            st.sampled_from([None, "", "ana@example.com", "ANA@example.com", "ben@example.com"]),
            st.none() | st.integers(0, 10**6).map(Decimal),
        ),
        max_size=30,
    ),
    hours=st.integers(0, 24).map(lambda quarters: quarters / 4),
)
def test_the_owners_sum_to_the_plan_and_nobody_has_more_than_there_is(planner, accounts, hours):
    week = planner.first
    rows = [
        planner.health_row(f"a{n:02d}", week, tier, owner_email=owner, arr_reporting=arr)
        for n, (tier, owner, arr) in enumerate(accounts)
    ]
    policy = CapacityPolicy(hours_per_owner_week=hours, unowned_hours_per_week=hours, tier_weights=WEIGHTS)
    plan = planner.plan(rows, capacity=policy)
    capacity, planned = plan.capacity.to_pylist(), plan.action_plan_accounts.to_pylist()
    assert sum(row["accounts_owned"] for row in capacity) == len(rows)
    assert sum(row["accounts_planned"] for row in capacity) == len(planned)
    assert sum(row["hours_needed"] for row in capacity) == sum(row["hours_needed"] for row in planned)
    within = [row for row in planned if row["is_within_capacity"]]
    assert sum(row["hours_within_capacity"] for row in capacity) == sum(row["hours_needed"] for row in within)
    assert sum(row["accounts_below_line"] for row in capacity) == len(planned) - len(within)
    groups = plan.action_plan.to_pylist()
    assert sum(row["accounts_below_line"] for row in groups) == len(planned) - len(within)
    for row in capacity:
        assert row["hours_left"] >= 0
        assert row["hours_within_capacity"] + row["hours_left"] == row["hours_available"]
        assert row["hours_within_capacity"] + row["hours_below_line"] == row["hours_needed"]
