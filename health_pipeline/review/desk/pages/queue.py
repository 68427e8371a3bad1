"""The queue's pages: what waits for whom, as a page and as CSV; the front page leads to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from health_pipeline.contract.case_states import UNENDED
from health_pipeline.review.database import reading
from health_pipeline.review.desk.csv_file import csv_file
from health_pipeline.review.desk.http_headers import KEPT
from health_pipeline.review.desk.queue import (
    PAGE,
    RENEWAL_DAYS,
    SEVERITIES,
    QueueRow,
    count_queue,
    read_filter,
    read_queue,
)
from health_pipeline.review.desk.rendering import page
from health_pipeline.review.desk.static_files import static_files
from health_pipeline.review.desk.visits import Desk, NotFoundError, Visit
from health_pipeline.review.forms import DISMISSAL_REASONS
from health_pipeline.review.permissions import Person, scope_of

CSV_COLUMNS = (
    "account_id",
    "account_name",
    "category",
    "severity",
    "severity_status",
    "state",
    "outcome",
    "value_at_risk",
    "renewal_date",
    "owner_email",
    "follow_up_date",
    "why_here",
    "case_id",
)


def home(desk: Desk, visit: Visit) -> Response:
    """Where a person's work is."""
    for permission, path in (("view", "/queue"), ("manage_users", "/users")):
        if visit.has(permission):  # type: ignore[arg-type]
            return RedirectResponse(path, HTTPStatus.SEE_OTHER)
    return RedirectResponse("/rules", HTTPStatus.SEE_OTHER)


def queue_page(desk: Desk, visit: Visit) -> Response:
    """What waits, in its order."""
    wanted = read_filter(visit.request.query_params)
    names = desk.published.account_names()
    people = list(visit.people.values())
    with reading(desk.ledger.engine) as connection:
        found = read_queue(connection, wanted, visit.me, people, names, visit.now)
        aside = replace(wanted, when="quiet", page=1)
        quiet = count_queue(connection, aside, visit.me, people, names, visit.now) if wanted.when == "waiting" else 0
    return page(
        desk,
        visit,
        "queue.html.j2",
        wanted=wanted,
        currency=desk.currency,
        found=found,
        quiet=quiet,
        names=names,
        pages=max(1, -(-found.total // PAGE)),
        owners=_owners(visit, people),
        severities=SEVERITIES,
        states=UNENDED,
        renewal_days=RENEWAL_DAYS,
        dismissal_reasons=DISMISSAL_REASONS,
        assignees=[person for person in people if person.is_active and person.role in {"csm", "lead"}],
    )


def queue_csv(desk: Desk, visit: Visit) -> Response:
    """The same cases as CSV; a text that a spreadsheet would run as a formula gets a quote in front."""
    wanted = read_filter(visit.request.query_params)
    names = desk.published.account_names()
    with reading(desk.ledger.engine) as connection:
        found = read_queue(connection, wanted, visit.me, list(visit.people.values()), names, visit.now, size=None)
    rows = (_csv_row(row, names.get(row.case.account_id, "")) for row in found.rows)
    return csv_file(CSV_COLUMNS, rows, f"my-accounts-{visit.today}.csv")


def static_file(desk: Desk, visit: Visit) -> Response:
    """The stylesheet or the script."""
    found = static_files().get(visit.request.path_params["name"])
    if found is None:
        raise NotFoundError("There is no such page.")
    content, media_type = found
    return Response(content, media_type=media_type, headers={"Cache-Control": KEPT})


def alive(desk: Desk, visit: Visit) -> Response:
    """For who watches the server: it answers."""
    return Response("alive", media_type="text/plain")


def _csv_row(row: QueueRow, name: str) -> Sequence[object]:
    case = row.case
    return (
        case.account_id,
        name,
        case.category,
        case.severity,
        case.severity_status,
        case.state,
        case.outcome,
        case.value_at_risk,
        row.renewal_on,
        case.owner_email,
        case.follow_up_on,
        row.reason,
        case.case_id,
    )


def _owners(visit: Visit, people: list[Person]) -> list[Person]:
    """Whose cases the person may look at, by name; nobody to choose for who sees only their own."""
    if scope_of(visit.me, "view") == "own":
        return [visit.me]
    return [one for one in people if one.role in {"csm", "lead"} and visit.may("view", one.email)]
