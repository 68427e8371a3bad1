"""Who may go where: one access rule for each route, and the admission that applies it. Without a rule no page."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from sqlalchemy import Connection
from starlette.requests import Request

from health_pipeline.observability.logs import get_logger
from health_pipeline.review import people
from health_pipeline.review.database import reading, writing
from health_pipeline.review.desk.desk_settings import LOOPBACK_NAMES, is_loopback_address
from health_pipeline.review.desk.proxy import proxied_email
from health_pipeline.review.desk.sessions import (
    NOTED_EVERY,
    Session,
    csrf_token,
    find_session,
    note_seen,
    start_session,
)
from health_pipeline.review.desk.visits import (
    BadRequestError,
    Desk,
    ForbiddenError,
    Handler,
    NotFoundError,
    NotSignedInError,
    TooManyError,
    Visit,
)
from health_pipeline.review.permissions import GRANTS, Permission
from health_pipeline.review.projection import CaseFilter, find_cases, query_cases
from health_pipeline.review.tokens import TokenRefusedError, admitted, note_used

log = get_logger("review")

Subject = Literal["nothing", "case", "account"]


@dataclass(frozen=True)
class Route:
    """One address of the desk.

    Attributes
    ----------
    needs : "anyone", "signed_in", "token" (of another system), or the permission the person's role must have
    of : what the permission is for: the case or the account of the address, by who owns it; "nothing": the role alone
    handler : makes the answer; called only for whom the rule admits
    """

    method: Literal["GET", "POST"]
    path: str
    needs: Literal["anyone", "signed_in", "token"] | Permission
    handler: Handler
    of: Subject = "nothing"


def admit(desk: Desk, route: Route, request: Request, form: Mapping[str, list[str]], now: datetime) -> Visit:
    """Let a request in, with who makes it and the case it is about.

    Raises
    ------
    BadRequestError
        If the host is not this desk's, or a form does not come from one of its pages.
    NotSignedInError, TokenRefusedError, ForbiddenError, NotFoundError, TooManyError
        As they say.
    """
    _check_host(desk, request)
    if route.method == "POST":
        _check_origin(desk, request)
    client = request.client.host if request.client else ""
    if route.path.startswith("/sign-in/") and (wait := desk.sign_ins.wait_seconds(client)):
        raise TooManyError(wait)
    if route.needs == "anyone":
        return Visit(request, now, form=form)
    if route.needs == "token":
        return _by_token(desk, request, client, now)
    visit = _signed_in(desk, request, form, now)
    if route.method == "POST":
        if not hmac.compare_digest(visit.one("csrf"), visit.csrf):
            raise BadRequestError("This form is not of your present session; open the page again and send it anew.")
        if wait := desk.posts.wait_seconds(visit.me.email):
            raise TooManyError(wait)
    return _of_subject(desk, route, visit)


def _by_token(desk: Desk, request: Request, client: str, now: datetime) -> Visit:
    """Another system, by the token in its Authorization header; never by a cookie, never in an address."""
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer" or not presented.strip():
            raise TokenRefusedError("This address is for other systems: send `Authorization: Bearer` and a token.")
        with reading(desk.ledger.engine) as connection:
            token = admitted(connection, presented.strip(), now)
    except TokenRefusedError as error:
        log.warning("pull_refused", client=client, path=request.url.path, reason=str(error))
        if wait := desk.sign_ins.wait_seconds(f"token:{client}"):
            raise TooManyError(wait) from error
        raise
    if wait := desk.pulls.wait_seconds(token.token_id):
        raise TooManyError(wait)
    if token.used_at is None or now - token.used_at >= NOTED_EVERY:
        with writing(desk.ledger.engine) as connection:
            note_used(connection, token, now)
    return Visit(request, now, pulled_by=token)


def _check_host(desk: Desk, request: Request) -> None:
    given = request.headers.get("host", "").lower()
    if given == desk.settings.host:
        return
    # On this machine its names are one; anything else is another site's name that points here.
    if desk.settings.is_loopback:
        there, wanted = urlsplit(f"//{given}"), urlsplit(f"//{desk.settings.host}")
        if there.hostname in LOOPBACK_NAMES and there.netloc.rpartition(":")[2] == wanted.netloc.rpartition(":")[2]:
            return
    raise BadRequestError("This desk is not reached by that name; use the address your administrator gave you.")


def _check_origin(desk: Desk, request: Request) -> None:
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise BadRequestError("That form was sent from another site.")
    origin = request.headers.get("origin")
    scheme = "https" if desk.settings.is_https else "http"
    if origin is not None and origin.lower() != f"{scheme}://{request.headers.get('host', '').lower()}":
        raise BadRequestError("That form was sent from another site.")


def _signed_in(desk: Desk, request: Request, form: Mapping[str, list[str]], now: datetime) -> Visit:
    token = request.cookies.get(desk.cookie)
    with reading(desk.ledger.engine) as connection:
        session = find_session(connection, token, now, desk.idle, desk.longest) if token else None
        everybody = {person.email: person for person in people.list_people(connection)}
    if desk.settings.sign_in == "proxy":
        session, token = _proxied(desk, request, session, token, now)
    if session is None or token is None:
        raise NotSignedInError
    if desk.settings.sign_in == "demo" and not is_loopback_address(request.client.host if request.client else None):
        raise NotSignedInError
    person = everybody.get(session.email)
    if person is None or not person.is_active:
        raise ForbiddenError(f"{session.email} is no active user of this desk; an admin adds users.")
    if now - session.seen_at >= NOTED_EVERY:
        with writing(desk.ledger.engine) as connection:
            note_seen(connection, session.session_id, now)
    return Visit(request, now, everybody, person, session, token, form)


def _proxied(
    desk: Desk, request: Request, session: Session | None, token: str | None, now: datetime
) -> tuple[Session | None, str | None]:
    """The session of whom the proxy vouches for with this request; a new one where there is none of theirs."""
    email = proxied_email(desk.settings, request.headers, request.client.host if request.client else None)
    if email is None:
        return None, None
    if session is not None and session.email == email:
        return session, token
    with writing(desk.ledger.engine) as connection:
        token = start_session(connection, email, "proxy", request.headers.get("user-agent", ""), now)
        session = find_session(connection, token, now, desk.idle, desk.longest)
    request.state.new_session_token = token
    return session, token


def _of_subject(desk: Desk, route: Route, visit: Visit) -> Visit:
    if route.needs not in {"signed_in", "anyone"} and not visit.has(route.needs):  # type: ignore[arg-type]
        raise ForbiddenError(_who_may(visit.me.role, route.needs))
    if route.of == "nothing":
        return visit
    with reading(desk.ledger.engine) as connection:
        if route.of == "case":
            return _with_case(connection, route, visit)
        _check_account(connection, route, visit)
    return visit


def _with_case(connection: Connection, route: Route, visit: Visit) -> Visit:
    case_id = visit.request.path_params["case_id"]
    case = find_cases(connection, [case_id]).get(case_id)
    if case is None:
        raise NotFoundError("There is no such case.")
    if route.needs != "signed_in" and not visit.may(route.needs, case.owner_email):  # type: ignore[arg-type]
        raise ForbiddenError(
            f"This case is {visit.name_of(case.owner_email)}'s; they and the leads of their team see it."
        )
    return replace(visit, case=case)


def _check_account(connection: Connection, route: Route, visit: Visit) -> None:
    cases = query_cases(connection, CaseFilter(account_ids=[visit.request.path_params["account_id"]]))
    if not cases:
        raise NotFoundError("No case of that account is in the ledger.")
    if not any(visit.may(route.needs, case.owner_email) for case in cases):  # type: ignore[arg-type]
        raise ForbiddenError(
            "This account has no case that is yours to see; its owner and the leads of their team see it."
        )


def _who_may(role: str, permission: str) -> str:
    allowed = [name for name, grants in GRANTS.items() if permission in grants]
    return f"Your role is {role}; this page is for {' and '.join(allowed)}."


def sign_in_csrf(token: str) -> str:
    """What the sign-in form must bring: bound to this browser's sign-in cookie."""
    return csrf_token(token)
