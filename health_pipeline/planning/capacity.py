"""The plan by owner: hours the proposals need against the hours the policy gives, and what falls below the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from health_pipeline.policy.capacity import CapacityPolicy
from health_pipeline.policy.documents import Document

UNOWNED = "unowned"


def owner_key(owner_email: str | None) -> str:
    """The owner as capacity is kept: an address in lower case; `unowned` without one."""
    return owner_email.strip().lower() if owner_email and owner_email.strip() else UNOWNED


def capacity_rows(
    accounts: Sequence[Mapping[str, Any]],
    planned: Sequence[Mapping[str, Any]],
    capacity: Document[CapacityPolicy],
) -> list[dict[str, Any]]:
    """Sum one week's plan by owner.

    Parameters
    ----------
    accounts : the week's live accounts, each with owner_email, week, as_of_at and known_at
    planned : rows of action_plan_accounts_weekly of the week
    capacity : the policy; an owner it names has a row even without an account, for the hours are there

    Returns
    -------
    rows of plan_capacity_weekly
        One per owner of an account or of the policy, and one for the accounts nobody owns; none in a week without
        accounts.
    """
    if not accounts:
        return []
    clock = {name: accounts[0][name] for name in ("week", "as_of_at", "known_at")}
    owned: dict[str, int] = {UNOWNED: 0, **dict.fromkeys(capacity.model.owners, 0)}
    for account in accounts:
        owner = owner_key(account["owner_email"])
        owned[owner] = owned.get(owner, 0) + 1
    plans: dict[str, list[Mapping[str, Any]]] = {owner: [] for owner in owned}
    for row in planned:
        plans[owner_key(row["owner_email"])].append(row)
    return [
        {**clock, **_row(owner, owned[owner], plans[owner], capacity.model), "policy_version": capacity.hash}
        for owner in sorted(owned, key=lambda one: (one != UNOWNED, one))
    ]


def _row(owner: str, owned: int, rows: Sequence[Mapping[str, Any]], capacity: CapacityPolicy) -> dict[str, Any]:
    above = [row for row in rows if row["is_within_capacity"]]
    below = [row for row in rows if not row["is_within_capacity"]]
    entering = [row for row in below if row["would_enter_at_plus_10_percent"]]
    known = [row["arr_reporting"] for row in below if row["arr_reporting"] is not None]
    available, used = round(capacity.hours_of(None if owner == UNOWNED else owner) * 60), _minutes(above)
    return {
        "owner": owner,
        "owner_email": None if owner == UNOWNED else owner,
        "accounts_owned": owned,
        "accounts_planned": len(rows),
        "hours_available": available / 60,
        "hours_needed": _minutes(rows) / 60,
        "hours_within_capacity": used / 60,
        "hours_below_line": _minutes(below) / 60,
        "hours_left": (available - used) / 60,
        "accounts_below_line": len(below),
        "accounts_entering_at_plus_10_percent": len(entering),
        "hours_entering_at_plus_10_percent": _minutes(entering) / 60,
        "arr_reporting_below_line": sum(known, Decimal("0.00")) if known or not below else None,
        "accounts_below_line_without_arr": len(below) - len(known),
    }


def _minutes(rows: Sequence[Mapping[str, Any]]) -> int:
    """Whole minutes: a float sum would hang on the order of the rows."""
    return sum(round(row["hours_needed"] * 60) for row in rows)
