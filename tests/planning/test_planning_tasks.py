"""Review tasks: opened once, quiet without a signal, closed by a person alone, counted by week."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from health_pipeline.planning.tasks import task_id


def tasks_of(plan):
    return {
        (row["account_id"], row["kind"], row["subject"], row["episode"]): row for row in plan.review_tasks.to_pylist()
    }


def replaced(tasks: pa.Table, **values) -> pa.Table:
    return pa.Table.from_pylist([{**row, **values} for row in tasks.to_pylist()], schema=tasks.schema)


def test_task_id_hashes_account_kind_subject_and_episode():
    ids = {
        task_id("a", "tier", "at_risk", 1),
        task_id("b", "tier", "at_risk", 1),
        task_id("a", "risk", "at_risk", 1),
        task_id("a", "tier", "watch", 1),
        task_id("a", "tier", "at_risk", 2),
    }
    assert len(ids) == 5
    assert task_id("a", "tier", "at_risk", 1) == task_id("a", "tier", "at_risk", 1)
    assert all(len(found) == 32 for found in ids)


def test_signal_opens_counts_goes_quiet_and_fires_again(planner):
    first = planner.first
    weeks = [first.shift(number) for number in range(4)]
    tiers = ["at_risk", "at_risk", "healthy", "at_risk"]
    health = [planner.health_row("a", week, tier) for week, tier in zip(weeks, tiers, strict=True)]
    states, dues = [], []
    tasks = None
    for week in weeks:
        plan = planner.plan(health, [week], tasks=tasks)
        tasks = plan.review_tasks
        (row,) = tasks.to_pylist()
        # The date does not move while the signal goes on; it does when the signal returns after a silence.
        dues.append(row["due_date"])
        states.append((row["state"], row["occurrences"], row["last_signal_week"]))
    assert states == [
        ("open", 1, weeks[0].monday),
        ("open", 2, weeks[1].monday),
        ("quiet", 2, weeks[1].monday),
        ("open", 3, weeks[3].monday),
    ]
    assert row["opened_week"] == weeks[0].monday
    assert dues == [weeks[0].as_of_at.date() + timedelta(days=7)] * 3 + [weeks[3].as_of_at.date() + timedelta(days=7)]
    assert row["reason"].startswith("At risk")


def test_a_vanished_account_leaves_a_quiet_task(planner):
    first = planner.first
    plan = planner.plan([planner.health_row("a", first, "watch")], [first, first.shift(1)])
    assert plan.review_tasks.to_pylist()[0]["state"] == "quiet"


def test_each_kind_has_its_task_and_a_risk_takes_the_place_of_its_tier_task(planner):
    week = planner.first
    plan = planner.plan(
        [
            planner.health_row("notice", week, "at_risk", tier_reason="decisive"),
            planner.health_row("risky", week, "at_risk", owner_email=None),
            planner.health_row("green", week, "healthy", owner_email=None),
            planner.health_row("melon", week, "healthy"),
            planner.health_row("grow", week, "expansion_ready"),
            planner.health_row("dark", week, "not_scored"),
        ],
        watermelons=[{"account_id": "melon", "week": week.monday, "reasons": "low_coverage"}],
    )
    found = {(a, kind, subject): row["priority"] for (a, kind, subject, _), row in tasks_of(plan).items()}
    assert found == {
        ("notice", "risk", "notice_not_to_renew"): 1,
        ("risky", "tier", "at_risk"): 2,
        ("risky", "ownerless", "owner"): 1,
        ("green", "ownerless", "owner"): 3,
        ("melon", "watermelon", "weak_inside"): 3,
        ("grow", "expansion", "expansion_ready"): 4,
        ("dark", "tier", "not_scored"): 4,
    }


def test_where_no_source_names_owners_nobody_is_ownerless(planner):
    week = planner.first
    plan = planner.plan([planner.health_row("a", week, "at_risk", owner_email=None)])
    assert [row["kind"] for row in plan.review_tasks.to_pylist()] == ["tier"]


def test_a_closed_task_stays_closed_while_its_signal_goes_on_and_the_next_one_is_an_episode(planner):
    first = planner.first
    weeks = [first.shift(number) for number in range(4)]
    tiers = ["at_risk", "at_risk", "healthy", "at_risk"]
    health = [planner.health_row("a", week, tier) for week, tier in zip(weeks, tiers, strict=True)]
    closed = replaced(planner.plan(health, weeks[:1]).review_tasks, state="closed")
    going_on = planner.plan(health, weeks[1:2], tasks=closed)
    (row,) = going_on.review_tasks.to_pylist()
    assert (row["state"], row["episode"], row["last_signal_week"]) == ("closed", 1, weeks[1].monday)
    assert going_on.action_plan_accounts.to_pylist()[0]["task_id"] == row["task_id"]
    returned = planner.plan(health, weeks[2:], tasks=going_on.review_tasks)
    episodes = [(r["episode"], r["state"], r["opened_week"]) for r in returned.review_tasks.to_pylist()]
    assert episodes == [(1, "closed", first.monday), (2, "open", weeks[3].monday)]
    assert returned.action_plan_accounts.to_pylist()[0]["task_id"] == task_id("a", "tier", "at_risk", 2)


def test_pipeline_never_closes(planner):
    first = planner.first
    weeks = [first.shift(number) for number in range(8)]
    health = [planner.health_row("a", weeks[0], "at_risk")] + [
        planner.health_row("a", week, "healthy") for week in weeks[1:]
    ]
    plan = planner.plan(health, weeks)
    assert {row["state"] for row in plan.review_tasks.to_pylist()} == {"quiet"}


def test_a_changed_owner_is_the_tasks_owner(planner):
    first, second = planner.first, planner.first.shift(1)
    plan = planner.plan(
        [
            planner.health_row("a", first, "watch", owner_email="ana@example.com"),
            planner.health_row("a", second, "watch", owner_email="ben@example.com"),
        ],
        [first, second],
    )
    (row,) = plan.review_tasks.to_pylist()
    assert row["owner_email"] == "ben@example.com"


@pytest.mark.parametrize("movement", ["down", "up"])
def test_reason_says_where_the_account_came_from(planner, movement):
    week = planner.first
    plan = planner.plan(
        [planner.health_row("a", week, "watch")],
        movements=[
            {
                "account_id": "a",
                "week": week.monday,
                "movement": movement,
                "tier_before": "healthy",
                "tier_after": "watch",
            }
        ],
    )
    (row,) = plan.review_tasks.to_pylist()
    assert row["reason"] == "Watch since this week (before: healthy): no single measure is low"
