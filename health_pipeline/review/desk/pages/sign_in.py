"""Signing in and out: the demo's choice of a person, the OpenID provider, one's own sessions."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from health_pipeline.observability.logs import get_logger
from health_pipeline.review.database import reading, writing
from health_pipeline.review.desk.access import sign_in_csrf
from health_pipeline.review.desk.desk_settings import is_loopback_address
from health_pipeline.review.desk.notices import leave_notices
from health_pipeline.review.desk.oidc import SignInError
from health_pipeline.review.desk.rendering import open_page, page
from health_pipeline.review.desk.session_cookie import set_session_cookie
from health_pipeline.review.desk.sessions import (
    SIGN_IN_MINUTES,
    SignInUnderWay,
    begin_sign_in,
    bind_identity,
    end_session,
    end_sessions_of,
    sessions_of,
    start_session,
    take_sign_in,
    token_hash,
)
from health_pipeline.review.desk.visits import BadRequestError, Desk, ForbiddenError, NotFoundError, Visit

log = get_logger("review")


def own_path(given: str) -> str:
    """A path of this desk to go on to; its front page where the given one leads elsewhere."""
    parts = urlsplit(given)
    is_own = given.startswith("/") and not given.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return given if is_own and given.isprintable() and "\\" not in given and len(given) < 500 else "/"


def sign_in_page(desk: Desk, visit: Visit) -> Response:
    """How to sign in here."""
    next_path = own_path(visit.request.query_params.get("next", "/"))
    if desk.settings.sign_in != "demo":
        return open_page(desk, "sign_in.html.j2", next_path=next_path, demo_people=(), form_csrf="")
    _check_loopback(visit)
    answer_token = visit.request.cookies.get(desk.sign_in_cookie)
    with writing(desk.ledger.engine) as connection:
        # Taking it ends it; so an address opened twice has the newer form alone.
        token = begin_sign_in(connection, SignInUnderWay("demo", "", "", next_path), visit.now)
        if answer_token:
            take_sign_in(connection, answer_token, visit.now)
    active = [person for person in desk.ledger.people() if person.is_active]
    answer = open_page(desk, "sign_in.html.j2", next_path=next_path, demo_people=active, form_csrf=sign_in_csrf(token))
    return _with_sign_in_cookie(desk, answer, token)


def demo_sign_in(desk: Desk, visit: Visit) -> Response:
    """Sign in as the person chosen: on this machine alone, and only where the desk was started for it."""
    if desk.settings.sign_in != "demo":
        raise NotFoundError("There is no such page.")
    _check_loopback(visit)
    _check_form(desk, visit)
    under_way = _take(desk, visit)
    if under_way is None:
        raise BadRequestError("This form is too old; open the sign-in page again.")
    person = desk.ledger.person(visit.one("email"))
    if person is None or not person.is_active:
        raise ForbiddenError("There is no such active user; choose one of the list.")
    return _signed_in(desk, visit, person.email, "demo", under_way.next_path)


def begin_oidc(desk: Desk, visit: Visit) -> Response:
    """Send the browser to the OpenID provider."""
    if desk.provider is None:
        raise NotFoundError("There is no such page.")
    try:
        address, under_way = desk.provider.begin(own_path(visit.request.query_params.get("next", "/")))
    except SignInError as error:
        raise ForbiddenError(str(error)) from error
    with writing(desk.ledger.engine) as connection:
        token = begin_sign_in(connection, under_way, visit.now)
    return _with_sign_in_cookie(desk, RedirectResponse(address, HTTPStatus.SEE_OTHER), token)


def finish_oidc(desk: Desk, visit: Visit) -> Response:
    """Take the browser back from the provider, and sign in whom it names if an admin has added them."""
    if desk.provider is None:
        raise NotFoundError("There is no such page.")
    query = visit.request.query_params
    answer = f"{desk.settings.origin}{visit.request.url.path}?{visit.request.url.query}"
    under_way = _take(desk, visit)
    if under_way is None:
        raise BadRequestError("This sign-in was not begun in this browser, or too long ago; begin it again.")
    try:
        identity = desk.provider.finish(answer, dict(query), under_way, visit.now)
    except SignInError as error:
        log.warning("sign_in_refused", method="oidc", reason=type(error.__cause__ or error).__name__)
        raise ForbiddenError(str(error)) from error
    with writing(desk.ledger.engine) as connection:
        email = bind_identity(connection, identity.issuer, identity.subject, identity.email, visit.now)
    if not email:
        raise ForbiddenError("That address belongs to another sign-in at the provider; an admin can free it.")
    person = desk.ledger.person(email)
    if person is None or not person.is_active:
        raise ForbiddenError(f"{email} is no active user of this desk; an admin adds users.")
    return _signed_in(desk, visit, email, "oidc", under_way.next_path)


def sign_out(desk: Desk, visit: Visit) -> Response:
    """End this session."""
    assert visit.session is not None
    with writing(desk.ledger.engine) as connection:
        end_session(connection, visit.session.session_id)
    return _signed_out(desk)


def sign_out_everywhere(desk: Desk, visit: Visit) -> Response:
    """End all of one's sessions, this one too."""
    with writing(desk.ledger.engine) as connection:
        end_sessions_of(connection, visit.me.email)
    return _signed_out(desk)


