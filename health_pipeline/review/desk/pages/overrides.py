"""Overrides of a tier: the page of all of them, and the forms by which one person asks for one and another sets it."""

from __future__ import annotations

from datetime import date
from http import HTTPStatus
from typing import cast

from starlette.responses import RedirectResponse, Response

from health_pipeline.review.database import LedgerError
from health_pipeline.review.desk.notices import leave_notices
from health_pipeline.review.desk.override_list import shown_overrides
from health_pipeline.review.desk.pages.looking import ReturnedOverride, account_view
from health_pipeline.review.desk.rendering import page
from health_pipeline.review.desk.visits import BadRequestError, Desk, NotFoundError, Visit
from health_pipeline.review.overrides import OverrideAct
from health_pipeline.review.overriding import EVENTS, OverrideRequest

SAID = {
    "request_override": "The override is asked for; a lead sets it.",
    "set_override": "The override is set; it counts from the next weekly review on.",
    "withdraw_override": "The override is withdrawn.",
}


def overrides_page(desk: Desk, visit: Visit) -> Response:
    """Every override of an account that the person may see: those that wait for somebody first."""
    shown = shown_overrides(desk, visit, desk.ledger.cases())
    rows = sorted(shown, key=lambda one: (one.place, -one.override.requested_at.timestamp()))
    return page(desk, visit, "overrides.html.j2", overrides=rows)


def act(desk: Desk, visit: Visit) -> Response:
    """Ask for an override, set one, or withdraw one; the ledger judges it, and records what it refuses."""
    account_id = visit.request.path_params["account_id"]
    name = visit.one("act")
    if name not in EVENTS:
        raise BadRequestError("An override is asked for, set or withdrawn; nothing else.")
    override_id = visit.one("override_id")[:64]
    if name != "request_override" and account_id != _account_of(desk, override_id):
        raise NotFoundError("This account has no such override.")
    try:
        asked = OverrideRequest(
            act=cast(OverrideAct, name),
            actor=visit.me.email,
            idempotency_key=f"{visit.me.email[:60]}:{visit.one('idempotency_key')[:60]}",
            account_id=account_id,
            tier=visit.one("tier"),
            expires_on=_day(visit.one("expires_on")) if name == "request_override" else None,
            reason=visit.one("reason")[:10_000],
            override_id=override_id,
        )
        desk.ledger.override(asked)
    except LedgerError as error:
        returned = ReturnedOverride(str(error), visit.form if name == "request_override" else {})
        return account_view(desk, visit, returned, HTTPStatus.UNPROCESSABLE_ENTITY)
    leave_notices(desk, visit, [SAID[name]])
    return RedirectResponse(f"/accounts/{account_id}#overrides", HTTPStatus.SEE_OTHER)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise LedgerError("An override ends on a day; write it as YYYY-MM-DD.") from error


def _account_of(desk: Desk, override_id: str) -> str | None:
    return next((one.account_id for one in desk.ledger.overrides() if one.override_id == override_id), None)
