"""Each dbt test of what was built fails where it should: a build with a fault for each, and the same one without."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import duckdb
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.dbt import DBT_PROJECT

W1, W2 = Week(date(2026, 1, 5)), Week(date(2026, 1, 12))
L1, L2 = datetime(2026, 1, 12, 2), datetime(2026, 1, 19, 2)
# What each fault does to what was built, by the test that has to find it; None: it comes with another one, see below.
FAULTS = {
    "history_events": """
        insert into intermediate.int_support_message select * from intermediate.int_support_message
        where message_id = 'm2'""",
    "history_versions": """
        update intermediate.int_support_ticket_versions set valid_to = valid_from where ticket_id = 't2'""",
    "staging_rows": None,
    "usage_roll_ups_add_up": "update intermediate.int_usage_days set events = events + 1",
    "currencies_have_rates": "update intermediate.int_active_subscriptions_weekly set currency = 'XXX'",
    "grain": "insert into marts.account_features_weekly select * from marts.account_features_weekly",
    "one_row_per_spine_row": None,
}
GENERIC = {
    "grain": "grain_account_features_weekly_account_id__week",
    "one_row_per_spine_row": "one_row_per_spine_row_account_features_weekly_ref_int_account_week_spine_",
}


def ticket(name: str, at: datetime) -> dict:
    return {
        "ticket_id": name,
        "source_account_id": "alpha",
        "status": "open",
        "priority": "low",
        "created_at": at,
        "source_updated_at": at,
    }


def message(name: str, of: str, at: datetime) -> dict:
    return {"message_id": name, "ticket_id": of, "author_kind": "customer", "created_at": at, "body": "Hello."}


def event(name: str, at: datetime) -> dict:
    return {"event_id": name, "event_name": "opened", "group_id": "alpha", "user_id": "ann", "occurred_at": at}


@pytest.fixture
def mart(mart_of, new_company):
    """An account with a ticket, a message and an event in each of two loads, and a subscription; built and sound."""
    company = new_company()
    company.link_all("alpha")
    subscription = {
        "subscription_id": "s1",
        "source_account_id": "alpha",
        "status": "active",
        "currency": "USD",
        "arr": Decimal("1200.00"),
        "started_at": datetime(2024, 1, 1),
        "source_updated_at": datetime(2024, 1, 1),
    }
    company.load("billing", L1, {"billing_subscription": [subscription]}, mode="historical")
    for number, (week, at) in enumerate(((W1, L1), (W2, L2)), start=1):
        day = datetime.combine(week.monday, datetime.min.time()).replace(hour=9)
        told = message(f"m{number}", f"t{number}", day)
        company.load("support", at, {"support_ticket": [ticket(f"t{number}", day)], "support_message": [told]})
        company.load("usage", at, {"usage_event": [event(f"e{number}", day)]})
    return mart_of(company).build(W1, W2)


def statuses(mart, succeeds: bool) -> dict[str, str]:
    """What each test says of what was built, with the loads of the second week as the ones that the build took."""
    with duckdb.connect(str(mart.settings.warehouse)) as connection:
        newest = mart.company.load_sequences[-2]
        connection.execute("delete from landing.integrated_load where load_sequence >= ?", [newest])
    names = [GENERIC.get(name, name) for name in FAULTS]
    result = mart.dbt("test", "--select", *names, weeks=[W1, W2], succeeds=succeeds)
    found = {node.node.name: str(node.status) for node in result.result if node.node.resource_type == "test"}
    return {name: found[GENERIC.get(name, name)] for name in FAULTS}


def test_every_test_of_the_project_has_a_fault_here():
    folder = DBT_PROJECT / "tests"
    assert FAULTS.keys() == {path.stem for path in [*folder.glob("*.sql"), *folder.glob("generic/*.sql")]}


def test_a_sound_build_passes_and_each_fault_is_found_by_its_test(mart):
    assert statuses(mart, succeeds=True) == dict.fromkeys(FAULTS, "pass")
    with duckdb.connect(str(mart.settings.warehouse)) as connection:
        for fault in filter(None, FAULTS.values()):
            connection.execute(fault)
    # the landing says that the support's second load brought another message
    row = next(row for row in reversed(mart.company.manifest_rows) if row["table_name"] == "support_message")
    row["rows"] += 1
    found = statuses(mart, succeeds=False)
    # a currency without a rate is a warning: what is in it is unknown, and everything else is right
    assert found == {name: "warn" if name == "currencies_have_rates" else "fail" for name in FAULTS}