def end_one_session(desk: Desk, visit: Visit) -> Response:
    """End one of one's own sessions."""
    wanted = visit.one("session_id")
    with writing(desk.ledger.engine) as connection:
        if wanted not in {one.session_id for one in sessions_of(connection, visit.me.email)}:
            raise NotFoundError("That session has ended already.")
        end_session(connection, wanted)
    leave_notices(desk, visit, ["That session has ended."])
    return RedirectResponse("/sessions", HTTPStatus.SEE_OTHER)


def sessions_page(desk: Desk, visit: Visit) -> Response:
    """Where one is signed in."""
    with reading(desk.ledger.engine) as connection:
        mine = sessions_of(connection, visit.me.email)
    return page(desk, visit, "sessions.html.j2", sessions=mine)


def _check_loopback(visit: Visit) -> None:
    if not is_loopback_address(visit.request.client.host if visit.request.client else None):
        raise ForbiddenError("The demo sign-in is for this machine alone.")


def _take(desk: Desk, visit: Visit) -> SignInUnderWay | None:
    token = visit.request.cookies.get(desk.sign_in_cookie)
    if not token:
        return None
    with writing(desk.ledger.engine) as connection:
        return take_sign_in(connection, token, visit.now)


def _check_form(desk: Desk, visit: Visit) -> None:
    token = visit.request.cookies.get(desk.sign_in_cookie) or ""
    if not token or not hmac.compare_digest(visit.one("csrf"), sign_in_csrf(token)):
        raise BadRequestError("This form is not of this browser; open the sign-in page again.")


def _signed_in(desk: Desk, visit: Visit, email: str, method: str, next_path: str) -> Response:
    earlier = visit.request.cookies.get(desk.cookie)
    with writing(desk.ledger.engine) as connection:
        if earlier:
            end_session(connection, token_hash(earlier))
        token = start_session(connection, email, method, visit.request.headers.get("user-agent", ""), visit.now)
    answer = RedirectResponse(own_path(next_path), HTTPStatus.SEE_OTHER)
    set_session_cookie(desk, answer, token)
    answer.delete_cookie(desk.sign_in_cookie, secure=desk.settings.is_https, httponly=True, samesite="lax")
    log.info("signed_in", method=method)
    return answer


def _signed_out(desk: Desk) -> Response:
    answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(desk.cookie, secure=desk.settings.is_https, httponly=True, samesite="lax")
    # What the browser kept of the pages goes too.
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


def _with_sign_in_cookie(desk: Desk, answer: Response, token: str) -> Response:
    answer.set_cookie(
        desk.sign_in_cookie,
        token,
        max_age=SIGN_IN_MINUTES * 60,
        httponly=True,
        secure=desk.settings.is_https,
        samesite="lax",
        path="/",
    )
    return answer
