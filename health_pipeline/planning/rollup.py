"""The plan by tier, segment and playbook: sums of the accounts' rows, and their change against last week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.policy.playbooks import PERSONS_CHOICE

GroupKey = tuple[str, str, str]


@dataclass(frozen=True)
class Groups:
    """Accounts and revenue of each group of one week, as the week after compares with them."""

    accounts: dict[GroupKey, int]
    arr: dict[GroupKey, Decimal | None]
    approval_role: dict[GroupKey, str | None]

    @classmethod
    def of_rows(cls, rows: Sequence[dict[str, Any]]) -> Groups:
        """Read them from the rows of one week's plan."""
        keys = [(row["effective_tier"], row["segment"], row["playbook"]) for row in rows]
        return cls(
            {key: row["accounts"] for key, row in zip(keys, rows, strict=True)},
            {key: row["arr_reporting"] for key, row in zip(keys, rows, strict=True)},
            {key: row["approval_role"] for key, row in zip(keys, rows, strict=True)},
        )

    @classmethod
    def of_plan(cls, plan: pa.Table, monday: date) -> Groups | None:
        """Read them from action_plan_weekly; None where it does not hold that week."""
        rows = plan.filter(pc.equal(plan["week"], pa.scalar(monday, pa.date32()))).to_pylist()
        return cls.of_rows(rows) if rows else None


def plan_rows(
    monday: date, planned: Sequence[dict[str, Any]], before: Groups | None
) -> tuple[list[dict[str, Any]], Groups | None]:
    """Roll the accounts' rows up to the plan.

    Parameters
    ----------
    monday : the week
    planned : rows of action_plan_accounts_weekly of the week
    before : the groups of the week before; None in the first week, then every change is null

    Returns
    -------
    rows of action_plan_weekly, and the groups the next week compares with
        A group that had accounts last week and has none now stays for one week with 0, so that the changes
        sum to the change of the sum. A week without any planned account has no row, for it has no clock
        either; the next week's changes are then null.
    """
    groups: dict[GroupKey, list[dict[str, Any]]] = {}
    for row in planned:
        key = (row["effective_tier"], row["segment"], row["playbook"] or PERSONS_CHOICE)
        groups.setdefault(key, []).append(row)
    if not groups:
        return [], None
    if before is not None:
        for key, accounts in before.accounts.items():
            if accounts:
                groups.setdefault(key, [])
    clock = {"as_of_at": planned[0]["as_of_at"], "known_at": planned[0]["known_at"]}
    rows = [{"week": monday, **_group(key, groups[key], before), **clock} for key in sorted(groups)]
    return rows, Groups.of_rows(rows)


def _group(key: GroupKey, members: list[dict[str, Any]], before: Groups | None) -> dict[str, Any]:
    tier, segment, playbook = key
    known = [row["arr_reporting"] for row in members if row["arr_reporting"] is not None]
    # Unknown is not zero: no member's revenue known is null; no member at all is 0.
    arr = sum(known, Decimal("0.00")) if known or not members else None
    roles = {row["approval_role"] for row in members}
    arr_before = before.arr.get(key, Decimal("0.00")) if before is not None else None
    return {
        "effective_tier": tier,
        "segment": segment,
        "playbook": playbook,
        "accounts": len(members),
        "accounts_change": None if before is None else len(members) - before.accounts.get(key, 0),
        "arr_reporting": arr,
        "arr_reporting_change": None if arr is None or arr_before is None else arr - arr_before,
        "unowned_accounts": sum(row["is_unowned"] for row in members),
        "hours_needed": _hours(members),
        "hours_within_capacity": _hours([row for row in members if row["is_within_capacity"]]),
        "accounts_below_line": sum(not row["is_within_capacity"] for row in members),
        "accounts_entering_at_plus_10_percent": sum(row["would_enter_at_plus_10_percent"] for row in members),
        "approval_role": ", ".join(sorted(roles)) if roles else before and before.approval_role.get(key),
    }


def _hours(rows: list[dict[str, Any]]) -> float:
    """Sum in whole minutes: a float sum would hang on the order of the rows."""
    return sum(round(row["hours_needed"] * 60) for row in rows) / 60
