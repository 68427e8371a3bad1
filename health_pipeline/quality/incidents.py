"""Incidents: a publication that was held back, with an owner, the checks that failed, ids of their rows, a history."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    Integer,
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

from health_pipeline.contract.clocks import Week, naive_utc
from health_pipeline.quality.verdict import CheckResult, Verdict

# open -> assigned (again and again) -> closed; or open -> closed. Closed is the end: the same failure afterwards is
# the next incident, which names this one.
IncidentState = Literal["open", "assigned", "closed"]
IncidentAct = Literal["opened", "failed again", "assigned", "closed"]
PIPELINE = "the pipeline"

NOTE_CHARACTERS = 2000
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
    Column("note", String(NOTE_CHARACTERS)),
)
# Append only: what happened to an incident, by whom, when.
INCIDENT_EVENT = Table(
    "incident_event",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", String(32), nullable=False, index=True),
    Column("at", DateTime, nullable=False),
    Column("by", String(320), nullable=False),
    Column("act", String(20), nullable=False),
    Column("owner_email", String(320), nullable=False),
    Column("note", String(NOTE_CHARACTERS)),
)
_PERSON = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


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

    def age(self, now: datetime) -> str:
        """How long it has been open, or was until it was closed: `3 hours`, `12 days`."""
        hours = int(((self.closed_at or naive_utc(now)) - self.opened_at).total_seconds() // 3600)
        number, unit = (hours, "hour") if hours < 48 else (hours // 24, "day")
        return f"{max(number, 0)} {unit}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class IncidentEvent:
    """One thing that happened to an incident; `owner_email` is whose it was afterwards."""

    incident_id: str
    at: datetime
    by: str
    act: IncidentAct
    owner_email: str
    note: str | None = None


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
    values = {
        "opened_at": naive_utc(opened_at),
        "kind": kind,
        "title": (title or f"{kind.replace('_', ' ').capitalize()}: {shown or 'no check'}")[:400],
        "owner_email": owner_email,
        "state": "open",
        "week": week,
        "details": details,
    }
    earlier: Incident | None = None
    with ledger_engine(ledger_url) as engine:
        for episode in range(1, 10_000):
            key = json.dumps([kind, str(week), checks, episode])
            incident_id = f"i-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
            found = _find(engine, incident_id)
            is_new = found is None
            if found is None:
                note = f"the same as {earlier.id}, which {earlier.closed_by} closed" if earlier else None
                # Another process may have opened the same one in between: that one counts.
                with suppress(IntegrityError), engine.begin() as connection:
                    connection.execute(INCIDENT.insert().values(id=incident_id, **values))
                    _note(connection, incident_id, opened_at, PIPELINE, "opened", owner_email, note)
                found = _find(engine, incident_id)
            if found is not None and found.state != "closed":
                if not is_new:
                    with engine.begin() as connection:
                        _note(connection, found.id, opened_at, PIPELINE, "failed again", found.owner_email)
                return found
            earlier = found
    raise IncidentError(f"An incident of kind {kind} for {week} was closed 9,999 times; find its cause.")


def list_incidents(ledger_url: str, state: IncidentState | None = None) -> list[Incident]:
    """Incidents, newest first; of one state, or all."""
    query = select(INCIDENT).order_by(INCIDENT.c.opened_at.desc(), INCIDENT.c.id)
    if state is not None:
        query = query.where(INCIDENT.c.state == state)
    with ledger_engine(ledger_url) as engine, engine.connect() as connection:
        return [Incident(**row._mapping) for row in connection.execute(query)]


def find_incident(ledger_url: str, incident_id: str) -> Incident:
    """The incident of that id.

    Raises
    ------
    IncidentError
        If there is none.
    """
    with ledger_engine(ledger_url) as engine:
        return _found(engine, incident_id)


def incident_events(ledger_url: str, incident_id: str | None = None) -> list[IncidentEvent]:
    """What happened to an incident, or to all of them, in order."""
    columns = [column for column in INCIDENT_EVENT.c if column.name != "id"]
    query = select(*columns).order_by(INCIDENT_EVENT.c.id)
    if incident_id is not None:
        query = query.where(INCIDENT_EVENT.c.incident_id == incident_id)
    with ledger_engine(ledger_url) as engine, engine.connect() as connection:
        return [IncidentEvent(**row._mapping) for row in connection.execute(query)]


def assign_incident(ledger_url: str, incident_id: str, owner_email: str, by: str, at: datetime) -> Incident:
    """Give an incident to a person; giving it to who has it already changes nothing.

    Raises
    ------
    IncidentError
        If there is none of that id, it is closed, nobody assigns it, or `owner_email` is no person's address.
    """
    owner = owner_email.strip()
    if not _PERSON.fullmatch(owner):
        raise IncidentError(
            f"{owner_email!r} is no person's address; an incident is given to somebody: ana@example.com."
        )
    if not by.strip():
        raise IncidentError("Assigning an incident needs the name of who assigns it.")
    values = {"state": "assigned", "owner_email": owner}
    return _change(ledger_url, incident_id, values, by.strip(), "assigned", at)


def close_incident(ledger_url: str, incident_id: str, closed_by: str, note: str, closed_at: datetime) -> Incident:
    """Close an incident, with a note on what it was.

    Raises
    ------
    IncidentError
        If there is none of that id, it is closed already, or the note is empty or too long.
    """
    if not note.strip() or not closed_by.strip():
        raise IncidentError("Closing an incident needs a name and a note on what it was and what was done.")
    if len(note) > NOTE_CHARACTERS:
        raise IncidentError(f"The note has {len(note):,} characters; {NOTE_CHARACTERS:,} fit.")
    values = {"state": "closed", "closed_by": closed_by, "note": note, "closed_at": naive_utc(closed_at)}
    return _change(ledger_url, incident_id, values, closed_by, "closed", closed_at, note)


def _change(
    ledger_url: str,
    incident_id: str,
    values: dict[str, Any],
    by: str,
    act: IncidentAct,
    at: datetime,
    note: str | None = None,
) -> Incident:
    with ledger_engine(ledger_url) as engine:
        before = _found(engine, incident_id)
        if all(getattr(before, name) == value for name, value in values.items()) and before.state != "closed":
            return before
        with engine.begin() as connection:
            changed = connection.execute(
                update(INCIDENT).where(INCIDENT.c.id == incident_id, INCIDENT.c.state != "closed").values(**values)
            ).rowcount
            if changed:
                _note(connection, incident_id, at, by, act, values.get("owner_email", before.owner_email), note)
        found = _found(engine, incident_id)
    if not changed:
        raise IncidentError(
            f"Incident {incident_id} was closed by {found.closed_by}; it can't be changed any more. Where the same "
            "check fails again, the next run opens the next incident."
        )
    return found


def _note(
    connection: Connection,
    incident_id: str,
    at: datetime,
    by: str,
    act: IncidentAct,
    owner_email: str,
    note: str | None = None,
) -> None:
    row = {
        "incident_id": incident_id,
        "at": naive_utc(at),
        "by": by,
        "act": act,
        "owner_email": owner_email,
        "note": note,
    }
    connection.execute(INCIDENT_EVENT.insert().values(**row))


def _found(engine: Engine, incident_id: str) -> Incident:
    found = _find(engine, incident_id)
    if found is None:
        raise IncidentError(f"There is no incident {incident_id!r}; `health-pipeline incidents list --all` shows them.")
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
