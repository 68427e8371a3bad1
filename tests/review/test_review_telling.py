"""A webhook hears of new high risks once, by ids alone; its failing is recorded, tried again, no harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from desk_house import build_house, packet_of
from reviewing import CSM, LEAD, SetClock, add_people, does, packet
from scripted_server import PAGE, Answer, Asked, nobody_there, scripted

from health_pipeline.review import Ledger
from health_pipeline.review.desk.serving import Rounds
from health_pipeline.review.telling import ASKED, FAILED, MOST_LISTED, TOLD, tell_high_risks
from health_pipeline.settings import Settings

DESK = "https://desk.example.com"
TAKEN = Answer()
CANARY = "KANARI-4711 they are furious"


@dataclass
class Hook:
    """A receiver: what it took, and what it answers from now on."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    answer: Answer = TAKEN

    def answer_to(self, asked: Asked) -> Answer:
        if self.answer.status < 300:
            self.received.append(asked.document)
        return self.answer


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    with scripted(found.answer_to) as server:
        found.url = f"{server.url}/secret-path"
        yield found


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
    hook.answer = Answer(503)
    assert told() == FAILED
    assert told() is None, "not at once"
    clock.pass_days(1 / 1440)
    assert told() == FAILED
    clock.pass_days(1 / 1440)
    assert told() is None, "the second wait is longer"
    clock.pass_days(1 / 1440)
    hook.answer = Answer()
    assert told() == TOLD
    assert len(hook.received) == 1 and hook.received[0]["risks"][0]["case_id"] == "p-1"
    events = told.ledger.events(types=[FAILED, TOLD])
    assert [(one.type, one.payload["attempt"]) for one in events] == [(FAILED, 1), (FAILED, 2), (TOLD, 3)]
    assert not any("secret-path" in str(one.payload) for one in events)
    assert len({one.payload["notice_id"] for one in events}) == 1


def test_within_one_attempt_it_is_asked_three_times(told: Any, hook: Hook) -> None:
    told.ledger.take_in("r1", [packet("p-1", severity="high")])
    hook.answer = Answer(500)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        hook.answer = Answer() if len(pauses) == 2 else Answer(500)

    event = tell_high_risks(told.ledger, told.settings, DESK, pause)
    assert event is not None and event.type == TOLD and pauses == [1.0, 4.0] and len(hook.received) == 1


def test_who_asks_for_an_hour_is_left_alone_for_an_hour(told: Any, hook: Hook, clock: SetClock) -> None:
    told.ledger.take_in("r1", [packet("p-1", severity="high")])
    hook.answer = Answer(429, headers={"Retry-After": "3599.5"})
    assert told() == FAILED
    hook.answer = Answer()
    clock.pass_days(59 / 1440)
    assert told() is None
    clock.pass_days(1 / 1440)
    assert told() == TOLD
    (failed,) = told.ledger.events(types=[FAILED])
    assert failed.payload[ASKED] == 3600
    assert told.ledger.verify().holds


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (PAGE, "it answered with a web page, as a sign-in or a proxy does and a receiver does not"),
        (Answer(401), "it answered 401 Unauthorized"),
    ],
    ids=["page", "401"],
)
def test_what_was_not_taken_is_not_told(
    told: Any, hook: Hook, answer: Answer, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    told.ledger.take_in("r1", [packet("p-1", severity="high")])
    hook.answer = answer
    assert told() == FAILED
    (line,) = (json.loads(line) for line in caplog.messages if "telling_failed" in line)
    assert (line["event"], line["reason"], line["risks"], line["attempt"]) == ("telling_failed", reason, 1, 1)
    assert "secret-path" not in caplog.text


@pytest.mark.parametrize(
    "url",
    # named, because a port is another one in each of the workers that collect
    [
        pytest.param(nobody_there(), id="nobody"),
        "ftp://example.com/x",
        "nonsense",
        "http://h\u00e4h/s\u00e4",
        "http://[::1/x",
    ],
)
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
