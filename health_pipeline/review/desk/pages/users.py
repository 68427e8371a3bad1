"""The users' page: who may do what; their sessions and sign-ins; the recorded switch for small teams."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from health_pipeline.review.database import LedgerError, writing
from health_pipeline.review.desk.notices import leave_notices
from health_pipeline.review.desk.rendering import counted, page
from health_pipeline.review.desk.sessions import end_sessions_of, unbind_identity
from health_pipeline.review.desk.visits import BadRequestError, Desk, Visit
from health_pipeline.review.permissions import ROLES, Person


def users_page(desk: Desk, visit: Visit) -> Response:
    """Everybody who uses the desk."""
    return page(desk, visit, "users.html.j2", people=list(visit.people.values()), roles=ROLES)


def set_user(desk: Desk, visit: Visit) -> Response:
    """Add or change a user. Who is switched off, or has another role, is signed out everywhere at once."""
    email = visit.one("email").lower()
    person = Person(
        email,
        visit.one("name"),
        # The ledger refuses what is no role.
        visit.one("role"),  # type: ignore[arg-type]
        visit.one("team") or None,
        visit.one("is_active") == "yes",
    )
    before = visit.people.get(email)
    if email == visit.me.email and (person.role != "admin" or not person.is_active):
        raise BadRequestError("Nobody takes the admin's role from themselves; another admin does.")
    try:
        desk.ledger.set_person(person, visit.me.email)
    except LedgerError as error:
        raise BadRequestError(str(error)) from error
    if before is not None and (not person.is_active or before.role != person.role):
        with writing(desk.ledger.engine) as connection:
            end_sessions_of(connection, email)
    leave_notices(desk, visit, [f"{person.name}: recorded."])
    return RedirectResponse("/users", HTTPStatus.SEE_OTHER)


def end_user_sessions(desk: Desk, visit: Visit) -> Response:
    """Sign a user out everywhere."""
    with writing(desk.ledger.engine) as connection:
        ended = end_sessions_of(connection, visit.one("email").lower())
    leave_notices(desk, visit, [f"{visit.one('email')}: {counted(ended, 'session')} ended."])
    return RedirectResponse("/users", HTTPStatus.SEE_OTHER)


def free_identity(desk: Desk, visit: Visit) -> Response:
    """Let the next person whom the provider names with that address sign in as the user; ends their sessions."""
    email = visit.one("email").lower()
    with writing(desk.ledger.engine) as connection:
        freed = unbind_identity(connection, email)
        end_sessions_of(connection, email)
    leave_notices(desk, visit, [f"{email}: {counted(freed, 'sign-in')} freed."])
    return RedirectResponse("/users", HTTPStatus.SEE_OTHER)


def switch_four_eyes(desk: Desk, visit: Visit) -> Response:
    """Switch the second person for severe cases off, or on again; recorded with who and why."""
    try:
        desk.ledger.set_four_eyes(visit.one("is_on") == "yes", visit.me.email, visit.one("reason"))
    except LedgerError as error:
        raise BadRequestError(str(error)) from error
    leave_notices(desk, visit, ["The switch is recorded."])
    return RedirectResponse("/rules", HTTPStatus.SEE_OTHER)
