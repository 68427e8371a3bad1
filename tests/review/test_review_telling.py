"""A webhook hears of new high risks once, by ids alone; its failing is recorded, tried again, no harm."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from desk_house import build_house, packet_of
from reviewing import CSM, LEAD, SetClock, add_people, does, packet

from health_pipeline.review import Ledger
from health_pipeline.review.desk.serving import Rounds
from health_pipeline.review.telling import FAILED, MOST_LISTED, TOLD, tell_high_risks
from health_pipeline.settings import Settings

DESK = "https://desk.example.com"
CANARY = "KANARI-4711 they are furious"


@dataclass
class Hook:
    """A receiver: what it was sent, and what it answers."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    status: int = 204


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if found.status < 300:
                found.received.append(body)
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/secret-path"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def told(settings: Settings, clock: SetClock, hook: Hook) -> Iterator[Any]:
    """A ledger with people, and how to tell of what is in it."""
    hooked = settings.model_copy(update={"webhook_url": hook.url})
    with Ledger.open(hooked, clock) as ledger:
        add_people(ledger)

        def tell() -> str | None:
            event = tell_high_risks(ledger, hooked, DESK, pause=lambda _: None)
            return event.type if event else None

        tell.ledger, tell.settings = ledger, hooked  # type: ignore[attr-defined]
        yield tell


def test_new_high_risks_are_told_once_with_ids_alone(told: Any, hook: Hook) -> None:
    told.ledger.take_in(
        "r1", [packet("p-1", severity="high"), packet("p-2", severity="low"), packet("p-3", severity="critical")]
    )
    assert told() == TOLD
    assert told() is None
    (body,) = hook.received
    assert body["title"] == "2 new high risks"
    assert body["text"] == (
        "2 new high or critical customer risks at the review desk: 1 critical, 1 high. https://desk.example.com/queue"
    )
    assert body["risks"][0] == {
        "case_id": "p-1",
        "account_id": "acc_1",
        "category": "adoption",
        "severity": "high",
        "severity_status": "suggested",
        "desk_url": "https://desk.example.com/cases/p-1",
    }
    assert [one["case_id"] for one in body["risks"]] == ["p-1", "p-3"] and body["not_listed"] == 0
    assert set(body) == {"title", "text", "notice_id", "risks", "not_listed"}
    assert told.ledger.verify().holds


def test_what_is_new(told: Any, hook: Hook) -> None:
    """Risen, reopened: told; the same again, ended, an expansion, low: not."""
    take = told.ledger.take_in
    take("r1", [packet("p-1", severity="medium"), packet("p-2", severity="high"), packet("p-3", severity="high")])
    take("r1", [packet("p-4", severity="high", side="expansion"), packet("p-5", severity="critical")])
    does(told.ledger, "start_review", LEAD, "p-5")
    does(told.ledger, "dismiss", LEAD, "p-5", reason_code="signal_wrong", reason="x")
    assert told() == TOLD
    assert [one["case_id"] for one in hook.received[-1]["risks"]] == ["p-2", "p-3"]
    take("r2", [packet("p-2", packet_hash="b", severity="critical"), packet("p-3", packet_hash="b", severity="high")])
    assert told() is None, "they were high before"
    take("r2", [packet("p-1", packet_hash="b", severity="high")])
    assert told() == TOLD
    assert [one["case_id"] for one in hook.received[-1]["risks"]] == ["p-1"]
    does(told.ledger, "reopen", LEAD, "p-5", reason="it was right")
    assert told() == TOLD
    assert [one["case_id"] for one in hook.received[-1]["risks"]] == ["p-5"]


def test_a_webhook_that_does_not_answer_is_recorded_and_asked_again_later(
    told: Any, hook: Hook, clock: SetClock
) -> None:
    told.ledger.take_in("r1", [packet("p-1", severity="high")])
    hook.status = 503
    assert told() == FAILED
    assert told() is None, "not at once"
    clock.pass_days(1 / 1440)
    assert told() == FAILED
    clock.pass_days(1 / 1440)
    assert told() is None, "the second wait is longer"
    clock.pass_days(1 / 1440)
    hook.status = 204
    assert told() == TOLD
    assert len(hook.received) == 1 and hook.received[0]["risks"][0]["case_id"] == "p-1"
    events = told.ledger.events(types=[FAILED, TOLD])
    assert [(one.type, one.payload["attempt"]) for one in events] == [(FAILED, 1), (FAILED, 2), (TOLD, 3)]
    assert not any("secret-path" in str(one.payload) for one in events)
    assert len({one.payload["notice_id"] for one in events}) == 1


def test_within_one_attempt_it_is_asked_three_times(told: Any, hook: Hook) -> None:
    told.ledger.take_in("r1", [packet("p-1", severity="high")])
    hook.status = 500
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        hook.status = 204 if len(pauses) == 3 else 500

    event = tell_high_risks(told.ledger, told.settings, DESK, pause)
    assert event is not None and event.type == TOLD and pauses == [0.0, 1.0, 4.0] and len(hook.received) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/closed", "ftp://example.com/x", "nonsense"])
def test_an_address_that_cannot_be_reached_breaks_nothing(url: str, settings: Settings, clock: SetClock) -> None:
    hooked = settings.model_copy(update={"webhook_url": url})
    with Ledger.open(hooked, clock) as ledger:
        ledger.take_in("r1", [packet("p-1", severity="high")])
        event = tell_high_risks(ledger, hooked, DESK, pause=lambda _: None)
    assert event is not None and event.type == FAILED


def test_no_text_of_a_customer_is_in_it(settings: Settings, clock: SetClock, hook: Hook) -> None:
    hooked = settings.model_copy(update={"webhook_url": hook.url})
    with Ledger.open(hooked, clock) as ledger:
        house = build_house(hooked, ledger, clock, [packet_of(1, CSM), packet_of(2, CSM)])
        does(ledger, "start_review", case_id="pkt_1")
        does(ledger, "set_cause", case_id="pkt_1", cause_id="x", cause_state="suspected", note=CANARY)
        # As the desk does it, beside its pages.
        Rounds(house.desk, taken_in="r000001-20261116T070000-00000000").once()
        (body,) = hook.received
        said = json.dumps(body)
        for word in (CANARY, "KANARI", *house.desk.published.account_names().values(), "@", "workaround", "Dana"):
            assert word not in said, word
        assert {one["case_id"] for one in body["risks"]} == {"pkt_1", "pkt_2"}


def test_without_a_webhook_nothing_is_recorded_and_many_are_counted(
    settings: Settings, clock: SetClock, hook: Hook
) -> None:
    with Ledger.open(settings, clock) as ledger:
        ledger.take_in("r1", [packet(f"p-{number:03}", severity="high") for number in range(MOST_LISTED + 7)])
        assert tell_high_risks(ledger, settings, DESK) is None and not ledger.events(types=[TOLD, FAILED])
        hooked = settings.model_copy(update={"webhook_url": hook.url})
        tell_high_risks(ledger, hooked, DESK)
    (body,) = hook.received
    assert len(body["risks"]) == MOST_LISTED and body["not_listed"] == 7 and body["title"] == "57 new high risks"
