"""Reads what people decided, as dbt made it of the ledger's landed events: cases, events by week, measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from health_pipeline.contract.clocks import Week, naive_utc
from health_pipeline.contract.event_chain import LOST, LOST_PREFIX
from health_pipeline.mart.account_facts import CaseAsKnown, Decided
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.mart.warehouse import INTERMEDIATE_SCHEMA
from health_pipeline.settings import Settings

# dbt's models on what was decided.
DECISION_MODELS = ("int_review_cases_weekly", "int_review_events_weekly", "int_review_ledgers_weekly")
# The events a week knows, without those that a restored ledger lacks and an admin has given up.
_KNOWN = (
    f"with landed as (select * from {INTERMEDIATE_SCHEMA}.int_review_event "
    "where occurred_at < ? and available_at <= ?), "
    f"lost as (select substring(event_id, {len(LOST_PREFIX) + 1}) as lost_id from landed where event_type = '{LOST}'), "
    "known as (select landed.* from landed left join lost on landed.event_id = lost.lost_id "
    f"where lost.lost_id is null and landed.event_type <> '{LOST}') "
)


def read_decided(settings: Settings, weeks: Sequence[Week]) -> dict[date, Decided]:
    """What people had decided as each week knew it.

    Parameters
    ----------
    weeks : of the newest build of the feature mart

    Returns
    -------
    dict of Monday to Decided
        One entry for each week.

    Raises
    ------
    FileNotFoundError
        If there is no warehouse yet.
    """
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        connected = {row["week"] for row in _rows(connection, "int_review_ledgers_weekly", weeks)}
        cases = _rows(connection, "int_review_cases_weekly", weeks)
    by_week: dict[date, dict[str, CaseAsKnown]] = {}
    for row in cases:
        by_week.setdefault(row["week"], {})[row["case_id"]] = case_of(row)
    return {week.monday: Decided(week.monday in connected, by_week.get(week.monday, {})) for week in weeks}


def read_case_rows(settings: Settings, weeks: Sequence[Week]) -> list[dict[str, Any]]:
    """Rows of int_review_cases_weekly of the weeks, by week and case."""
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        return _rows(connection, "int_review_cases_weekly", weeks)


def read_event_rows(settings: Settings, weeks: Sequence[Week]) -> list[dict[str, Any]]:
    """Rows of int_review_events_weekly of the weeks: the events that first count in them, by week and number."""
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        return _rows(connection, "int_review_events_weekly", weeks)


def read_measurements(settings: Settings, week: Week, cutoff_hours: int) -> pa.Table:
    """Every measurement event that a week knows, of all weeks before it too, ordered by time and id.

    Returns
    -------
    pyarrow.Table
        event_id, case_id, account_id, packet_id, event_type, is_by_person, occurred_at
    """
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        return connection.execute(
            f"{_KNOWN}select event_id, case_id, source_account_id as account_id, case_id as packet_id, "
            "measured_as as event_type, is_by_person, occurred_at from known "
            "where measured_as is not null order by occurred_at, event_id",
            [naive_utc(week.as_of_at), naive_utc(week.known_at(cutoff_hours))],
        ).to_arrow_table()


def read_audit_findings(settings: Settings, week: Week, cutoff_hours: int) -> pa.Table:
    """What people found on accounts drawn at random, as a week knows it: of each account and week the newest finding.

    Returns
    -------
    pyarrow.Table
        account_id, week, finding, missed_category, missed_signal, found_at, ordered by week and account
    """
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        return connection.execute(
            f"{_KNOWN}select account_id, week, finding, missed_category, missed_signal, found_at from ("
            "select source_account_id as account_id, audited_week as week, audit_finding as finding, missed_category, "
            "missed_signal, occurred_at as found_at, row_number() over (partition by source_account_id, audited_week "
            "order by seq desc, source_system, source_instance, event_id) as age_rank from known "
            "where event_type = 'audit_finding_recorded') as found where age_rank = 1 order by week, account_id",
            [naive_utc(week.as_of_at), naive_utc(week.known_at(cutoff_hours))],
        ).to_arrow_table()


def read_new_audit_findings(
    settings: Settings, weeks: Sequence[Week], cutoff_hours: int
) -> dict[date, list[dict[str, Any]]]:
    """By Monday the findings on accounts drawn at random that the week is the first to know; one put right is new."""
    known: dict[Week, list[dict[str, Any]]] = {}
    for one in {*weeks, *(week.shift(-1) for week in weeks)}:
        known[one] = read_audit_findings(settings, one, cutoff_hours).to_pylist()
    return {week.monday: [row for row in known[week] if row not in known[week.shift(-1)]] for week in weeks}


def case_of(row: Mapping[str, Any]) -> CaseAsKnown:
    """A row of int_review_cases_weekly as a case."""
    return CaseAsKnown(
        state=row["state"],
        severity=row["confirmed_severity"],
        follow_up_date=row["follow_up_date"],
        owner_email=row["assigned_owner_email"],
        residual_target=row["residual_target"],
        residual_actual=row["residual_actual"],
        verified_assumptions=_parts(row["settled_assumptions"]),
        confirmed_causes=_parts(row["confirmed_causes"]),
        risk_status=row["risk_status"],
        escalation=row["escalation"],
        decision=row["decision"],
        approved_at=row["approved_at"],
        outcome=row["outcome"],
        dismissal_reason=row["dismissal_reason"],
        ended_at=row["ended_at"],
        actions_taken=row["actions_taken"],
        responses_recorded=row["responses_recorded"],
    )


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _rows(connection: duckdb.DuckDBPyConnection, model: str, weeks: Iterable[Week]) -> list[dict[str, Any]]:
    last = {"int_review_cases_weekly": "case_id", "int_review_events_weekly": "seq"}.get(model, "source_system")
    found = connection.execute(
        f"select * from {INTERMEDIATE_SCHEMA}.{model} where list_contains(?, week) "
        f"order by week, source_system, source_instance, {last}",
        [[week.monday for week in weeks]],
    ).to_arrow_table()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows
