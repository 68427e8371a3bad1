"""A receiver that is busy, broken, elsewhere, half there or none: waited for within a cap, told in words of ours."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from scripted_server import PAGE, Answer, nobody_there, scripted

from health_pipeline.observability.webhook import LONGEST_PAUSE_SECONDS, PAUSES_SECONDS, NotTaken, post_json

BODY = {"title": "weekly_health_review failed", "text": "crm is stale"}
SECRET = "T0KEN-canary"


def posted(*answers: Answer, timeout_seconds: float = 30.0) -> tuple[NotTaken | None, int, list[float]]:
    """What came of it, how often the server was asked the very same, and what was waited in between."""
    pauses: list[float] = []
    with scripted(*answers) as server:
        missed = post_json(f"{server.url}/hooks/{SECRET}", BODY, timeout_seconds, pauses.append)
    assert server.documents() == [BODY] * len(server.asked)
    assert {asked.path for asked in server.asked} == {f"/hooks/{SECRET}"}
    assert {asked.method for asked in server.asked} == {"POST"}
    return missed, len(server.asked), pauses


@pytest.mark.parametrize(
    "answer", [Answer(204), Answer(200, b"ok", {"Content-Type": "text/html"}), Answer(202, b'{"id": 7}')]
)
def test_what_is_taken_is_posted_once(answer: Answer) -> None:
    assert posted(answer) == (None, 1, [])


@pytest.mark.parametrize(("asked", "waits"), [("2", 2.0), ("0.25", 0.25), ("0", 0.0), ("-3", 0.0)])
def test_who_is_busy_gets_the_time_it_asks_for(asked: str, waits: float) -> None:
    assert posted(Answer(429, headers={"Retry-After": asked}), Answer()) == (None, 2, [waits])


def test_a_time_that_is_given_as_a_date_is_one() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=6), usegmt=True)
    missed, times, (pause,) = posted(Answer(503, headers={"Retry-After": soon}), Answer())
    assert (missed, times) == (None, 2)
    assert 3 < pause <= 6


@pytest.mark.parametrize("nonsense", ["soon", "nan", "inf", "", "12 parsecs"])
def test_a_time_that_is_none_is_not_waited(nonsense: str) -> None:
    assert posted(Answer(429, headers={"Retry-After": nonsense}), Answer()) == (None, 2, [PAUSES_SECONDS[0]])


def test_who_asks_for_longer_than_there_is_is_told_so_at_once() -> None:
    assert posted(Answer(429, headers={"Retry-After": "3600"})) == (
        NotTaken("it answered 429 Too Many Requests", True, 3600.0),
        1,
        [],
    )
    assert posted(Answer(429, headers={"Retry-After": str(LONGEST_PAUSE_SECONDS)}), Answer())[0] is None


def test_who_is_broken_and_then_well_has_it() -> None:
    assert posted(Answer(500), Answer(502), Answer()) == (None, 3, list(PAUSES_SECONDS))


def test_who_is_broken_for_ever_is_asked_three_times() -> None:
    missed = NotTaken("it answered 500 Internal Server Error", is_passing=True)
    assert posted(Answer(500)) == (missed, 3, list(PAUSES_SECONDS))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(401, b"who are you"), "it answered 401 Unauthorized"),
        (Answer(404), "it answered 404 Not Found"),
        (Answer(499), "it answered 499"),
        (PAGE, "it answered with a web page, as a sign-in or a proxy does and a receiver does not"),
        (
            Answer(302, headers={"Location": "/login"}),
            "it answered 302 Found: it has moved, and what is posted is not passed on",
        ),
        (
            Answer(308, headers={"Location": "/login"}),
            "it answered 308 Permanent Redirect: it has moved, and what is posted is not passed on",
        ),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
def test_who_refuses_is_asked_once(answer: Answer, reason: str) -> None:
    assert posted(answer) == (NotTaken(reason), 1, [])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(200, b'{"id": 7', is_cut=True), "the connection was cut in the middle of the answer"),
        (Answer(hangs_up=True), "there is no answer (RemoteDisconnected)"),
    ],
    ids=["in the middle", "at once"],
)
def test_a_connection_that_is_cut_is_made_again(answer: Answer, reason: str) -> None:
    assert posted(answer, Answer()) == (None, 2, [PAUSES_SECONDS[0]])
    assert posted(answer) == (NotTaken(reason, is_passing=True), 3, list(PAUSES_SECONDS))


@pytest.mark.parametrize("answer", [Answer(is_silent=True), Answer(drips=True)], ids=["silent", "dripping"])
def test_who_never_answers_is_waited_for_once_and_no_longer(answer: Answer) -> None:
    """A socket's own time-out never comes where a letter drips now and then."""
    began = time.monotonic()
    assert posted(answer, timeout_seconds=0.8) == (NotTaken("no answer within 0.8 seconds"), 1, [])
    assert 0.8 <= time.monotonic() - began < 4.0


def test_nobody_there() -> None:
    pauses: list[float] = []
    assert post_json(nobody_there(), BODY, 5.0, pauses.append) == NotTaken("Connection refused", is_passing=True)
    assert pauses == list(PAUSES_SECONDS)


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:9/{SECRET} with a blank",
        f"http://127.0.0.1:9/{SECRET}-häh",
        f"http://ana:{SECRET}@127.0.0.1/",
        f"http://[::1/{SECRET}",
        f"http://.example/{SECRET}",
        f"http://{SECRET * 10}.example/",
        f"{SECRET}://example.com",
    ],
)
def test_an_address_that_is_none_raises_nothing_and_is_not_quoted(url: str) -> None:
    missed = post_json(url, BODY, 5.0, lambda _: None)
    assert missed is not None
    assert not missed.is_passing
    assert SECRET.lower() not in missed.reason.lower()
    assert missed.reason.startswith(("the address, or what it answered, is not as HTTP wants it", "HEALTH_WEBHOOK_URL"))
