"""What people decided, landed once by sequence with the case after it; no words; the sensor that asks for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import duckdb
from reviewing import CSM, LEAD, SetClock, does, packet, refused, until_proposed

from health_pipeline.orchestration.jobs import DECISIONS_JOB
from health_pipeline.orchestration.sensors import picked_up
from health_pipeline.policy.company import load_company
from health_pipeline.review import Ledger
from health_pipeline.review.landed_decisions import LandedDecisions, land_decisions
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing

COMPANY = load_company(None).model
WORDS = "their words"


def landed(settings: Settings) -> list[dict[str, Any]]:
    """Every landed event in the order of its number, over all loads."""
    files = f"{settings.landing}/review/review_ledger/*/review_event*.parquet"
    with duckdb.connect() as connection:
        found = connection.execute(f"select * from read_parquet('{files}') order by seq").to_arrow_table()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def at(ledger: Ledger, **passed: float) -> datetime:
    return ledger.clock.now() + timedelta(**passed)


def land(settings: Settings, moment: datetime) -> LandedDecisions:
    found = land_decisions(settings, COMPANY, moment)
    assert found is not None
    return found


def run_key(ledger: Ledger) -> str:
    head = ledger.head()
    assert head is not None
    return f"decisions-{head.seq}-{head.hash[:12]}"


def close_as_saved(ledger: Ledger) -> None:
    until_proposed(ledger, severity="high", reason=WORDS, message=WORDS, residual_target="low")
    does(ledger, "approve", LEAD, note=WORDS)
    does(ledger, "take_action", mitigation="training", channel="call", note=WORDS)
    does(ledger, "record_response", response="positive", note=WORDS)
    does(ledger, "record_outcome", outcome="saved", reason=WORDS)
    does(ledger, "record_residual_risk", residual_actual="low")
    does(ledger, "close", note=WORDS)


def test_each_event_is_landed_once_with_the_case_after_it(ledger: Ledger, settings: Settings, clock: SetClock) -> None:
    first = land(settings, at(ledger))
    assert first.load is not None and first.load.rows == 2
    clock.pass_days(1)
    close_as_saved(ledger)
    clock.pass_days(1)
    second = land(settings, at(ledger))
    rows = landed(settings)
    of_chain = [event for event in ledger.events() if event.case_id]
    assert [row["event_id"] for row in rows] == [event.event_id for event in of_chain]
    assert second.last_seq == of_chain[-1].seq
    by_type = {row["event_type"]: row for row in rows}
    assert by_type["risk_detected"]["state"] == "detected"
    assert by_type["risk_detected"]["is_by_person"] is False
    confirmed, approved, answered = (by_type[n] for n in ("severity_confirmed", "approved", "response_recorded"))
    assert (confirmed["suggested_severity"], confirmed["confirmed_severity"]) == ("medium", "high")
    assert (approved["decision"], approved["approved_at"]) == ("mitigate", datetime(2026, 11, 19, 9))
    assert (answered["response"], answered["state"]) == ("positive", "in_progress")
    closed = rows[-1]
    assert {name: closed[name] for name in ("event_type", "state", "outcome", "residual_actual", "actor")} == {
        "event_type": "closed",
        "state": "closed",
        "outcome": "saved",
        "residual_actual": "low",
        "actor": CSM,
    }
    assert (closed["source_account_id"], closed["follow_up_date"]) == ("acc_1", date(2026, 12, 1))
    # known when it was landed, not when it happened
    assert closed["occurred_at"] == datetime(2026, 11, 19, 9)
    assert closed["available_at"] == datetime(2026, 11, 20, 9)
    assert WORDS not in str(rows)


def test_nothing_new_leaves_no_load(ledger: Ledger, settings: Settings) -> None:
    land(settings, at(ledger))
    again = land(settings, at(ledger, hours=1))
    assert again.load is None
    # the newest event on a case: that a release was taken in is of none
    assert again.last_seq == [event for event in ledger.events() if event.case_id][-1].seq
    assert len(Landing(settings.landing, settings.quarantine).loads()) == 1


def test_a_week_lands_what_was_decided_by_its_clock_and_the_rest_comes_with_the_next(
    ledger: Ledger, settings: Settings, clock: SetClock
) -> None:
    until = at(ledger)
    clock.pass_days(0.001)
    does(ledger, "start_review")
    assert land(settings, until).load.rows == 2  # type: ignore[union-attr]
    # the extract of an earlier moment than one that is landed would rewrite what was known then
    assert land(settings, until - timedelta(days=7)).load is None
    assert land(settings, at(ledger)).load.rows == 1  # type: ignore[union-attr]
    assert [row["event_type"] for row in landed(settings)] == ["risk_detected", "packet_built", "review_started"]


def test_a_ledger_in_which_nobody_decided_is_connected_and_one_that_did_not_exist_is_not(
    settings: Settings, clock: SetClock
) -> None:
    assert land_decisions(settings, COMPANY, clock.now()) is None
    with Ledger.open(settings, clock) as opened:
        opened.take_in("r1", [])
        assert land_decisions(settings, COMPANY, clock.now()) is None
        from reviewing import add_people

        add_people(opened)
    before = land(settings, clock.now() - timedelta(days=7))
    assert before.load is None
    found = land(settings, clock.now())
    assert found.load is not None and (found.load.status, found.load.rows) == ("committed", 0)
    assert land(settings, clock.now() + timedelta(days=7)).load is None


def test_a_dismissal_refutes_and_a_refusal_is_measured(ledger: Ledger, settings: Settings) -> None:
    ledger.take_in("r1", [packet("p-2", account_id="acc_2")])
    does(ledger, "dismiss", case_id="p-2", reason_code="duplicate", reason=WORDS)
    refused(ledger, "approve", CSM)
    land(settings, at(ledger))
    dismissed, stopped = landed(settings)[-2:]
    assert (dismissed["outcome"], dismissed["dismissal_reason"]) == ("false_positive", "duplicate")
    assert (dismissed["measured_as"], dismissed["has_reason"]) == ("outcome_recorded", True)
    assert (stopped["measured_as"], stopped["state"]) == ("refused_by_stop_rule", "detected")


def test_the_sensor_asks_once_for_each_new_sequence(ledger: Ledger, settings: Settings) -> None:
    assert "no ledger" in str(picked_up(None, f"sqlite:///{settings.home}/none.sqlite").skip_reason)
    seq = ledger.events()[-1].seq
    first = picked_up(None, settings.ledger_url)
    assert [request.run_key for request in first.run_requests or ()] == [run_key(ledger)]
    assert first.cursor == str(seq)
    nothing = picked_up(first.cursor, settings.ledger_url)
    assert not nothing.run_requests
    assert f"Nothing was decided since event {seq}" in str(nothing.skip_reason)
    does(ledger, "start_review")
    assert [request.run_key for request in picked_up(first.cursor, settings.ledger_url).run_requests or ()] == [
        run_key(ledger)
    ]


def test_the_sensors_run_lands_what_the_ledger_holds(ledger: Ledger, settings: Settings) -> None:
    from health_pipeline.orchestration.build import build_definitions

    definitions = build_definitions(settings, {"clock": SetClock(datetime(2026, 11, 18, 10, tzinfo=UTC))})
    with dg.DagsterInstance.ephemeral() as instance:
        sensor = definitions.resolve_sensor_def("pick_up_decisions")
        context = dg.build_sensor_context(instance=instance, resources={"settings": settings}, sensor_name=sensor.name)
        asked = sensor.evaluate_tick(context)
        assert [request.run_key for request in asked.run_requests or ()] == [run_key(ledger)]
        result = definitions.resolve_job_def(DECISIONS_JOB).execute_in_process(instance=instance)
    assert result.success
    (done,) = result.asset_materializations_for_node("picked_up_decisions")
    assert done.metadata["events"].value == 2
    assert [row["event_type"] for row in landed(settings)] == ["risk_detected", "packet_built"]
