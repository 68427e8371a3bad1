"""Approved actions: a page and a file for people, a queue for other systems to pull. Nothing is sent from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from starlette.responses import Response

from health_pipeline.observability.logs import get_logger
from health_pipeline.review.action_queue import (
    ActionQueue,
    ApprovedAction,
    handed_out_key,
    note_handed_out,
    read_action_queue,
)
from health_pipeline.review.database import reading, writing
from health_pipeline.review.desk.action_feed import (
    CSV_COLUMNS,
    LARGEST_PAGE,
    PAGE_SIZE,
    ActionPage,
    CheckedAction,
    csv_row,
    given,
    json_answer,
)
from health_pipeline.review.desk.csv_file import csv_file
from health_pipeline.review.desk.rendering import page
from health_pipeline.review.desk.visits import BadRequestError, Desk, GoneError, NotFoundError, Visit
from health_pipeline.review.events import event_of_key
from health_pipeline.review.projection import find_cases
from health_pipeline.review.tokens import DeskToken

log = get_logger("review")


def actions_page(desk: Desk, visit: Visit) -> Response:
    """What may be done now, on whose approval; and what is approved and withheld, with why."""
    queue = _queue(desk, visit)
    return page(
        desk,
        visit,
        "actions.html.j2",
        actions=_seen(visit, queue).actions,
        withheld=[one for one in queue.withheld if visit.may("view", one.case.owner_email)],
        names=desk.published.account_names(),
        titles=desk.option_titles,
    )


def actions_csv(desk: Desk, visit: Visit) -> Response:
    """The same as CSV: the actions of the cases the person may see."""
    return _csv(desk, visit, _seen(visit, _queue(desk, visit)).actions)


def feed(desk: Desk, visit: Visit) -> Response:
    """A page of the queue, for another system."""
    after, size = _number(visit, "after", 0, 0, 2**53), _number(visit, "limit", PAGE_SIZE, 1, LARGEST_PAGE)
    queue, found = _handed_out(desk, visit, lambda queue: queue.page(after, size)[0])
    _, following, is_complete = queue.page(after, size)
    return json_answer(
        ActionPage(
            checked_at=queue.checked_at,
            next_after=following,
            is_complete=is_complete,
            actions=[given(one, desk.option_titles, desk.settings.origin) for one in found],
        )
    )


def feed_csv(desk: Desk, visit: Visit) -> Response:
    """The whole queue as CSV, for another system."""
    _, found = _handed_out(desk, visit, lambda queue: queue.actions)
    return _csv(desk, visit, found)


def one_action(desk: Desk, visit: Visit) -> Response:
    """Whether one action still is approved; a system asks before it acts."""
    wanted = visit.request.path_params["action_id"][:64]
    queue, found = _handed_out(
        desk, visit, lambda queue: tuple(one for one in queue.actions if one.action_id == wanted)
    )
    if not found:
        raise _gone(desk, _token(visit), wanted)
    action = given(found[0], desk.option_titles, desk.settings.origin)
    return json_answer(CheckedAction(checked_at=queue.checked_at, action=action))


def _queue(desk: Desk, visit: Visit) -> ActionQueue:
    with reading(desk.ledger.engine) as connection:
        return read_action_queue(connection, desk.ledger.policy, desk.option_titles, visit.now)


def _handed_out(
    desk: Desk, visit: Visit, chosen: Callable[[ActionQueue], tuple[ApprovedAction, ...]]
) -> tuple[ActionQueue, tuple[ApprovedAction, ...]]:
    """The queue, and what of it the system is given: recorded in the transaction that found its approval to hold.

    In the log each time; in the ledger once for each action and token.
    """
    token = _token(visit)
    with writing(desk.ledger.engine) as connection:
        queue = read_action_queue(connection, desk.ledger.policy, desk.option_titles, visit.now)
        found = chosen(queue)
        new = note_handed_out(connection, token, found, visit.now)
    path = visit.request.url.path
    log.info("pulled", system=token.system, token=token.token_id, path=path, actions=len(found), new=new)
    return queue, found


def _seen(visit: Visit, queue: ActionQueue) -> ActionQueue:
    may_see = tuple(one for one in queue.actions if visit.may("view", one.case.owner_email))
    return replace(queue, actions=may_see)


def _csv(desk: Desk, visit: Visit, actions: tuple[ApprovedAction, ...]) -> Response:
    rows = (csv_row(given(one, desk.option_titles, desk.settings.origin)) for one in actions)
    return csv_file(CSV_COLUMNS, rows, f"approved-actions-{visit.today}.csv")


def _token(visit: Visit) -> DeskToken:
    assert visit.pulled_by is not None  # the route needs one
    return visit.pulled_by


def _gone(desk: Desk, token: DeskToken, wanted: str) -> Exception:
    with reading(desk.ledger.engine) as connection:
        event = event_of_key(connection, handed_out_key(token, wanted))
        case = find_cases(connection, [event.case_id or ""]).get(event.case_id or "") if event else None
    if case is None:
        return NotFoundError("No approved action of that id was ever given to this system.")
    return GoneError(
        f"This action is approved no longer, or was done: the case is {case.state.replace('_', ' ')}. Leave it."
    )


def _number(visit: Visit, name: str, plain: int, smallest: int, largest: int) -> int:
    text = visit.request.query_params.get(name, str(plain))
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or not smallest <= int(text) <= largest:
        raise BadRequestError(f"{name} is a whole number from {smallest} to {largest}.")
    return int(text)
