"""The landed records behind a feature: those of the account, as known then, counted in the feature's window."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.landing import landing_tables
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.evidence import LandedRecords, landed_records, tables_of, window_days
from health_pipeline.policy.features import features
from health_pipeline.settings import Settings

WEEK = Week(date(2026, 3, 9))
AS_OF = datetime(2026, 3, 16)
KNOWN = AS_OF + timedelta(hours=6)
LONG_AGO = datetime(2020, 1, 1)
INSTANT = timedelta(microseconds=1)


def link(kind: str, record: str, account: str, valid_to: datetime | None = None) -> dict[str, Any]:
    return {
        "account_id": account,
        "source_kind": kind,
        "source_system": f"{kind}_system",
        "source_instance": "default",
        "source_account_id": record,
        "valid_from": LONG_AGO,
        "valid_to": valid_to,
    }


LINKS = [
    link("support", "org-1", "acc_1"),
    link("support", "org-2", "acc_2"),
    link("support", "org-3", "acc_1", valid_to=KNOWN),
    link("usage", "grp-1", "acc_1"),
    link("projects", "client-1", "acc_1"),
]


def ticket(name: str, created_at: datetime, record: str = "org-1", **given: Any) -> dict[str, Any]:
    return {
        "ticket_id": name,
        "source_account_id": record,
        "created_at": created_at,
        "valid_from": created_at,
        "valid_to": None,
        "is_deleted": False,
    } | given


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A warehouse that holds only the history of tickets, use, projects and milestones."""
    settings = Settings(home=tmp_path)
    settings.warehouse.parent.mkdir(parents=True)
    start = AS_OF - timedelta(days=91)
    tickets = [
        ticket("in", start),
        ticket("newest", AS_OF - INSTANT, valid_from=KNOWN),
        ticket("before", start - INSTANT),
        ticket("at the end", AS_OF),
        ticket("known too late", start, valid_from=KNOWN + INSTANT),
        ticket("replaced", start, valid_to=KNOWN),
        ticket("deleted", start, is_deleted=True),
        ticket("of another", start, record="org-2"),
        ticket("no longer linked", start, record="org-3"),
    ]
    day = AS_OF - timedelta(days=1)
    uses = [
        {"event_id": f"e{n}", "group_id": "grp-1", "occurred_at": day - timedelta(days=n), "available_at": day}
        for n in range(8)
    ]
    milestone = {
        "milestone_id": "m-1",
        "project_id": "p-1",
        "completed_at": datetime(2026, 4, 1),
        "valid_from": LONG_AGO,
    }
    project = {"project_id": "p-1", "source_account_id": "client-1", "valid_from": LONG_AGO}
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("create schema intermediate")
        for name, kind, rows in (
            ("int_support_ticket_versions", "support", tickets),
            ("int_usage_event", "usage", [{**row, "is_deleted": False} for row in uses]),
            (
                "int_pm_milestone_versions",
                "projects",
                [{**milestone, "is_deleted": False, "valid_to": datetime(2030, 1, 1)}],
            ),
            (
                "int_pm_project_versions",
                "projects",
                [{**project, "is_deleted": False, "valid_to": datetime(2030, 1, 1)}],
            ),
        ):
            origin = {"source_kind": kind, "source_system": f"{kind}_system", "source_instance": "default"}
            connection.register("fresh", pa.Table.from_pylist([{**origin, **row} for row in rows]))
            connection.execute(f"create table intermediate.{name} as select * from fresh")
            connection.unregister("fresh")
    return settings


@pytest.fixture
def links() -> pa.Table:
    return pa.Table.from_pylist(LINKS, schema=mart_tables()["account_links"].arrow_schema)


def test_records_are_the_accounts_own_as_known_then(settings: Settings, links: pa.Table) -> None:
    found = landed_records(settings, links, "acc_1", ["tickets_opened_91d", "open_backlog"], WEEK, KNOWN)
    assert found == {
        "tickets_opened_91d": (LandedRecords("support_ticket", "support_system", 3, 2, ("newest", "in")),),
        "open_backlog": (LandedRecords("support_ticket", "support_system", 3, None, ("newest", "in", "before")),),
    }


def test_use_is_found_by_its_group_and_milestones_by_their_project(settings: Settings, links: pa.Table) -> None:
    found = landed_records(settings, links, "acc_1", ["active_days_28d", "onboarding_complete"], WEEK, KNOWN)
    newest = ("e0", "e1", "e2", "e3", "e4")
    assert found["active_days_28d"] == (LandedRecords("usage_event", "usage_system", 8, 8, newest),)
    assert found["onboarding_complete"] == (LandedRecords("pm_milestone", "projects_system", 1, None, ("m-1",)),)


def test_an_account_without_records_has_none(settings: Settings, links: pa.Table) -> None:
    assert landed_records(settings, links, "acc_9", ["tickets_opened_91d"], WEEK, KNOWN) == {"tickets_opened_91d": ()}


def test_without_a_warehouse_it_says_so(tmp_path: Path, links: pa.Table) -> None:
    with pytest.raises(FileNotFoundError):
        landed_records(Settings(home=tmp_path / "nowhere"), links, "acc_1", ["open_backlog"], WEEK, KNOWN)


def test_every_feature_is_read_from_tables_of_the_landing() -> None:
    for name in features():
        assert set(tables_of(name)) <= set(landing_tables()), name


@pytest.mark.parametrize(
    ("name", "days"), [("meetings_91d", 91), ("usage_change_share_4w", 28), ("open_backlog", None)]
)
def test_the_window_is_the_one_in_the_features_name(name: str, days: int | None) -> None:
    assert window_days(name) == days
