"""Overrides as known then: approved, not expired, not withdrawn, the newest; named by our id, an alias, or a system."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.warehouse import read_tier_overrides

WEEK = Week(date(2026, 1, 12))
# as_of_at of WEEK is Monday the 19th, 00:00; known_at 06:00
AS_OF = datetime(2026, 1, 19)
BEFORE = datetime(2026, 1, 18, 12)
KNOWN = datetime(2026, 1, 19, 2)
LATE = datetime(2026, 1, 19, 7)


def override(account: str, name: str = "", **columns: Any) -> dict[str, Any]:
    return {
        "override_id": name or f"override of {account}",
        "source_account_id": account,
        "tier": "watch",
        "reason": "agreed",
        "requested_by": "csm@example.com",
        "approved_by": "lead@example.com",
        "approved_at": datetime(2026, 1, 13),
        "expires_at": datetime(2026, 6, 1),
        **columns,
    }


ACCOUNTS = (
    "plain", "approved on the bell", "approved a second before", "expired on the bell", "expires a second after",
    "withdrawn", "withdrawn on the bell", "withdrawn a second before", "renewed", "renewed and withdrawn", "late",
    "gone", "survivor", "from the crm",
)  # fmt: skip


@pytest.fixture(scope="module")
def mart(new_company, mart_of):
    company = new_company()
    for account in ACCOUNTS:
        company.link_all(account, ("crm", "billing"))
    # merged: the alias's own record belongs to the survivor since the 10th
    company.account("alias")
    company.link("survivor", "crm", "alias", valid_from=datetime(2026, 1, 10))
    company.load(
        "billing",
        BEFORE,
        {
            "billing_subscription": [
                {
                    "subscription_id": account, "source_account_id": account, "status": "active", "currency": "USD",
                    "started_at": datetime(2024, 1, 1),
                }
                for account in ACCOUNTS
            ]
        },
    )  # fmt: skip
    company.load(
        "review",
        BEFORE,
        {"tier_override": [override("gone"), override("withdrawn"), override("renewed", "older", tier="at_risk")]},
        complete=("tier_override",),
    )
    company.load(
        "review",
        KNOWN,
        {
            "tier_override": [
                override("plain"),
                override("approved on the bell", approved_at=AS_OF),
                override("approved a second before", approved_at=datetime(2026, 1, 18, 23, 59, 59)),
                override("expired on the bell", expires_at=AS_OF),
                override("expires a second after", expires_at=datetime(2026, 1, 19, 0, 0, 1)),
                override("withdrawn", withdrawn_at=datetime(2026, 1, 14)),
                override("withdrawn on the bell", withdrawn_at=AS_OF),
                override("withdrawn a second before", withdrawn_at=datetime(2026, 1, 18, 23, 59, 59)),
                override("renewed", "older", tier="at_risk"),
                override("renewed", "newer", tier="healthy", approved_at=datetime(2026, 1, 15)),
                override("renewed and withdrawn", "kept", tier="at_risk"),
                override("renewed and withdrawn", "taken back", approved_at=datetime(2026, 1, 15),
                         withdrawn_at=datetime(2026, 1, 16)),
                override("alias"),
                override("nobody"),
            ]
        },
        complete=("tier_override",),
    )  # fmt: skip
    # a company without a desk: the crm's account ids, under the crm's name
    company.load("review", KNOWN, {"tier_override": [override("from the crm", "file")]}, system="crm_system")
    company.load("review", LATE, {"tier_override": [override("late", "late")]}, system="other_desk")
    built = mart_of(company)
    built.dbt("run", "--select", "+int_tier_overrides_weekly", "+source_freshness_weekly", weeks=[WEEK, WEEK.shift(1)])
    return built


def held(mart: Any, week: Week) -> dict[str, str]:
    return {row["account_id"]: row["override_id"] for row in read_tier_overrides(mart.settings, [week]).to_pylist()}


def test_the_overrides_that_hold_in_a_week(mart):
    assert held(mart, WEEK) == {
        "plain": "override of plain",
        "approved a second before": "override of approved a second before",
        "expires a second after": "override of expires a second after",
        "withdrawn on the bell": "override of withdrawn on the bell",
        "renewed": "newer",
        "renewed and withdrawn": "kept",
        "survivor": "override of alias",
        "from the crm": "file",
    }


def test_a_week_later_what_became_known_counts(mart):
    later = held(mart, WEEK.shift(1))
    assert {"late", "approved on the bell"} <= set(later)
    assert not {"withdrawn on the bell", "expires a second after", "gone"} & set(later)


def test_what_the_row_says(mart):
    rows = {row["account_id"]: row for row in read_tier_overrides(mart.settings, [WEEK]).to_pylist()}
    assert rows["renewed"] == {
        "account_id": "renewed",
        "week": WEEK.monday,
        "override_id": "newer",
        "override_tier": "healthy",
        "override_reason": "agreed",
        "override_approved_by": "lead@example.com",
        "override_expires_at": datetime(2026, 6, 1),
    }


def test_an_override_of_nobody_is_counted_and_holds_for_nobody(mart):
    query = "select override_id, is_newest from intermediate.int_tier_overrides_weekly where account_id is null"
    unnamed = mart.query(query)
    assert set(unnamed) == {("override of nobody", False)}


def test_the_review_is_none_of_the_kinds_of_source(mart):
    kinds = {kind for (kind,) in mart.query("select distinct source_kind from marts.source_freshness_weekly")}
    assert "review" not in kinds
    assert len(kinds) == 9
