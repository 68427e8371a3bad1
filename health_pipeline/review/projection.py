"""The cases as they are now, as rows beside the chain: written with each event, made anew from the events on demand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, case, delete, func, select, update

from health_pipeline.review.cases import CASE_JSON, SEVERITY_RANK, Case, Event, waits_from
from health_pipeline.review.database import in_parts
from health_pipeline.review.fold import fold
from health_pipeline.review.schema import CASE


@dataclass(frozen=True)
class CaseFilter:
    """Which cases; every part that is given must hold.

    Attributes
    ----------
    waiting_at : datetime or None
        Only those in the queue at that instant.
    owner_emails, states, severities, categories, account_ids : sequences of str, or None
    has_owner : bool or None
        False: those nobody owns.
    renewal_within_days : int or None
        Only those whose renewal is so near, counted from `waiting_at`.
    offset, limit : int
    """

    waiting_at: datetime | None = None
    owner_emails: Sequence[str] | None = None
    states: Sequence[str] | None = None
    severities: Sequence[str] | None = None
    categories: Sequence[str] | None = None
    account_ids: Sequence[str] | None = None
    has_owner: bool | None = None
    renewal_within_days: int | None = None
    offset: int = 0
    limit: int | None = None


def save_cases(connection: Connection, cases: Iterable[Case], known: set[str]) -> None:
    """Write cases; `known` are the ids of those that have a row already."""
    new = []
    for one in cases:
        row = _row(one)
        if one.case_id in known:
            connection.execute(update(CASE).where(CASE.c.case_id == one.case_id).values(**row))
        else:
            new.append(row)
    if new:
        connection.execute(CASE.insert(), new)


def find_cases(connection: Connection, case_ids: Sequence[str]) -> dict[str, Case]:
    """Cases by id; those that are not there are left out."""
    found: dict[str, Case] = {}
    for part in in_parts(case_ids):
        for row in connection.execute(select(CASE.c.document).where(CASE.c.case_id.in_(part))):
            one = CASE_JSON.validate_json(row.document)
            found[one.case_id] = one
    return found


def query_cases(connection: Connection, wanted: CaseFilter) -> list[Case]:
    """Cases of a filter in the queue's order: overdue first, then severity, then value at risk, then renewal date."""
    overdue = case((CASE.c.follow_up_on < _day(wanted), 0), else_=1)
    query = _filtered(select(CASE.c.document), wanted).order_by(
        overdue,
        CASE.c.severity_rank.desc(),
        CASE.c.value_at_risk.desc().nulls_last(),
        CASE.c.renewal_on.asc().nulls_last(),
        CASE.c.case_id,
    )
    query = query.offset(wanted.offset).limit(wanted.limit)
    return [CASE_JSON.validate_json(row.document) for row in connection.execute(query)]


def count_cases(connection: Connection, wanted: CaseFilter) -> int:
    """How many cases a filter has, whatever its limit."""
    return int(connection.execute(_filtered(select(func.count()).select_from(CASE), wanted)).scalar_one())


def fold_all(events: Iterable[Event]) -> dict[str, Case]:
    """Every case, made anew from the events in order."""
    cases: dict[str, Case] = {}
    for event in events:
        if event.case_id is not None:
            cases[event.case_id] = fold(cases.get(event.case_id), event)
    return cases


def differing_cases(connection: Connection, events: Iterable[Event]) -> list[str]:
    """Ids of cases whose row is not what their events give; missing and additional ones too."""
    made = fold_all(events)
    stored = {one.case_id: one for one in query_cases(connection, CaseFilter())}
    return sorted(name for name in made.keys() | stored.keys() if made.get(name) != stored.get(name))


def rebuild_cases(connection: Connection, events: Iterable[Event]) -> int:
    """Write every case anew from the events; the number of cases."""
    made = fold_all(events)
    connection.execute(delete(CASE))
    save_cases(connection, made.values(), set())
    return len(made)


def _day(wanted: CaseFilter) -> Any:
    moment = wanted.waiting_at or datetime.max.replace(tzinfo=UTC)
    return moment.astimezone(UTC).date() if wanted.waiting_at else moment.date()


def _filtered(query: Select[Any], wanted: CaseFilter) -> Select[Any]:
    lists = {
        CASE.c.owner_email: wanted.owner_emails,
        CASE.c.state: wanted.states,
        CASE.c.severity: wanted.severities,
        CASE.c.category: wanted.categories,
        CASE.c.account_id: wanted.account_ids,
    }
    for column, values in lists.items():
        if values is not None:
            query = query.where(column.in_(values))
    if wanted.waiting_at is not None:
        query = query.where(CASE.c.waits_from <= _day(wanted))
    if wanted.has_owner is not None:
        query = query.where(CASE.c.owner_email.is_not(None) if wanted.has_owner else CASE.c.owner_email.is_(None))
    if wanted.renewal_within_days is not None:
        query = query.where(CASE.c.renewal_on <= _day(wanted) + timedelta(days=wanted.renewal_within_days))
    return query


def _row(one: Case) -> dict[str, Any]:
    renewal = None
    if one.days_to_renewal is not None:
        renewal = one.as_of_at.date() + timedelta(days=one.days_to_renewal)
    return {
        "case_id": one.case_id,
        "account_id": one.account_id,
        "version": one.version,
        "state": one.state,
        "severity": one.severity,
        "severity_rank": SEVERITY_RANK[one.severity],
        "category": one.category,
        "owner_email": one.owner_email,
        "value_at_risk": one.value_at_risk,
        "renewal_on": renewal,
        "follow_up_on": one.follow_up_on,
        "waits_from": waits_from(one),
        "is_quiet": one.is_quiet,
        "document": CASE_JSON.dump_json(one).decode(),
    }
