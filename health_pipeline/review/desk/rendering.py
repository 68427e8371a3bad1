"""Turns what a page shows into HTML: Jinja2 with everything escaped, and the few ways a figure is written."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from health_pipeline.review.desk.notices import take_notices
from health_pipeline.review.desk.static_files import static_path
from health_pipeline.review.desk.visits import Desk, Visit

TEMPLATES = Path(__file__).with_name("templates")


def day(moment: date | datetime | None) -> str:
    """Write a date as `9 Nov 2026`; a dash where there is none."""
    return f"{moment.day} {moment:%b %Y}" if moment else "–"


def last_day(moment: datetime) -> str:
    """Write the last day of what ends at an instant, such as midnight after it."""
    return day(moment - timedelta(microseconds=1))


def instant(moment: datetime | None) -> str:
    """Write an instant as `9 Nov 2026, 14:05 UTC`."""
    if moment is None:
        return "–"
    there = moment if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{there.day} {there:%b %Y, %H:%M} UTC"


def money(amount: Decimal | float | None) -> str:
    """Write an amount in whole units; `unknown` where it is, which is not zero."""
    return "unknown" if amount is None else f"{Decimal(str(amount)):,.0f}"


def number(value: float | None) -> str:
    """Write a measured value with as many digits as it needs; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"


def words(name: str | None) -> str:
    """Write an id such as `value_outcome` in words."""
    return str(name or "").replace("_", " ")


def capital(text: str) -> str:
    """Begin a sentence with a capital letter, and leave the rest as it is."""
    return text[:1].upper() + text[1:]


def counted(number_of: int, noun: str) -> str:
    """Write `1 case`, `1,204 cases`."""
    return f"{number_of:,} {noun if number_of == 1 else noun + 's'}"


def listed(parts: Iterable[str]) -> str:
    """Write `a, b and c`."""
    items = list(parts)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def request_key() -> str:
    """The idempotency key of a form: made with it, so that sending it twice records once."""
    return f"form:{secrets.token_urlsafe(18)}"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        day=day,
        last_day=last_day,
        instant=instant,
        money=money,
        number=number,
        words=words,
        capital=capital,
        listed=listed,
    )
    made.globals.update(static_path=static_path, request_key=request_key, counted=counted)
    return made


ENVIRONMENT = _environment()


def page(desk: Desk, visit: Visit, name: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """A page of somebody who is signed in; what the last action said is shown, once."""
    notices = take_notices(desk, visit)
    html = ENVIRONMENT.get_template(name).render(desk=desk, visit=visit, notices=notices, **values)
    return HTMLResponse(html, status)


def open_page(desk: Desk, name: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """A page for whoever comes: it knows nobody, and shows nothing of any case."""
    return HTMLResponse(ENVIRONMENT.get_template(name).render(desk=desk, visit=None, notices=(), **values), status)


def problem_page(desk: Desk, status: HTTPStatus, sentence: str) -> Response:
    """What went wrong, in one sentence."""
    return open_page(desk, "problem.html.j2", status, sentence=sentence, status_words=status.phrase)
