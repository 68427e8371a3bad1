"""The tokens' page: which other systems may pull approved actions, since when, until when; and an end to each."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from health_pipeline.review.database import LedgerError, reading, writing
from health_pipeline.review.desk.notices import leave_notices
from health_pipeline.review.desk.rendering import page
from health_pipeline.review.desk.visits import BadRequestError, Desk, Visit
from health_pipeline.review.tokens import SCOPE, list_tokens, revoke_token


def tokens_page(desk: Desk, visit: Visit) -> Response:
    """Every token there ever was; none of them can be read here, and none is made here."""
    with reading(desk.ledger.engine) as connection:
        tokens = list_tokens(connection)
    states = {one.token_id: one.state(visit.now) for one in tokens}
    active = sum(state == "active" for state in states.values())
    return page(desk, visit, "tokens.html.j2", tokens=tokens, states=states, active=active, scope=SCOPE)


def revoke(desk: Desk, visit: Visit) -> Response:
    """End a token; it counts no more with the next request, and the ledger says who ended it."""
    try:
        with writing(desk.ledger.engine) as connection:
            token = revoke_token(connection, visit.one("token_id")[:40], visit.me.email, visit.now)
    except LedgerError as error:
        raise BadRequestError(str(error)) from error
    leave_notices(desk, visit, [f"The token of {token.system} is revoked."])
    return RedirectResponse("/tokens", HTTPStatus.SEE_OTHER)
