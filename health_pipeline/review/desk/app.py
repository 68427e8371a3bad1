"""The desk as an ASGI app: routes become addresses, each request is admitted first, each error is a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import parse_qs, quote

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from health_pipeline.observability.logs import get_logger
from health_pipeline.review.desk.access import Route, admit
from health_pipeline.review.desk.action_feed import feed_problem
from health_pipeline.review.desk.http_headers import SecurityHeaders
from health_pipeline.review.desk.rendering import problem_page
from health_pipeline.review.desk.routes import ROUTES
from health_pipeline.review.desk.session_cookie import set_session_cookie
from health_pipeline.review.desk.visits import (
    BadRequestError,
    Desk,
    ForbiddenError,
    GoneError,
    NotFoundError,
    NotSignedInError,
    TooManyError,
)
from health_pipeline.review.tokens import TokenRefusedError

FORM_BYTES = 1_000_000
FORM_FIELDS = 3_000
FORM_TYPE = "application/x-www-form-urlencoded"

log = get_logger("review")


def build_desk(desk: Desk) -> ASGIApp:
    """The app of one desk; `desk.app` for a server, or for a test's client."""
    app = FastAPI(title="Review desk", docs_url=None, redoc_url=None, openapi_url=None)
    for route in ROUTES:
        app.add_api_route(route.path, _serving(desk, route), methods=[route.method], response_model=None)
    _add_errors(app, desk)
    return SecurityHeaders(app, desk.settings.is_https)


def _serving(desk: Desk, route: Route) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        form = await _form(request) if route.method == "POST" else {}
        return await run_in_threadpool(_answer, desk, route, request, form)

    return serve


def _answer(desk: Desk, route: Route, request: Request, form: dict[str, list[str]]) -> Response:
    visit = admit(desk, route, request, form, desk.ledger.clock.now())
    answer = route.handler(desk, visit)
    if token := getattr(request.state, "new_session_token", None):
        set_session_cookie(desk, answer, token)
    return answer


async def _form(request: Request) -> dict[str, list[str]]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise BadRequestError("A form of this desk is sent as a form; this was something else.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise BadRequestError("That form is larger than any of this desk's; shorten the text.")
    try:
        # A browser sends line ends of its own kind.
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=FORM_FIELDS)
    except ValueError as error:
        raise BadRequestError("That form can't be read.") from error
    return {name: [value.replace("\r\n", "\n") for value in values] for name, values in fields.items()}


def _add_errors(app: FastAPI, desk: Desk) -> None:
    statuses: dict[type[Exception], HTTPStatus] = {
        BadRequestError: HTTPStatus.BAD_REQUEST,
        ForbiddenError: HTTPStatus.FORBIDDEN,
        NotFoundError: HTTPStatus.NOT_FOUND,
        GoneError: HTTPStatus.GONE,
    }

    def problem(request: Request, status: HTTPStatus, sentence: str) -> Response:
        if request.scope.get("path", "").startswith("/api/"):
            return feed_problem(status, sentence)
        return problem_page(desk, status, sentence)

    async def show(request: Request, error: Exception) -> Response:
        return problem(request, statuses[type(error)], str(error))

    async def show_other(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        sentence = (
            "There is no such page." if error.status_code == HTTPStatus.NOT_FOUND else "That is not possible here."
        )
        return problem(request, HTTPStatus(error.status_code), sentence)

    async def no_token(request: Request, error: Exception) -> Response:
        answer = problem(request, HTTPStatus.UNAUTHORIZED, str(error))
        answer.headers["WWW-Authenticate"] = 'Bearer realm="approved actions"'
        return answer

    async def to_sign_in(request: Request, error: Exception) -> Response:
        if request.method != "GET":
            return problem_page(desk, HTTPStatus.UNAUTHORIZED, "Your session has ended. Sign in, and send it again.")
        there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(there, safe='')}", HTTPStatus.SEE_OTHER)

    async def too_many(request: Request, error: Exception) -> Response:
        assert isinstance(error, TooManyError)
        answer = problem(request, HTTPStatus.TOO_MANY_REQUESTS, str(error))
        answer.headers["Retry-After"] = str(error.seconds)
        return answer

    async def defect(request: Request, error: Exception) -> Response:
        # The log has the kind of error and the path; a message could hold a person's words.
        log.error("desk_error", path=request.scope.get("path", ""), error=type(error).__name__)
        return problem(
            request,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "Something went wrong here. Nothing was recorded unless you were told so.",
        )

    for kind in statuses:
        app.add_exception_handler(kind, show)
    app.add_exception_handler(HTTPException, show_other)
    app.add_exception_handler(NotSignedInError, to_sign_in)
    app.add_exception_handler(TooManyError, too_many)
    app.add_exception_handler(TokenRefusedError, no_token)
    app.add_exception_handler(Exception, defect)
