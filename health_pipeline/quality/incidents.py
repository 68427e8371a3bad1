"""Incidents: a publication that was held back, with an owner, the checks that failed and ids of their rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    Column,
    Date,
    DateTime,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from health_pipeline.contract.clocks import Week
from health_pipeline.quality.verdict import CheckResult, Verdict

IncidentState = Literal["open", "assigned", "closed"]

METADATA = MetaData()
INCIDENT = Table(
    "incident",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("opened_at", DateTime, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("title", String(400), nullable=False),
    Column("owner_email", String(320), nullable=False),
    Column("state", String(10), nullable=False),
    Column("week", Date),
    Column("details", JSON, nullable=False),
    Column("closed_at", DateTime),
    Column("closed_by", String(320)),
    Column("note", String(2000)),
)


class IncidentError(ValueError):
    """An incident can't be found or changed so; the message says which and what to do."""


@dataclass(frozen=True)
class Incident:
    """One incident. `details` holds check names, counts and row ids, never a value of the data."""

    id: str
    opened_at: datetime
    kind: str
    title: str
    owner_email: str
    state: IncidentState
    week: date | None
    details: dict[str, Any]
    closed_at: datetime | None = None
    closed_by: str | None = None
    note: str | None = None

    @property
    def incident_id(self) -> str:
        """The id, by the name callers use beside other ids."""
        return self.id


def open_incident(
    ledger_url: str, verdict: Verdict, weeks: Sequence[Week], owner_email: str, opened_at: datetime
) -> Incident:
    """Open the incident of a candidate the audit refused: its newest week, its critical failures, their row ids."""
    week = max(weeks).monday if weeks else None
    return record_incident(ledger_url, "publication_refused", week, verdict.critical_failures, owner_email, opened_at)


def record_incident(
    ledger_url: str,
    kind: str,
    week: date | None,
    results: Sequence[CheckResult],
    owner_email: str,
    opened_at: datetime,
    title: str | None = None,
) -> Incident:
    """Open an incident of any kind, or return the one that is there for the same kind, week and set of checks.

    Parameters
    ----------
    kind : str
        What was held back, such as `publication_refused`.
    week : datetime.date or None
        Newest week (or the quarter's first day) of the candidate.
    results : checks that failed
    owner_email : str
        Who looks at it: `data_owner_email` of the company policy.
    opened_at : datetime
        UTC.
    title : str, optional
        One line; made of the checks where it is not given.

    Returns
    -------
    Incident
        Open again under a number of its own where an earlier one was closed.
    """
    checks = sorted(result.check for result in results)
    shown = ", ".join(checks[:3]) + (f" and {len(checks) - 3} more" if len(checks) > 3 else "")
    details = {"checks": [_detail(result) for result in sorted(results, key=lambda one: one.check)]}
    with ledger_engine(ledger_url) as engine:
        for episode in range(1, 10_000):
            key = json.dumps([kind, str(week), checks, episode])
            incident_id = f"i-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
            found = _find(engine, incident_id)
            if found is None:
                values = {
                    "id": incident_id,
                    "opened_at": _naive(opened_at),
                    "kind": kind,
                    "title": (title or f"{kind.replace('_', ' ').capitalize()}: {shown or 'no check'}")[:400],
                    "owner_email": owner_email,
                    "state": "open",
                    "week": week,
                    "details": details,
                }
                # Another process may have opened the same one in between: that one counts.
                with suppress(IntegrityError), engine.begin() as connection:
                    connection.execute(INCIDENT.insert().values(**values))
                found = _find(engine, incident_id)
            if found is not None and found.state != "closed":
                return found
    raise IncidentError(f"An incident of kind {kind} for {week} was closed 9,999 times; find its cause.")


def list_incidents(ledger_url: str, state: IncidentState | None = None) -> list[Incident]:
    """Incidents, newest first; of one state, or all."""
    query = select(INCIDENT).order_by(INCIDENT.c.opened_at.desc(), INCIDENT.c.id)
    if state is not None:
        query = query.where(INCIDENT.c.state == state)
    with ledger_engine(ledger_url) as engine, engine.connect() as connection:
        return [Incident(**row._mapping) for row in connection.execute(query)]


def assign_incident(ledger_url: str, incident_id: str, owner_email: str) -> Incident:
    """Give an incident to somebody.

    Raises
    ------
    IncidentError
        If there is none of that id, or it is closed.
    """
    return _change(ledger_url, incident_id, {"state": "assigned", "owner_email": owner_email})


def close_incident(ledger_url: str, incident_id: str, closed_by: str, note: str, closed_at: datetime) -> Incident:
    """Close an incident, with a note on what it was.

    Raises
    ------
    IncidentError
        If there is none of that id, it is closed already, or the note is empty.
    """
    if not note.strip() or not closed_by.strip():
        raise IncidentError("Closing an incident needs a name and a note on what it was and what was done.")
    values = {"state": "closed", "closed_by": closed_by, "note": note, "closed_at": _naive(closed_at)}
    return _change(ledger_url, incident_id, values)


def _change(ledger_url: str, incident_id: str, values: dict[str, Any]) -> Incident:
    with ledger_engine(ledger_url) as engine:
        with engine.begin() as connection:
            changed = connection.execute(
                update(INCIDENT).where(INCIDENT.c.id == incident_id, INCIDENT.c.state != "closed").values(**values)
            ).rowcount
        found = _find(engine, incident_id)
    if found is None:
        raise IncidentError(f"There is no incident {incident_id!r}; `health-pipeline incidents list` shows them.")
    if not changed:
        raise IncidentError(f"Incident {incident_id} was closed by {found.closed_by}; it can't be changed any more.")
    return found


@contextmanager
def ledger_engine(ledger_url: str) -> Iterator[Engine]:
    """An engine on the ledger for the length of a `with` block; creates its folder and the table where missing."""
    url = make_url(ledger_url)
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    if is_sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        METADATA.create_all(engine)
        yield engine
    finally:
        engine.dispose()


def _prepare_sqlite(connection: Any, _: object) -> None:
    # Readers do not wait for the writer, and a second writer waits instead of failing.
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma busy_timeout = 10000")


def _find(engine: Engine, incident_id: str) -> Incident | None:
    with engine.connect() as connection:
        row = connection.execute(select(INCIDENT).where(INCIDENT.c.id == incident_id)).one_or_none()
    return Incident(**row._mapping) if row is not None else None


def _detail(result: CheckResult) -> dict[str, Any]:
    return {
        "check": result.check,
        "severity": result.severity,
        "reason": result.reason,
        "evaluated": result.evaluated,
        "error": result.error,
        "unexpected_count": result.unexpected_count,
        "row_ids": [dict(row) for row in result.row_ids],
    }


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
