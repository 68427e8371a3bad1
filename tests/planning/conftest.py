"""Small tables of the scoring room for planning tests: a row per account and week, by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.planning.plan import Plan, plan_weeks
from health_pipeline.policy.capacity import CapacityPolicy, load_capacity
from health_pipeline.policy.documents import Document
from health_pipeline.policy.playbooks import PlaybookPolicy, load_playbooks

FIRST = Week(date(2026, 8, 17))


def table(name: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as the named mart table; columns not given are null, the week's clocks are filled in."""
    filled = []
    for row in rows:
        week = Week(row["week"]) if "week" in row else None
        clock = (
            {
                "as_of_at": week.as_of_at.replace(tzinfo=None),
                "known_at": week.known_at(6).replace(tzinfo=None),
            }
            if week
            else {}
        )
        filled.append({**clock, **row})
    return pa.Table.from_pylist(filled, schema=mart_tables()[name].arrow_schema)


def health_row(account_id: str, week: Week, tier: str, **more: Any) -> dict[str, Any]:
    """One row of account_health_weekly with everyday values."""
    score = {"at_risk": 30.0, "watch": 58.0, "healthy": 80.0, "expansion_ready": 92.0, "not_scored": None}[tier]
    return {
        "account_id": account_id,
        "week": week.monday,
        "segment": "core",
        "lifecycle_stage": "established",
        "score": score,
        "coverage": 0.9,
        "tier": tier,
        "effective_tier": tier,
        "tier_reason": "score",
        "weeks_in_tier": 1,
        "arr_reporting": Decimal("1000.00"),
        "owner_email": "ana@example.com",
        **more,
    }


def contribution_row(
    account_id: str, week: Week, feature: str, raw_value: float | None, curve_value: float | None, **more: Any
) -> dict[str, Any]:
    """One row of score_contributions_weekly."""
    return {
        "account_id": account_id,
        "week": week.monday,
        "measure": more.pop("measure", feature),
        "measure_group": more.pop("measure_group", "usage"),
        "feature": feature,
        "raw_value": raw_value,
        "curve_value": curve_value,
        "weight": more.pop("weight", 0.2 if curve_value is not None else 0.0),
        "nominal_weight": 0.2,
        "contribution": None if curve_value is None else 0.2 * curve_value,
        "status": "missing" if curve_value is None else "measured",
        **more,
    }


class Planner:
    """Calls plan_weeks with empty tables and the built-in policies where nothing else is said."""

    first = FIRST
    table = staticmethod(table)
    health_row = staticmethod(health_row)
    contribution_row = staticmethod(contribution_row)

    def __init__(self, playbooks: Document[PlaybookPolicy], capacity: Document[CapacityPolicy]) -> None:
        self.playbooks = playbooks
        self.capacity = capacity

    def plan(
        self,
        health: Sequence[dict[str, Any]],
        weeks: Sequence[Week] | None = None,
        *,
        contributions: Sequence[dict[str, Any]] = (),
        watermelons: Sequence[dict[str, Any]] = (),
        movements: Sequence[dict[str, Any]] = (),
        previous_plan: pa.Table | None = None,
        tasks: pa.Table | None = None,
        capacity: CapacityPolicy | None = None,
    ) -> Plan:
        """Plan the weeks; the first one alone where none is named."""
        document = self.capacity
        if capacity is not None:
            document = Document("capacity", document.path, capacity, "changed")
        return plan_weeks(
            table("account_health_weekly", health),
            table("score_contributions_weekly", contributions),
            table("watermelon_accounts_weekly", watermelons),
            table("tier_movements_weekly", movements),
            [self.first] if weeks is None else weeks,
            self.playbooks,
            document,
            empty_table("action_plan_weekly") if previous_plan is None else previous_plan,
            empty_table("review_tasks") if tasks is None else tasks,
        )


@pytest.fixture(scope="session")
def planner() -> Planner:
    """A planner over the built-in policies."""
    return Planner(load_playbooks(None), load_capacity(None))
