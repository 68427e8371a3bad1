"""The plan by account, tier and segment: proposals, order, line, changes, and parts that sum to the whole."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from health_pipeline.contract.clocks import weeks_between
from health_pipeline.contract.content import content_hash
from health_pipeline.contract.mart import mart_tables
from health_pipeline.planning.drivers import drivers_of_week
from health_pipeline.policy.capacity import CapacityPolicy
from health_pipeline.policy.playbooks import PERSONS_CHOICE

TIERS = ("at_risk", "watch", "healthy", "expansion_ready", "not_scored")
WEIGHTS = {"at_risk": 1.0, "watch": 0.5, "not_scored": 0.4, "expansion_ready": 0.5, "healthy": 0.3}


def rows_by_account(plan):
    return {row["account_id"]: row for row in plan.action_plan_accounts.to_pylist()}


def test_plan_has_the_contracts_schemas_also_where_nothing_is_planned(planner):
    plan = planner.plan([])
    for name, found in (
        ("action_plan_weekly", plan.action_plan),
        ("action_plan_accounts_weekly", plan.action_plan_accounts),
        ("review_tasks", plan.review_tasks),
    ):
        assert found.schema.equals(mart_tables()[name].arrow_schema)
        assert found.num_rows == 0


def test_unowned_accounts_come_first_then_weight_times_risk_times_revenue(planner):
    week = planner.first
    plan = planner.plan(
        [
            planner.health_row("small", week, "at_risk", arr_reporting=Decimal(1000)),
            planner.health_row("large", week, "at_risk", arr_reporting=Decimal(9000)),
            planner.health_row("worse", week, "at_risk", arr_reporting=Decimal(1000), score=5.0),
            planner.health_row("unowned", week, "watch", arr_reporting=Decimal(10), owner_email=None),
            planner.health_row("unknown", week, "at_risk", arr_reporting=None),
        ]
    )
    ranked = [row["account_id"] for row in plan.action_plan_accounts.to_pylist()]
    # Unknown revenue counts as the median (1,000), not as zero: it ties with `small`, and follows by name.
    assert ranked == ["unowned", "large", "worse", "small", "unknown"]
    assert [row["plan_rank"] for row in plan.action_plan_accounts.to_pylist()] == [1, 2, 3, 4, 5]
    assert rows_by_account(plan)["unowned"]["is_unowned"] is True
    assert rows_by_account(plan)["large"]["is_unowned"] is False


def test_playbook_follows_the_weakest_group_and_drivers_are_words(planner):
    week = planner.first
    plan = planner.plan(
        [planner.health_row("a", week, "at_risk"), planner.health_row("b", week, "at_risk")],
        contributions=[
            planner.contribution_row("a", week, "usage_change_share_4w", -0.4, 10.0),
            planner.contribution_row(
                "a", week, "days_since_last_two_way_touch", 62.0, 44.0, measure_group="engagement"
            ),
            planner.contribution_row("a", week, "csat_91d", 0.95, 95.0, measure_group="support"),
            planner.contribution_row("b", week, "oldest_open_ticket_days", 70.0, 5.0, measure_group="support"),
        ],
    )
    rows = rows_by_account(plan)
    assert rows["a"]["playbook"] == "adoption_review"
    assert rows["a"]["drivers"] == "usage down 40 % on the four weeks before; no two-way touch for 62 days"
    assert rows["b"]["playbook"] == "support_review"
    assert rows["b"]["drivers"] == "a ticket open for 70 days"
    assert rows["b"]["approval_role"] == "support_lead"
    assert rows["b"]["proposed_action"].startswith("Proposal to review - Joint look at open tickets:")
    assert rows["b"]["due_date"] == week.as_of_at.date() + timedelta(days=5)


def test_save_offer_and_sensitive_message_are_never_preselected_and_say_who_approves(planner):
    week = planner.first
    plan = planner.plan(
        [
            planner.health_row("notice", week, "at_risk", tier_reason="decisive"),
            planner.health_row("unpaid", week, "watch"),
        ],
        contributions=[
            planner.contribution_row("unpaid", week, "max_days_past_due", 45.0, 30.0, measure_group="payment")
        ],
    )
    rows = rows_by_account(plan)
    assert rows["notice"]["playbook"] is None
    assert rows["notice"]["approval_role"] == "customer_success_leader"
    assert "would be a save offer" in rows["notice"]["proposed_action"]
    assert "with the customer success leader" in rows["notice"]["proposed_action"]
    assert rows["notice"]["drivers"].startswith("a notice not to renew is on record")
    assert rows["unpaid"]["playbook"] is None
    assert rows["unpaid"]["approval_role"] == "finance_lead"
    assert "would be a sensitive message" in rows["unpaid"]["proposed_action"]
    groups = {(row["effective_tier"], row["playbook"]) for row in plan.action_plan.to_pylist()}
    assert groups == {("at_risk", PERSONS_CHOICE), ("watch", PERSONS_CHOICE)}


def test_healthy_gets_a_proposal_only_as_a_watermelon(planner):
    week = planner.first
    plan = planner.plan(
        [planner.health_row("green", week, "healthy"), planner.health_row("melon", week, "healthy")],
        watermelons=[
            {
                "account_id": "melon",
                "week": week.monday,
                "reasons": "single_threaded,missed_goal",
                "score": 80.0,
            }
        ],
    )
    rows = rows_by_account(plan)
    assert list(rows) == ["melon"]
    assert rows["melon"]["playbook"] == "inside_check"
    assert rows["melon"]["drivers"] == "one contact carries the relationship; a goal was missed"


def test_not_scored_says_what_is_missing_and_never_guesses(planner):
    week = planner.first
    plan = planner.plan(
        [planner.health_row("dark", week, "not_scored", coverage=0.2)],
        contributions=[planner.contribution_row("dark", week, "csat_91d", None, None, measure_group="support")],
    )
    row = rows_by_account(plan)["dark"]
    assert row["drivers"] == "only 20 % of the weight was measured; missing or stale: support"
    assert row["playbook"] == "data_gap_review"
    assert row["score"] is None


def test_override_is_what_the_plan_uses_and_the_tier_stays_beside_it(planner):
    week = planner.first
    row = planner.health_row("a", week, "healthy", effective_tier="at_risk", owner_email="ben@example.com")
    plan = planner.plan([row])
    planned = rows_by_account(plan)["a"]
    assert (planned["tier"], planned["effective_tier"]) == ("healthy", "at_risk")
    (task,) = plan.review_tasks.to_pylist()
    assert task["reason"].startswith("At risk by an override (by rule: healthy)")


@pytest.mark.parametrize(
    ("effective", "kind"), [("watch", "watermelon"), ("healthy", "watermelon"), ("at_risk", "tier")]
)
def test_an_override_hides_no_watermelon(planner, effective, kind):
    week = planner.first
    melon = {"account_id": "melon", "week": week.monday, "reasons": "missed_goal", "score": 80.0}
    row = planner.health_row("melon", week, "healthy", effective_tier=effective)
    (task,) = planner.plan([row], watermelons=[melon]).review_tasks.to_pylist()
    assert task["kind"] == kind
    if kind == "watermelon":
        assert task["reason"] == "Healthy by score, weak inside: a goal was missed"


def test_line_is_drawn_per_owner_and_a_tenth_more_lets_the_next_one_in(planner):
    week = planner.first
    # account_review takes 4 hours: two fit into 11 hours, a third needs 12 and enters at 12.1.
    capacity = CapacityPolicy(
        hours_per_owner_week=11,
        unowned_hours_per_week=0,
        owners={"Ben@Example.com": 0},
        tier_weights=WEIGHTS,
    )
    plan = planner.plan(
        [
            planner.health_row(name, week, "at_risk", arr_reporting=Decimal(arr))
            for name, arr in (("a", 400), ("b", 300), ("c", 200), ("d", 100))
        ]
        + [
            planner.health_row("away", week, "at_risk", owner_email="ben@example.com"),
            planner.health_row("nobody", week, "at_risk", owner_email=None),
        ],
        capacity=capacity,
    )
    rows = rows_by_account(plan)
    within = {name for name, row in rows.items() if row["is_within_capacity"]}
    entering = {name for name, row in rows.items() if row["would_enter_at_plus_10_percent"]}
    assert within == {"a", "b"}
    assert entering == {"c"}
    (group,) = plan.action_plan.to_pylist()
    assert group["hours_needed"] == 24.0
    assert group["hours_within_capacity"] == 8.0
    assert group["accounts_below_line"] == 4
    assert group["accounts_entering_at_plus_10_percent"] == 1
    assert group["unowned_accounts"] == 1


def test_change_against_last_week_is_null_first_and_a_vanished_group_shows_once(planner):
    first, second, third = planner.first, planner.first.shift(1), planner.first.shift(2)
    plan = planner.plan(
        [
            planner.health_row("a", first, "at_risk"),
            planner.health_row("b", first, "watch"),
            planner.health_row("a", second, "watch"),
            planner.health_row("b", second, "watch"),
            planner.health_row("a", third, "watch"),
            planner.health_row("b", third, "watch", arr_reporting=Decimal("1500.50")),
        ],
        [first, second, third],
    )
    found = [
        (
            row["week"],
            row["effective_tier"],
            row["accounts"],
            row["accounts_change"],
            row["arr_reporting_change"],
        )
        for row in plan.action_plan.to_pylist()
    ]
    assert found == [
        (first.monday, "at_risk", 1, None, None),
        (first.monday, "watch", 1, None, None),
        (second.monday, "at_risk", 0, -1, Decimal("-1000.00")),
        (second.monday, "watch", 2, 1, Decimal("1000.00")),
        (third.monday, "watch", 2, 0, Decimal("500.50")),
    ]
    assert all(row["approval_role"] for row in plan.action_plan.to_pylist())


def test_two_measures_on_one_feature_are_named_once(planner):
    week = planner.first
    contributions = planner.table(
        "score_contributions_weekly",
        [
            planner.contribution_row("a", week, "license_utilisation", 0.1, 5.0, measure="seats"),
            planner.contribution_row("a", week, "license_utilisation", 0.1, 8.0, measure="utilisation"),
        ],
    )
    assert drivers_of_week(contributions)["a"].weak == ("10 % of the licensed seats active",)


@st.composite
def companies(draw):
    """Accounts over three weeks, some of them there only in some weeks."""
    count = draw(st.integers(0, 12))
    weeks = []
    for number in range(3):
        rows = [
            {
                "account_id": f"a{account}",
                "number": number,
                "tier": draw(st.sampled_from(TIERS)),
                "owner_email": draw(st.sampled_from([None, "ana@example.com", "ben@example.com"])),
                "arr_reporting": draw(st.none() | st.integers(0, 10**9).map(lambda v: Decimal(v) / 100)),
                "segment": draw(st.sampled_from(["core", "small", None])),
                "tier_reason": draw(st.sampled_from(["score", "decisive", "hysteresis"])),
                "is_watermelon": draw(st.booleans()),
            }
            for account in range(count)
            if draw(st.integers(0, 4))
        ]
        weeks.append(rows)
    return weeks


def as_inputs(planner, company):
    health, melons = [], []
    for rows in company:
        for row in rows:
            facts = {key: value for key, value in row.items() if key not in ("number", "tier", "is_watermelon")}
            week = planner.first.shift(row["number"])
            account_id = facts.pop("account_id")
            health.append(planner.health_row(account_id, week, row["tier"], **facts))
            if row["is_watermelon"] and row["tier"] == "healthy":
                melons.append(
                    {"account_id": account_id, "week": week.monday, "reasons": "falling_trend", "score": 80.0}
                )
    return {"health": health, "watermelons": melons}


CHECKED = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@CHECKED
@given(company=companies(), hours=st.floats(0, 20), pool=st.floats(0, 20))
def test_parts_sum_to_the_whole_and_nothing_exceeds_capacity(planner, company, hours, pool):
    capacity = CapacityPolicy(hours_per_owner_week=hours, unowned_hours_per_week=pool, tier_weights=WEIGHTS)
    weeks = list(weeks_between(planner.first, planner.first.shift(2)))
    inputs = as_inputs(planner, company)
    plan = planner.plan(inputs["health"], weeks, watermelons=inputs["watermelons"], capacity=capacity)
    melons = {(row["account_id"], row["week"]) for row in inputs["watermelons"]}
    expected = Counter(
        (row["week"], row["effective_tier"], row["segment"] or "unsegmented")
        for row in inputs["health"]
        if row["effective_tier"] != "healthy" or (row["account_id"], row["week"]) in melons
    )
    summed = Counter()
    for row in plan.action_plan.to_pylist():
        summed[(row["week"], row["effective_tier"], row["segment"])] += row["accounts"]
        assert row["hours_within_capacity"] <= row["hours_needed"]
        assert row["accounts_entering_at_plus_10_percent"] <= row["accounts_below_line"] <= row["accounts"]
    assert +summed == expected
    used = Counter()
    for row in plan.action_plan_accounts.to_pylist():
        if row["is_within_capacity"]:
            used[(row["week"], row["owner_email"])] += row["hours_needed"]
        assert not (row["is_within_capacity"] and row["would_enter_at_plus_10_percent"])
    for (_, owner), total in used.items():
        assert total <= capacity.hours_of(owner) + 1 / 120
    within = sum(row["hours_within_capacity"] for row in plan.action_plan.to_pylist())
    assert within == pytest.approx(sum(used.values()))
    accounts_known = {row["task_id"] for row in plan.review_tasks.to_pylist()}
    assert {row["task_id"] for row in plan.action_plan_accounts.to_pylist()} <= accounts_known


@CHECKED
@given(company=companies())
def test_a_run_split_in_two_gives_what_one_run_gives_and_twice_changes_nothing(planner, company):
    weeks = list(weeks_between(planner.first, planner.first.shift(2)))
    inputs = as_inputs(planner, company)
    melons = inputs["watermelons"]
    whole = planner.plan(inputs["health"], weeks, watermelons=melons)
    start = planner.plan(inputs["health"], weeks[:1], watermelons=melons)
    rest = planner.plan(
        inputs["health"],
        weeks[1:],
        watermelons=melons,
        previous_plan=start.action_plan,
        tasks=start.review_tasks,
    )
    assert content_hash(rest.review_tasks) == content_hash(whole.review_tasks)
    plan_rows = start.action_plan.to_pylist() + rest.action_plan.to_pylist()
    assert plan_rows == whole.action_plan.to_pylist()
    accounts = start.action_plan_accounts.to_pylist() + rest.action_plan_accounts.to_pylist()
    assert accounts == whole.action_plan_accounts.to_pylist()
    # The same weeks once more, on the tasks they left behind.
    again = planner.plan(inputs["health"], weeks, watermelons=melons, tasks=whole.review_tasks)
    assert content_hash(again.review_tasks) == content_hash(whole.review_tasks)
    # And an old week alone, on the tasks of later ones.
    old = planner.plan(inputs["health"], weeks[:1], watermelons=melons, tasks=whole.review_tasks)
    assert content_hash(old.review_tasks) == content_hash(whole.review_tasks)
