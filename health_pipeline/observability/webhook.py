"""Posts a small JSON document to the address the settings name. It says what went wrong, and raises nothing.

What it says are words of its own: an address may hold a secret, and an answer may hold anything.
"""

from __future__ import annotations

import json
import math
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError, URLError

from health_pipeline.observability.patience import within

PAUSES_SECONDS = (1.0, 4.0)
# A receiver that asks to wait longer is not asked again here: a sensor has a minute for all it does.
LONGEST_PAUSE_SECONDS = 8.0
# What a server says that may be well in a moment; another refusal stays one.
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_PAGES = (b"<!doctype html", b"<html")
_READ_BYTES = 65_536


@dataclass(frozen=True)
class NotTaken:
    """Why a document did not arrive.

    Attributes
    ----------
    reason : of words of ours, without the address and without what was answered
    is_passing : whether the same may be taken in a moment
    wait_seconds : how long the receiver asks to wait (Retry-After), None where it does not say
    """

    reason: str
    is_passing: bool = False
    wait_seconds: float | None = None


def is_web_address(url: str) -> bool:
    """Whether it can be posted to: `https://` or `http://`."""
    return url.startswith(("https://", "http://"))


def is_web_page(content: bytes) -> bool:
    """Whether an answer is a page for people. By what it is: receivers say `text/html` of a plain `ok`."""
    return content.lstrip().lower().startswith(_PAGES)


def post_json(
    url: str, body: Mapping[str, Any], timeout_seconds: float = 10.0, pause: Callable[[float], None] = time.sleep
) -> NotTaken | None:
    """Post it; again after a pause where it may be taken then, three times at most.

    Pauses are those the receiver asks for (whole or fractional seconds, or a date), else 1 and 4 s. It may arrive
    twice: an answer that was cut says nothing of whether the document was read.

    Parameters
    ----------
    url : `https://...` or `http://...`; it may hold a secret, so no answer of this function names it
    timeout_seconds : for one attempt, whatever holds it up; one that takes as long is the last
    pause : waits so many seconds

    Returns
    -------
    NotTaken or None
        Why it did not arrive; None where it did.
    """
    if not is_web_address(url):
        return NotTaken("HEALTH_WEBHOOK_URL must start with https:// or http://")
    for seconds in PAUSES_SECONDS:
        missed = _attempt(url, body, timeout_seconds)
        if missed is None or not missed.is_passing:
            return missed
        wait = seconds if missed.wait_seconds is None else missed.wait_seconds
        if wait > LONGEST_PAUSE_SECONDS:
            return missed
        pause(wait)
    return _attempt(url, body, timeout_seconds)


def _attempt(url: str, body: Mapping[str, Any], timeout_seconds: float) -> NotTaken | None:
    try:
        return within(timeout_seconds, lambda: _post(url, body, timeout_seconds), "webhook")
    except TimeoutError as error:
        return NotTaken(str(error))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    # A redirected POST becomes a GET: the page behind it (mostly a sign-in) answers 200, and nothing was delivered.
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _post(url: str, body: Mapping[str, Any], timeout_seconds: float) -> NotTaken | None:
    try:
        request = urllib.request.Request(  # noqa: S310  the scheme is checked before
            url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        with _OPENER.open(request, timeout=timeout_seconds) as answer:
            return _judged(answer)
    except HTTPError as error:
        with error:
            return _refusal(error)
    except OSError as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError):
            return NotTaken(f"no answer within {timeout_seconds:g} seconds")
        return NotTaken(_words_of(reason), is_passing=not isinstance(reason, ssl.SSLCertVerificationError))
    except (HTTPException, ValueError) as error:
        # An address with a blank, an umlaut or a password in it, which the error quotes; or an answer that is no HTTP.
        return NotTaken(f"the address, or what it answered, is not as HTTP wants it ({type(error).__name__})")


def _judged(answer: HTTPResponse) -> NotTaken | None:
    """What came with a status that means it was taken."""
    promised = answer.length
    content = answer.read(_READ_BYTES)
    if promised is not None and len(content) < min(promised, _READ_BYTES):
        return NotTaken("the connection was cut in the middle of the answer", is_passing=True)
    if is_web_page(content):
        return NotTaken("it answered with a web page, as a sign-in or a proxy does and a receiver does not")
    return None


def _refusal(error: HTTPError) -> NotTaken:
    known = error.code in {status.value for status in HTTPStatus}
    said = f"{error.code} {HTTPStatus(error.code).phrase}" if known else str(error.code)
    if 300 <= error.code < 400:
        return NotTaken(f"it answered {said}: it has moved, and what is posted is not passed on")
    is_passing = error.code in _PASSING or error.code >= 500
    return NotTaken(f"it answered {said}", is_passing, _asked_to_wait(error.headers.get("Retry-After")))


def _asked_to_wait(told: str | None) -> float | None:
    """Seconds of a Retry-After: a number, also fractional, or a date; None where it is neither (RFC 9110, 10.2.3)."""
    if told is None:
        return None
    try:
        seconds = float(told)
    except ValueError:
        try:
            then = parsedate_to_datetime(told)
        except ValueError:
            return None
        seconds = (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _words_of(reason: str | BaseException) -> str:
    """Of the system's words for why a connection failed; never the whole message, which may quote the address."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "its certificate does not hold"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return "there is no answer" if isinstance(reason, str) else f"there is no answer ({type(reason).__name__})"
