"""Unknown is not zero: not connected, connected and silent, unknown account and zero denominator are four answers."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from health_pipeline.contract.clocks import Week

WEEK = Week(date(2026, 1, 12))
# as_of_at is Monday the 19th, 00:00; known_at 06:00
LOADED = datetime(2026, 1, 19, 2)


def subscription(account: str, **columns) -> dict:
    return {
        "subscription_id": f"sub-{account}",
        "source_account_id": account,
        "status": "active",
        "currency": "USD",
        "arr": Decimal("1200.00"),
        "quantity": 10,
        "started_at": datetime(2024, 1, 1),
        "current_period_end": datetime(2026, 12, 31),
        **columns,
    }


def event(number: int, account: str, at: datetime, user: str | None = "ann", feature: str = "reports") -> dict:
    return {
        "event_id": f"e{number}",
        "event_name": "opened",
        "group_id": account,
        "user_id": user,
        "feature_key": feature,
        "occurred_at": at,
        "received_at": at,
    }


@pytest.fixture(scope="module")
def built(new_company, mart_of):
    company = new_company()
    # survey, risk, projects, cs and engagement are not connected
    for account in ("silent", "active", "paused", "nameless", "rolled up"):
        company.link_all(account, ("crm", "billing", "support", "usage"))
    company.link_all("unmapped", ("crm", "billing", "usage"))
    company.load(
        "billing",
        LOADED,
        {
            "billing_subscription": [
                subscription("silent"),
                subscription("active"),
                subscription("paused", quantity=0),
                subscription("unmapped"),
                subscription("nameless"),
                subscription("rolled up"),
            ],
            "billing_invoice": [],
        },
    )
    company.load("crm", LOADED, {"source_account": [], "crm_contact": []})
    company.load(
        "support",
        LOADED,
        {
            "support_ticket": [
                {
                    "ticket_id": "t1",
                    "source_account_id": "active",
                    "status": "open",
                    "priority": "high",
                    "created_at": datetime(2026, 1, 14),
                }
            ],
            "survey_response": [],
        },
    )
    company.load(
        "usage",
        LOADED,
        {
            "usage_event": [
                event(1, "active", datetime(2026, 1, 15)),
                # long before the windows, while others are active: silence of an account, not of the source
                event(2, "paused", datetime(2025, 10, 1)),
                event(3, "nameless", datetime(2026, 1, 15), user=None),
            ],
            "usage_daily": [
                {"source_account_id": "rolled up", "usage_date": date(2026, 1, 15), "active_users": 4, "events": 9}
            ],
        },
    )
    return mart_of(company).build(WEEK, tests=True)


def test_a_source_that_is_not_connected_gives_null_and_missing(built):
    row = built.row("active", WEEK)
    assert (row["open_risks"], row["max_open_risk_severity"], row["risk_status"]) == (None, None, "missing")
    assert (row["nps_answers_90d"], row["nps_account_90d"], row["sentiment_status"]) == (None, None, "missing")
    assert (row["meetings_91d"], row["overdue_goals"], row["outcomes_status"]) == (None, None, "missing")


def test_a_table_that_a_connected_source_does_not_send_is_not_zero_either(built):
    row = built.row("active", WEEK)
    assert row["failed_payment_count_28d"] is None
    assert (row["overdue_amount"], row["max_days_past_due"]) == (Decimal("0.00"), 0)


def test_a_connected_silent_source_gives_zero(built):
    row = built.row("silent", WEEK)
    assert (row["tickets_opened_28d"], row["tickets_opened_91d"], row["open_backlog"]) == (0, 0, 0)
    assert (row["active_users_28d"], row["active_days_28d"], row["feature_breadth_28d"]) == (0, 0, 0)
    assert (row["support_status"], row["usage_status"]) == ("zero", "zero")
    assert (row["support_newest_fact_age_days"], row["days_since_last_activity"]) == (None, None)
    assert (row["has_active_champion"], row["has_exec_sponsor"], row["champion_left_180d"]) == (False, False, False)


def test_an_account_that_a_connected_source_does_not_know_gives_null_and_missing(built):
    row = built.row("unmapped", WEEK)
    assert (row["tickets_opened_91d"], row["open_backlog"], row["support_status"]) == (None, None, "missing")
    assert row["usage_status"] == "zero"


def test_a_rate_over_nothing_is_null(built):
    silent, paused = built.row("silent", WEEK), built.row("paused", WEEK)
    assert (silent["stickiness"], silent["usage_depth_28d"], silent["usage_change_share_4w"]) == (None, None, None)
    assert (silent["license_utilisation"], paused["license_utilisation"]) == (0.0, None)
    assert (silent["urgent_high_share_91d"], silent["csat_91d"], silent["late_payment_share_365d"]) == (
        None,
        None,
        None,
    )
    assert built.row("active", WEEK)["urgent_high_share_91d"] == 1.0


def test_what_the_crm_does_not_send_is_not_no(built):
    row = built.row("active", WEEK)
    # contacts are sent and empty, opportunities are not sent, no account record says who owns it or what is above it
    assert (row["has_active_champion"], row["has_open_renewal_opportunity"], row["renewal_stage"]) == (
        False,
        None,
        None,
    )
    assert (row["owner_changes_365d"], row["reopen_rate_91d"]) == (None, None)
    assert (row["parent_account_id"], row["ultimate_parent_account_id"], row["child_accounts"]) == (None, None, None)
    rolled_up = {name: value for name, value in row.items() if "_rolled_up" in name}
    assert len(rolled_up) == 8
    assert set(rolled_up.values()) == {None}


def test_use_that_does_not_say_by_whom_or_of_what_is_not_use_by_nobody(built):
    nameless, rolled_up = built.row("nameless", WEEK), built.row("rolled up", WEEK)
    assert (nameless["active_users_28d"], nameless["license_utilisation"], nameless["stickiness"]) == (None, None, None)
    assert (nameless["active_days_28d"], nameless["feature_breadth_28d"], nameless["usage_status"]) == (
        1,
        1,
        "measured",
    )
    assert (rolled_up["active_users_28d"], rolled_up["license_utilisation"]) == (4, 0.4)
    assert (rolled_up["feature_breadth_28d"], rolled_up["features_first_used_28d"]) == (None, None)


def test_an_account_that_fell_silent_while_the_source_speaks_is_zero_not_stale(built):
    row = built.row("paused", WEEK)
    assert (row["usage_status"], row["active_users_28d"], row["days_since_last_activity"]) == ("zero", 0, 110)


def test_the_freshness_of_each_kind_says_what_is_connected(built):
    rows = {row["source_kind"]: row for row in built_rows(built, "source_freshness_weekly")}
    assert len(rows) == 9
    assert {kind for kind, row in rows.items() if row["is_connected"]} == {"crm", "billing", "support", "usage"}
    assert rows["usage"]["newest_fact_at"] == datetime(2026, 1, 15)
    assert (rows["usage"]["records"], rows["usage"]["loads"], rows["usage"]["is_stale"]) == (4, 1, False)
    assert (rows["crm"]["records"], rows["crm"]["match_share"], rows["risk"]["match_share"]) == (0, None, None)


def built_rows(mart, table: str) -> list[dict]:
    from health_pipeline.mart.warehouse import read_mart

    return read_mart(mart.settings, table, [WEEK]).to_pylist()
