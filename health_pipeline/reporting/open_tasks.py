"""The open review tasks: the role that decides each, which accounts come first, whom the urgent ones wait for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from health_pipeline.policy.wording import role_words
from health_pipeline.reporting.figures import listed
from health_pipeline.reporting.release_data import ReleaseData, Row

URGENT = 2  # first and second priority
# Who gives an account an owner; the plan names the approver of everything else.
_OF_OWNERLESS = "customer_success_leader"
# An account's owner is its customer success manager, whichever of the two a playbook asks for.
_OF_OWNER = {"account_owner", "customer_success_manager"}
_NAMED = 3


def open_tasks(data: ReleaseData) -> list[Row]:
    """The open review tasks, with the role that approves each."""
    roles = {row["task_id"]: row["approval_role"] for row in data.plan_accounts}
    return [
        {**task, "role": _OF_OWNERLESS if task["kind"] == "ownerless" else roles.get(task["task_id"], "account_owner")}
        for task in data.tasks
        if task["state"] == "open"
    ]


def who_needs_a_decision(data: ReleaseData, tasks: Sequence[Row]) -> str:
    """Name the accounts of first priority with most revenue, and who decides most of what is urgent."""
    arr = {row["account_id"]: row["arr_reporting"] for row in data.health}

    def revenue(account: str) -> float:
        value = arr.get(account)
        return -1.0 if value is None else float(value)

    sentences = []
    first = sorted({task["account_id"] for task in tasks if task["priority"] == 1}, key=lambda a: (-revenue(a), a))
    if first:
        names = [data.name_of({"account_id": account}) for account in first[:_NAMED]]
        more = len(first) - len(names)
        sentences.append(f"First: {listed([*names, f'{more:,} more'] if more else names)}.")
    waiting = Counter(_decider(data, task) for task in tasks if task["priority"] <= URGENT)
    most = sorted(waiting.items(), key=lambda one: (-one[1], one[0]))[:_NAMED]
    if most:
        others = sum(waiting.values()) - sum(number for _, number in most)
        parts = [f"{who} ({number:,})" for who, number in most] + ([f"others ({others:,})"] if others else [])
        sentences.append(f"What is urgent waits for {listed(parts)}.")
    return " ".join(sentences)


def _decider(data: ReleaseData, task: Row) -> str:
    if task["role"] not in _OF_OWNER:
        return f"the {role_words(task['role'])}"
    return data.owner_of(task["owner_email"]) if task["owner_email"] else "an owner to be named"
