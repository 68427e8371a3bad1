"""Risk tasks: an open risk's task takes the place of the account's tier task, and lives as long as the risk does."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from health_pipeline.planning.plan import plan_weeks


def packet(planner, account: str, number: int = 0, **given: Any) -> dict[str, Any]:
    """A medium risk of the account in the planner's week of that number."""
    return {
        "packet_id": f"packet-{account}",
        "account_id": account,
        "week": planner.first.shift(number).monday,
        "side": "risk",
        "episode": 1,
        "state": "detected",
        "is_quiet": False,
        "severity": "medium",
        "queue_reason": "Severity medium (suggested); support",
        **given,
    }


def run(planner, packets, health, weeks=None, tasks=None):
    empty = {name: planner.table(name, []) for name in ("score_contributions_weekly", "watermelon_accounts_weekly")}
    return plan_weeks(
        planner.table("account_health_weekly", health),
        empty["score_contributions_weekly"],
        empty["watermelon_accounts_weekly"],
        planner.table("tier_movements_weekly", []),
        [planner.first] if weeks is None else weeks,
        planner.playbooks,
        planner.capacity,
        planner.table("action_plan_weekly", []),
        planner.table("review_tasks", []) if tasks is None else tasks,
        planner.table("risk_packets", packets),
    )


def tasks_of(plan) -> list[tuple[Any, ...]]:
    rows = plan.review_tasks.to_pylist()
    return [(row["account_id"], row["kind"], row["subject"], row["state"], row["occurrences"]) for row in rows]


def test_a_risk_takes_the_place_of_the_tier_task_and_the_plan_names_it(planner):
    health = [planner.health_row(name, planner.first, "at_risk") for name in ("calm", "risky")]
    plan = run(planner, [packet(planner, "risky", respond_by=date(2026, 8, 27))], health)
    assert tasks_of(plan) == [("calm", "tier", "at_risk", "open", 1), ("risky", "risk", "risk/1", "open", 1)]
    (task,) = [row for row in plan.review_tasks.to_pylist() if row["kind"] == "risk"]
    assert (task["priority"], task["due_date"], task["reason"]) == (
        3,
        date(2026, 8, 27),
        "Severity medium (suggested); support",
    )
    planned = {row["account_id"]: row["task_id"] for row in plan.action_plan_accounts.to_pylist()}
    assert planned["risky"] == task["task_id"]


@pytest.mark.parametrize(("severity", "priority"), [("critical", 1), ("high", 2), ("medium", 3), (None, 3), ("low", 4)])
def test_a_risk_is_as_urgent_as_its_severity(planner, severity, priority):
    # a healthy account has no playbook that fits: its risk has a task all the same
    health = [planner.health_row("acc", planner.first, "healthy")]
    (task,) = run(planner, [packet(planner, "acc", severity=severity)], health).review_tasks.to_pylist()
    assert (task["kind"], task["priority"], task["due_date"]) == ("risk", priority, date(2026, 8, 31))


@pytest.mark.parametrize("given", [{"side": "expansion"}, {"is_quiet": True}, {"state": "closed"}])
def test_what_is_no_open_risk_leaves_the_tier_task(planner, given):
    health = [planner.health_row("acc", planner.first, "at_risk")]
    assert tasks_of(run(planner, [packet(planner, "acc", **given)], health)) == [("acc", "tier", "at_risk", "open", 1)]


def test_a_risk_that_opens_quietens_the_tier_task_and_the_next_episode_is_another_task(planner):
    weeks = [planner.first.shift(number) for number in range(4)]
    health = [planner.health_row("acc", week, "at_risk") for week in weeks]
    packets = [
        packet(planner, "acc", 1),
        packet(planner, "acc", 2, is_quiet=True),
        packet(planner, "acc", 3, episode=2, packet_id="packet-acc-2"),
    ]
    whole = run(planner, packets, health, weeks)
    assert tasks_of(whole) == [
        ("acc", "risk", "risk/1", "quiet", 1),
        ("acc", "risk", "risk/2", "open", 1),
        ("acc", "tier", "at_risk", "quiet", 2),
    ]
    first = run(planner, packets, health, weeks[:2])
    second = run(planner, packets, health, weeks[2:], first.review_tasks)
    assert tasks_of(second) == tasks_of(whole)


def test_nobody_closes_but_a_person(planner):
    weeks = [planner.first, planner.first.shift(1)]
    health = [planner.health_row("acc", week, "at_risk") for week in weeks]
    first = run(planner, [packet(planner, "acc")], health, weeks[:1])
    closed = first.review_tasks.to_pylist()
    closed[0]["state"] = "closed"
    again = run(planner, [packet(planner, "acc", 1)], health, weeks[1:], planner.table("review_tasks", [{**closed[0]}]))
    assert tasks_of(again) == [("acc", "risk", "risk/1", "closed", 2)]
    assert again.review_tasks["last_signal_week"].to_pylist() == [planner.first.monday + timedelta(weeks=1)]
