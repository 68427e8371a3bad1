"""What a collector gets of a run, read back from the protobuf it was sent; a dead collector is no matter."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from otlp_receiver import Received, collector, values_of
from scripted_server import PAGE, Answer, nobody_there

from health_pipeline.observability.run_record import RunRecord, StepRecord
from health_pipeline.observability.telemetry import deliver, plain, run_attributes, step_attributes
from health_pipeline.settings import Settings

BEGAN = datetime(2026, 11, 16, 6, 0, 1)
RUN = "5f6e0c1a-7f8b-4c2d-9e3a-112233445566"
CANARY = "zanarikw7x"


def a_run(**changes: object) -> RunRecord:
    steps = [
        StepRecord("pull_sources", "landing", BEGAN, 2.5, 1200, 300_000_000, "succeeded"),
        StepRecord("feature_mart", "dbt", BEGAN + timedelta(seconds=3), 20.0, 411, 700_000_000, "succeeded", None, 300),
        StepRecord(
            "release_verdict",
            "audit",
            BEGAN + timedelta(seconds=30),
            7.0,
            None,
            500_000_000,
            "succeeded",
            None,
            250,
            0,
            2,
        ),
        StepRecord("release/gate", "gate", BEGAN + timedelta(seconds=38), 0.25, outcome="succeeded"),
        StepRecord("release", "publish", BEGAN + timedelta(seconds=37.5), 1.5, None, 400_000_000, "succeeded"),
    ]
    content = {
        "run_id": RUN,
        "job": "weekly_health_review",
        "started_at": BEGAN,
        "first_week": date(2026, 11, 2),
        "last_week": date(2026, 11, 9),
        "seconds": 42.0,
        "outcome": "succeeded",
        "verdict": "published",
        "release": "r000007-20261116T060040-0a1b2c3d",
        "steps": steps,
    }
    return RunRecord(**{**content, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def received() -> Received:
    with collector() as received:
        # The first one pays for the import, on a busy machine.
        assert deliver(a_run(), received.endpoint, 60.0)
    return received


def test_a_run_is_one_trace_whose_id_is_the_runs(received: Received) -> None:
    assert received.services == {"customer-health-pipeline"}
    assert {span.trace_id.hex() for span in received.spans} == {RUN.replace("-", "")}
    run = received.span("weekly_health_review")
    assert run.parent_span_id == b""
    above = {span.name: span.parent_span_id for span in received.spans if span.name != "weekly_health_review"}
    assert above == {
        **dict.fromkeys(("landing", "dbt", "audit", "publish"), run.span_id),
        "gate": received.span("publish").span_id,
    }


def test_spans_lie_where_the_steps_lay(received: Received) -> None:
    began = int(BEGAN.replace(tzinfo=UTC).timestamp()) * 10**9
    run, dbt, gate = (received.span(name) for name in ("weekly_health_review", "dbt", "gate"))
    assert (run.start_time_unix_nano, run.end_time_unix_nano) == (began, began + 42 * 10**9)
    assert (dbt.start_time_unix_nano, dbt.end_time_unix_nano) == (began + 3 * 10**9, began + 23 * 10**9)
    assert gate.end_time_unix_nano - gate.start_time_unix_nano == 250_000_000


def test_attributes_are_ids_counts_and_weeks(received: Received) -> None:
    assert values_of(received.span("weekly_health_review").attributes) == {
        "health_pipeline.run_id": RUN,
        "health_pipeline.job": "weekly_health_review",
        "health_pipeline.first_week": "2026-11-02",
        "health_pipeline.last_week": "2026-11-09",
        "health_pipeline.weeks": 2,
        "health_pipeline.outcome": "succeeded",
        "health_pipeline.verdict": "published",
        "health_pipeline.release": "r000007-20261116T060040-0a1b2c3d",
        "health_pipeline.peak_memory_bytes": 700_000_000,
        "health_pipeline.checks.evaluated": 550,
        "health_pipeline.checks.critical_failed": 0,
        "health_pipeline.checks.warning_failed": 2,
        "health_pipeline.checks.info_failed": 0,
    }
    audit = values_of(received.span("audit").attributes)
    assert (audit["health_pipeline.step"], audit["health_pipeline.checks.warning_failed"]) == ("release_verdict", 2)
    assert "health_pipeline.rows" not in audit


def test_figures_are_gauges_by_job_stage_and_step(received: Received) -> None:
    job = {"job": "weekly_health_review"}
    dbt = {**job, "stage": "dbt", "step": "feature_mart"}
    whole = {**job, "stage": "run", "step": "run"}
    assert received.value("health_pipeline.duration", **dbt) == 20.0
    assert received.value("health_pipeline.duration", **whole) == 42.0
    assert received.value("health_pipeline.rows", **dbt) == 411
    assert received.value("health_pipeline.peak_memory", **dbt) == 700_000_000
    assert received.value("health_pipeline.peak_memory", **whole) == 700_000_000
    assert received.value("health_pipeline.checks_failed", **job, severity="warning") == 2
    assert received.value("health_pipeline.checks_failed", **job, severity="critical") == 0
    assert received.value("health_pipeline.runs", **job, outcome="succeeded") == 1
    assert received.value("health_pipeline.verdicts", **job, verdict="published") == 1
    assert received.units["health_pipeline.duration"] == "s"
    assert received.units["health_pipeline.peak_memory"] == "By"


def test_a_failed_step_is_an_error_with_its_class_and_no_word() -> None:
    steps = [StepRecord("feature_mart", "dbt", BEGAN, 3.0, outcome="failed", error="DbtError")]
    with collector() as received:
        assert deliver(a_run(outcome="failed", verdict=None, release=None, steps=steps), received.endpoint)
    for name in ("weekly_health_review", "dbt"):
        status = received.span(name).status
        assert (status.code, status.message) == (2, "")
        assert list(received.span(name).events) == []
    assert values_of(received.span("dbt").attributes)["health_pipeline.error_type"] == "DbtError"
    assert "health_pipeline.verdicts" not in received.points


def test_a_killed_run_lived_until_its_last_step_ended() -> None:
    with collector() as received:
        assert deliver(a_run(outcome="killed", seconds=None, verdict=None), received.endpoint)
    run = received.span("weekly_health_review")
    assert run.end_time_unix_nano - run.start_time_unix_nano == 39 * 10**9
    assert values_of(run.attributes)["health_pipeline.outcome"] == "killed"


def test_the_run_is_a_span_of_the_trace_that_started_it() -> None:
    given_trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with collector() as received:
        assert deliver(a_run(traceparent=given_trace), received.endpoint)
    assert {span.trace_id.hex() for span in received.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    assert received.span("weekly_health_review").parent_span_id.hex() == "b7ad6b7169203331"


def test_no_customers_word_gets_out_whatever_field_it_was_put_in() -> None:
    """The canary stands in every text of the record, as a word of a sentence, an address and a name."""
    for text in (f"{CANARY} wrote: we leave", f"ana.{CANARY}@customer.example", f"Ana {CANARY}", f'"{CANARY}"'):
        texts = {
            field.name: text
            for field in fields(StepRecord)
            if field.type in ("str", "str | None") or "Outcome" in str(field.type)
        }
        step = StepRecord(**{**asdict(StepRecord("a", "b", BEGAN, 1.0)), **texts})
        record = a_run(run_id=text, job=text, release=text, verdict=text, outcome=text, traceparent=text, steps=[step])
        with collector() as received:
            deliver(record, received.endpoint)
        assert received.bodies, "nothing was sent, so nothing was tried"
        assert [body for body in received.bodies if CANARY.encode() in body.lower()] == []


@given(st.text())
def test_a_text_that_leaves_has_no_blank_quote_or_at(text: str) -> None:
    (left,) = plain({"job": text}).values() or ("",)
    assert left in ("", text)
    assert re.fullmatch(r"[A-Za-z0-9_.:/-]{0,80}", str(left))


def test_what_is_not_known_is_left_out_and_not_zero() -> None:
    record = a_run(verdict=None, release=None, first_week=None, last_week=None, steps=[])
    assert {"health_pipeline.verdict", "health_pipeline.weeks", "health_pipeline.peak_memory_bytes"} & {
        *run_attributes(record)
    } == set()
    assert "health_pipeline.rows" not in step_attributes(StepRecord("a", "b", BEGAN))


def seconds_to_deliver(endpoint: str, patience: float) -> float:
    began = time.monotonic()
    assert not deliver(a_run(), endpoint, patience)
    return time.monotonic() - began


# What is asked again until the patience is over may have its last word in time, or not.
OVER = "|no answer within 0.5 seconds"
SICK = {
    "silent": (Answer(is_silent=True), "did not take the trace: there is no answer" + OVER),
    "too late": (Answer(200, delay_seconds=2.0), "did not take the trace: there is no answer" + OVER),
    "drips": (Answer(drips=True), "did not take the trace: there is no answer" + OVER),
    "overloaded": (Answer(503), "did not take the trace: it answered 503" + OVER),
    "asks to wait": (Answer(429, headers={"Retry-After": "30"}), "did not take the trace: it answered 429"),
    "broken": (Answer(500), "did not take the trace: it answered 500"),
    "no right": (Answer(401, b"bearer-canary"), "did not take the trace: it answered 401"),
    "hangs up": (Answer(hangs_up=True), "did not take the trace: there is no answer" + OVER),
    "cut": (Answer(200, b"abc", is_cut=True), "did not take the trace: there is no answer"),
    "a page": (PAGE, "did not take the trace: it answered 200 with a web page"),
    "moved": (Answer(302, headers={"Location": "/login"}), "did not take the trace: it answered 302"),
}


@pytest.mark.parametrize(("answer", "reason"), SICK.values(), ids=SICK)
@pytest.mark.usefixtures("received")  # the first one pays for the import
def test_a_sick_collector_costs_a_run_no_more_than_its_patience(
    answer: Answer, reason: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=bearer-canary")
    with collector(answer) as received:
        # Who answers at once is given time to, on a busy machine; who does not is left when the patience is over.
        patience = 0.5 if "no answer within" in reason else 20.0
        assert seconds_to_deliver(received.endpoint, patience) < patience + 1.0
        assert received.asked, "it was never asked"
        assert received.asked[0].headers["authorization"] == "bearer-canary"
    (told,) = (json.loads(line) for line in caplog.messages)
    assert (told["event"], told["run"], told["level"]) == ("telemetry_not_delivered", RUN, "warning")
    assert re.search(f"({reason})$", told["reason"])
    assert "bearer-canary" not in caplog.text


@pytest.mark.usefixtures("received")
def test_nobody_at_the_address_of_a_collector(caplog: pytest.LogCaptureFixture) -> None:
    assert seconds_to_deliver(nobody_there(), 0.5) < 1.0
    (told,) = caplog.messages
    assert re.search(f"there is no answer{OVER}$", json.loads(told)["reason"])


@pytest.mark.usefixtures("received")
@pytest.mark.parametrize("asked", ["0.2", "0", "Mon, 16 Nov 2026 06:00:00 GMT"])
def test_a_collector_that_asks_to_wait_gets_it_then(asked: str) -> None:
    """Whole, fractional, a date that has passed: the whole trace goes again, in time."""
    with collector(Answer(429, headers={"Retry-After": asked}), is_well_then=True) as received:
        assert deliver(a_run(), received.endpoint, 20.0)
    assert [one.path for one in received.asked] == ["/v1/traces", "/v1/traces", "/v1/metrics"]
    assert received.asked[0].body == received.asked[1].body
    assert len(received.spans) == 6


def test_an_address_that_is_none_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert not deliver(a_run(), "localhost:4318")
    assert [line for line in caplog.messages if "telemetry_refused" in line]


def test_it_is_off_by_default_and_nothing_of_it_is_imported_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEALTH_OTEL_ENDPOINT", raising=False)
    assert Settings().otel_endpoint is None
    program = (
        "import sys, datetime; from health_pipeline.observability.telemetry import deliver, RunRecord; "
        "assert not deliver(RunRecord('r', 'j', datetime.datetime(2026, 1, 5)), None); "
        "print(*[name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == ""
