"""The users of the desk: role and team in the ledger's events, their name beside it; and the small-team switch."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select, update

from health_pipeline.contract.event_chain import LOSS_ACCEPTED, ChainHead
from health_pipeline.review.database import LedgerError
from health_pipeline.review.events import Draft
from health_pipeline.review.permissions import ROLES, Person, scope_of
from health_pipeline.review.schema import EVENT, USER

USER_SET = "user_set"
FOUR_EYES_SET = "four_eyes_set"
_PERSON = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def find_person(connection: Connection, email: str | None) -> Person | None:
    """The user of that address, active or not."""
    if email is None:
        return None
    row = connection.execute(select(USER).where(USER.c.email == email.lower())).mappings().first()
    return Person(**row) if row else None


def list_people(connection: Connection) -> list[Person]:
    """Every user, by address."""
    return [Person(**row) for row in connection.execute(select(USER).order_by(USER.c.email)).mappings()]


def has_admin(connection: Connection) -> bool:
    """Whether an active admin is there; until then the first user may be added by whoever runs the command."""
    query = select(USER.c.email).where(USER.c.role == "admin", USER.c.is_active).limit(1)
    return connection.execute(query).first() is not None


def save_person(connection: Connection, person: Person) -> None:
    """Write a user's row."""
    values = {"name": person.name, "role": person.role, "team": person.team, "is_active": person.is_active}
    changed = connection.execute(update(USER).where(USER.c.email == person.email).values(**values)).rowcount
    if not changed:
        connection.execute(USER.insert().values(email=person.email, **values))


def person_draft(connection: Connection, person: Person, by: str, now: datetime) -> tuple[Draft, Person]:
    """The event of adding or changing a user, and the user as kept.

    Raises
    ------
    LedgerError
        If `by` may not, or the address or role is none.
    """
    email = person.email.strip().lower()
    if not _PERSON.fullmatch(email) or not person.name.strip():
        raise LedgerError(f"{person.email!r} is no person: a user has an address, such as ana@example.com, and a name.")
    if person.role not in ROLES:
        raise LedgerError(f"There is no role {person.role!r}; the roles are {', '.join(ROLES)}.")
    if has_admin(connection) and scope_of(find_person(connection, by), "manage_users") is None:
        raise LedgerError(f"{by} may not change users; an active admin does.")
    if not has_admin(connection) and person.role != "admin":
        raise LedgerError("The first user is an admin; add one before the others.")
    kept = replace(person, email=email, name=person.name.strip())
    payload = {"email": email, "role": kept.role, "team": kept.team, "is_active": kept.is_active}
    return Draft(USER_SET, by, now, payload), kept


def four_eyes_draft(connection: Connection, is_on: bool, by: str, reason: str, now: datetime) -> Draft:
    """The event of the switch for small teams.

    Raises
    ------
    LedgerError
        If `by` is no admin or lead, or there is no reason.
    """
    if scope_of(find_person(connection, by), "switch_four_eyes") is None:
        raise LedgerError(f"{by} may not switch the second person off or on; an admin or a lead does.")
    if not reason.strip():
        raise LedgerError("Switching the second person off or on needs a reason; it is recorded.")
    return Draft(FOUR_EYES_SET, by, now, {"is_on": is_on})


def loss_draft(connection: Connection, anchor: ChainHead, by: str, reason: str, now: datetime) -> Draft:
    """The event by which an admin accepts that the chain lost an anchored event.

    Raises
    ------
    LedgerError
        If `by` is no admin, or there is no reason.
    """
    if scope_of(find_person(connection, by), "manage_users") is None:
        raise LedgerError(f"{by} may not accept that events were lost; an admin does.")
    if not reason.strip():
        raise LedgerError("Accepting a loss needs a reason: what was lost, and how that is known.")
    return Draft(LOSS_ACCEPTED, by, now, anchor.as_dict())


def is_four_eyes_on(connection: Connection) -> bool:
    """Whether high and critical cases need a second person: yes, until somebody switched it off on the record."""
    query = select(EVENT.c.payload).where(EVENT.c.type == FOUR_EYES_SET).order_by(EVENT.c.seq.desc()).limit(1)
    newest = connection.execute(query).scalar_one_or_none()
    return newest is None or bool(json.loads(newest)["is_on"])
