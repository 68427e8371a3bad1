"""Which landed records stand behind a feature's value: counts and ids by source table, as known then; never a text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from health_pipeline.contract.clocks import Week, naive_utc
from health_pipeline.contract.landing import landing_tables
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.mart.warehouse import INTERMEDIATE_SCHEMA
from health_pipeline.policy.company import Domain
from health_pipeline.policy.features import feature
from health_pipeline.policy.risk_signals import CATEGORIES
from health_pipeline.settings import Settings

SHOWN_IDS = 5
# A run may hold the warehouse: an explanation does not wait for it.
WAIT_SECONDS = 0.5
_WINDOW = re.compile(r"_(\d+)([dw])$")

# The landing tables a feature is read from: those of its domain, unless it is named below.
TABLES_OF_DOMAIN: dict[Domain, tuple[str, ...]] = {
    "commercial": ("billing_subscription",),
    "payment": ("billing_invoice",),
    "usage": ("usage_event", "usage_daily"),
    "support": ("support_ticket",),
    "engagement": ("cs_note",),
    "sentiment": ("survey_response",),
    "outcomes": ("cs_goal",),
    "risk": ("risk",),
}
TABLES_OF_FEATURE: dict[str, tuple[str, ...]] = {
    "invoiced_amount_91d": ("billing_invoice",),
    "invoices_91d": ("billing_invoice",),
    "days_since_last_invoice": ("billing_invoice",),
    "failed_payment_count_28d": ("billing_payment",),
    "license_utilisation": ("usage_event", "usage_daily", "billing_subscription"),
    "csat_91d": ("survey_response",),
    "has_active_champion": ("crm_contact",),
    "has_exec_sponsor": ("crm_contact",),
    "champion_left_180d": ("crm_contact",),
    "csm_sentiment": ("cs_note",),
    "renewal_pushed_days_91d": ("crm_opportunity",),
    "employee_count_change_share_365d": ("source_account",),
    "has_parent_changed_365d": ("source_account",),
    "sponsor_left_90d": ("crm_contact",),
    "sponsor_meetings_missed_91d": ("cs_note", "crm_contact"),
    "days_since_last_sponsor_touch": ("cs_note", "crm_contact"),
    "silent_channels_60d": ("usage_event", "usage_daily", "support_ticket", "cs_note"),
    "max_milestone_slip_days": ("pm_milestone",),
    "off_track_projects": ("pm_project",),
    "migration_projects": ("pm_project",),
    **{f"{category}_phrases_28d": ("support_ticket", "survey_response", "cs_note") for category in CATEGORIES},
    "risk_phrase_count_91d": ("support_ticket", "survey_response", "cs_note"),
    "text_sentiment_91d": ("support_ticket", "survey_response", "cs_note"),
    "csm_sentiment_age_days": ("cs_note",),
    "milestones_overdue_share": ("pm_milestone",),
    "onboarding_complete": ("pm_milestone",),
}
STATE_TABLES = ("billing_subscription",)
# Where the window lies on another moment than the one at which the record happened.
MOMENT_OF_FEATURE: dict[str, str] = {
    "late_payment_share_365d": "due_date",
    "full_resolution_minutes_median_91d": "solved_at",
    "champion_left_180d": "left_at",
    "sponsor_left_90d": "left_at",
}


@dataclass(frozen=True)
class LandedRecords:
    """Records of one landing table and system that belonged to the account and were known at known_at.

    They are what the feature is read from, not only the rows it counts: what counts is said once, in dbt.

    Attributes
    ----------
    records : how many were known then
    in_window : how many of them lie in the feature's window; None where its name states none
    newest_ids : up to five ids, the newest first, of the window where there is one
    """

    table: str
    source_system: str
    records: int
    in_window: int | None
    newest_ids: tuple[str, ...]


def tables_of(name: str) -> tuple[str, ...]:
    """The landing tables a feature is read from."""
    return TABLES_OF_FEATURE.get(name) or TABLES_OF_DOMAIN[feature(name).domain]


def landed_records(
    settings: Settings, links: pa.Table, account_id: str, features: Iterable[str], week: Week, known_at: datetime
) -> dict[str, tuple[LandedRecords, ...]]:
    """Look up the records behind features, in the history that dbt keeps in the warehouse.

    Parameters
    ----------
    settings : where state lives
    links : rows of account_links; those that held at `known_at` are followed
    account_id, week, known_at : the account's row of account_health_weekly
    features : names of features

    Returns
    -------
    dict of feature to LandedRecords
        One entry per table and system that has a record; nothing where it has none. Answers that name a ticket instead
        of an account are not followed.

    Raises
    ------
    FileNotFoundError
        If there is no warehouse on this machine.
    WarehouseBusyError
        If a run holds it.
    """
    records = _record_ids(links, account_id, known_at)
    found: dict[str, tuple[LandedRecords, ...]] = {}
    with open_duckdb(settings.warehouse, read_only=True, wait_seconds=WAIT_SECONDS) as connection:
        connection.register("account_records", records)
        there = {
            name
            for (name,) in connection.execute(
                "select table_name from information_schema.tables where table_schema = ?", [INTERMEDIATE_SCHEMA]
            ).fetchall()
        }
        for name in dict.fromkeys(features):
            parts = [
                part
                for table in tables_of(name)
                if history_of(table) in there
                for part in _records(connection, table, name, week, known_at)
            ]
            found[name] = tuple(parts)
    return found


def _record_ids(links: pa.Table, account_id: str, known_at: datetime) -> pa.Table:
    """The source records of the account then, by kind; a kind that sends no account records borrows its system's."""
    rows = [
        row
        for row in links.to_pylist()
        if row["valid_from"] <= known_at and (row["valid_to"] is None or known_at < row["valid_to"])
    ]
    kinds = {(row["source_system"], row["source_instance"], row["source_kind"]) for row in rows}
    own = [row for row in rows if row["account_id"] == account_id]
    columns = ("source_kind", "source_system", "source_instance", "source_account_id")
    found = {tuple(str(row[column]) for column in columns) for row in own}
    for row in own:
        system = (row["source_system"], row["source_instance"])
        for kind in {kind for table in landing_tables().values() for kind in table.kinds}:
            if (*system, kind) not in kinds:
                found.add((kind, *system, row["source_account_id"]))
    return pa.table({column: [row[place] for row in sorted(found)] for place, column in enumerate(columns)}).cast(
        pa.schema([(column, pa.string()) for column in columns])
    )


