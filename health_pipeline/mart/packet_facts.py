"""Reads what packets show of their accounts from the warehouse, as known then: dbt's views and the marts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.account_facts import (
    AccountFacts,
    Contract,
    Goal,
    RecordKey,
    RecordText,
    RegisterEntry,
    RenewalDeal,
    SentimentWeek,
    Stakeholder,
)
from health_pipeline.mart.connection import has_table, open_duckdb
from health_pipeline.mart.warehouse import DBT_SCHEMA, INTERMEDIATE_SCHEMA, OUTPUT_SCHEMA
from health_pipeline.settings import Settings

# dbt's views on what a packet shows beside features.
FACT_MODELS = tuple(f"int_packet_{name}_weekly" for name in ("goals", "stakeholders", "contracts", "register"))
Place = tuple[str, date]
Rows = dict[Place, list[dict[str, Any]]]
_SENTIMENT = ("csm_sentiment", "nps_account_90d", "csat_91d")


def read_account_facts(
    settings: Settings, wanted: Iterable[tuple[str, Week]], sentiment_weeks: int = 13
) -> dict[Place, AccountFacts]:
    """Read the facts of accounts in weeks.

    Parameters
    ----------
    settings : where state lives
    wanted : account ids and weeks; the build of the feature mart must have had the weeks
    sentiment_weeks : how many weeks of mood, the week itself included

    Returns
    -------
    dict of (account_id, Monday) to AccountFacts
        One entry for each wanted; an account without a row in the week has no features.

    Raises
    ------
    FileNotFoundError
        If there is no warehouse yet.
    """
    places = sorted({(account, week.monday) for account, week in wanted})
    if not places:
        return {}
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        connection.register("wanted", _wanted(places))
        names = dict(connection.execute(f"select account_id, account_name from {DBT_SCHEMA}.accounts").fetchall())
        features = _rows(connection, f"{DBT_SCHEMA}.account_features_weekly")
        health = _rows(connection, f"{OUTPUT_SCHEMA}.account_health_weekly")
        before = _rows(connection, f"{DBT_SCHEMA}.account_features_weekly", weeks_back=1)
        health_before = _rows(connection, f"{OUTPUT_SCHEMA}.account_health_weekly", weeks_back=1)
        goals = _rows(connection, _view("goals"))
        people = _rows(connection, _view("stakeholders"))
        contracts = _rows(connection, _view("contracts"))
        register = _rows(connection, _view("register"))
        deals = _rows(connection, f"{INTERMEDIATE_SCHEMA}.int_renewals_weekly")
        sentiment = _sentiment(connection, sentiment_weeks)
    return {
        place: AccountFacts(
            account_id=place[0],
            week=place[1],
            account_name=names.get(place[0]),
            owner_email=_only(features, place).get("owner_email"),
            features=_only(features, place),
            features_before=_only(before, place),
            health=_only(health, place),
            health_before=_only(health_before, place),
            week_before=_only(before, place).get("week"),
            goals=_sorted(_goal(row) for row in goals[place]),
            stakeholders=_sorted(_stakeholder(row) for row in people[place]),
            contracts=_sorted(_contract(row) for row in contracts[place]),
            renewal_deal=_deal(_only(deals, place)),
            register=_sorted(_entry(row) for row in register[place]),
            sentiment=tuple(
                SentimentWeek(row["week"], *(row[name] for name in _SENTIMENT)) for row in sentiment[place]
            ),
        )
        for place in places
    }


def _wanted(places: Sequence[Place]) -> pa.Table:
    return pa.table(
        {
            "account_id": pa.array([account for account, _ in places], pa.string()),
            "wanted_week": pa.array([week for _, week in places], pa.date32()),
        }
    )


def _view(name: str) -> str:
    return f"{INTERMEDIATE_SCHEMA}.int_packet_{name}_weekly"


def _rows(connection: duckdb.DuckDBPyConnection, table: str, weeks_back: int = 0) -> Rows:
    """The rows of the wanted accounts, by the week they are wanted for; none where the table was not built yet."""
    found: Rows = defaultdict(list)
    if not has_table(connection, *table.split(".")):
        return found
    rows = connection.execute(
        f"select wanted.wanted_week, facts.* from wanted inner join {table} as facts "
        f"on wanted.account_id = facts.account_id and facts.week = {_earlier(weeks_back)}"
    ).to_arrow_table()
    for row in rows.to_pylist():
        found[(row["account_id"], row.pop("wanted_week"))].append(row)
    return found


def _earlier(weeks: int) -> str:
    return f"cast(wanted.wanted_week - interval {weeks * 7} day as date)"


def _only(rows: Rows, place: Place) -> Mapping[str, Any]:
    return rows[place][0] if rows[place] else {}


def _sorted(items: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(items, key=lambda item: item.record))


def _sentiment(connection: duckdb.DuckDBPyConnection, weeks: int) -> Rows:
    rows = connection.execute(
        f"select wanted.wanted_week, facts.account_id, facts.week, {', '.join('facts.' + name for name in _SENTIMENT)} "
        f"from wanted inner join {DBT_SCHEMA}.account_features_weekly as facts on wanted.account_id = facts.account_id "
        f"and facts.week <= wanted.wanted_week and facts.week > {_earlier(weeks)} "
        "order by facts.week"
    ).to_arrow_table()
    found: Rows = defaultdict(list)
    for row in rows.to_pylist():
        found[(row["account_id"], row["wanted_week"])].append(row)
    return found


def _key(row: Mapping[str, Any], table: str, record_id: str) -> RecordKey:
    return RecordKey(
        row["source_kind"], row["source_system"], row["source_instance"], table, str(row[record_id]), row["load_id"]
    )


def _text(record: RecordKey, field: str, text: str | None) -> RecordText | None:
    return RecordText(record, field, text) if text else None


def _goal(row: Mapping[str, Any]) -> Goal:
    record = _key(row, "cs_goal", "goal_id")
    return Goal(
        record,
        _text(record, "name", row["name"]),
        _text(record, "unit", row["unit"]),
        row["status"],
        bool(row["is_achieved"]),
        bool(row["is_overdue"]),
        row["baseline_value"],
        row["target_value"],
        row["current_value"],
        row["due_date"],
        row["last_validated_at"],
    )


def _stakeholder(row: Mapping[str, Any]) -> Stakeholder:
    record = _key(row, "crm_contact", "contact_id")
    return Stakeholder(
        record,
        _text(record, "full_name", row["full_name"]),
        _text(record, "title", row["title"]),
        row["role"],
        bool(row["is_there"]),
        row["left_on"],
        row["last_two_way_at"],
        int(row["meetings_missed"]),
    )


def _contract(row: Mapping[str, Any]) -> Contract:
    record = _key(row, "billing_subscription", "subscription_id")
    return Contract(record, row["period_ends_on"], row["is_auto_renewing"], row["ends_on"])


def _deal(row: Mapping[str, Any]) -> RenewalDeal | None:
    if not row.get("renewal_opportunity_id"):
        return None
    record = RecordKey(
        row["renewal_source_kind"],
        row["renewal_source_system"],
        row["renewal_source_instance"],
        "crm_opportunity",
        row["renewal_opportunity_id"],
        row["renewal_load_id"],
    )
    return RenewalDeal(record, row["renewal_stage"], row["renewal_due_date"])


def _entry(row: Mapping[str, Any]) -> RegisterEntry:
    record = _key(row, "risk", "risk_id")
    return RegisterEntry(
        record,
        _text(record, "title", row["title"]),
        row["category"],
        row["status"],
        row["likelihood"],
        row["impact"],
        row["identified_on"],
        row["closed_on"],
    )