def history_of(table: str) -> str:
    """The history model that keeps a landing table."""
    return f"int_{table}_versions" if landing_tables()[table].is_mutable else f"int_{table}"


def _records(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, week: Week, known_at: datetime
) -> list[LandedRecords]:
    """Count and name the records of a table, by system."""
    as_of_at = naive_utc(week.as_of_at)
    # a state has no window of its own: its feature compares it with what it was
    days = None if table in STATE_TABLES else window_days(name)
    contract = landing_tables()[table]
    moment = MOMENT_OF_FEATURE.get(name, contract.event_time)
    happened = f"cast(records.{moment} as timestamp)" if moment else "cast(null as timestamp)"
    # where the event is the record's end (a milestone's completion), the record is there without it
    starts = contract.event_time if contract.event_time and contract.column(contract.event_time).is_required else None
    event = f"records.{starts} < $as_of_at" if starts else "true"
    known = (
        "records.valid_from <= $known_at and (records.valid_to is null or $known_at < records.valid_to)"
        if contract.is_mutable
        else "records.available_at <= $known_at"
    )
    # the last part of the key is the record's own id
    identity = f"cast(records.{contract.key[-1]} as varchar)"
    rows = connection.execute(
        f"""
        with known as (
            select records.source_system, {identity} as record_id, {happened} as happened_at
            from {_history(table)} as records
            inner join account_records using (source_kind, source_system, source_instance, source_account_id)
            where not records.is_deleted and coalesce({event}, true) and {known}
        ), placed as (
            select *, happened_at >= $window_start and happened_at < $as_of_at as is_in_window from known
        )
        select source_system, count(*) as records, count(*) filter (is_in_window) as in_window,
            list(record_id order by happened_at desc nulls last, record_id)
                filter (is_in_window or not $has_window)[1:{SHOWN_IDS}] as newest_ids
        from placed group by source_system order by source_system
        """,
        {
            "as_of_at": as_of_at,
            "known_at": known_at,
            "window_start": as_of_at - timedelta(days=days or 0),
            "has_window": days is not None and moment is not None,
        },
    ).fetchall()
    return [
        LandedRecords(table, system, count, None if days is None else in_window, tuple(ids or ()))
        for system, count, in_window, ids in rows
    ]


def _history(table: str) -> str:
    """The history of a table with the account's own id on it: an event's group, a milestone's project."""
    name = f"{INTERMEDIATE_SCHEMA}.{history_of(table)}"
    if table == "usage_event":
        return f"(select *, group_id as source_account_id from {name})"
    if table == "pm_milestone":
        owner = "source_kind, source_system, source_instance, project_id"
        projects = f"select distinct {owner}, source_account_id from {INTERMEDIATE_SCHEMA}.{history_of('pm_project')}"
        return f"(select * from {name} inner join ({projects}) using ({owner}))"
    return name


def window_days(name: str) -> int | None:
    """The days of the window that a feature's name states: `_28d`, `_4w`; None where it states none."""
    found = _WINDOW.search(name)
    return None if found is None else int(found.group(1)) * (7 if found.group(2) == "w" else 1)
