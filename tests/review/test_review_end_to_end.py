"""From a form on the desk to the mart: sent over HTTP, picked up by the sensor, landed, told by the next run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from desk_house import House, settle
from reviewing import CSM, LEAD, SetClock, add_people, does

from health_pipeline.contract.clocks import Week, weeks_between
from health_pipeline.mart.published import read_published
from health_pipeline.orchestration.build import build_definitions
from health_pipeline.orchestration.demo import configure_sources
from health_pipeline.orchestration.jobs import DECISIONS_JOB
from health_pipeline.orchestration.run import run_weekly
from health_pipeline.reporting.thresholds import write_threshold_report
from health_pipeline.review import Case, CaseFilter, Ledger
from health_pipeline.review.desk.app import build_desk
from health_pipeline.review.desk.desk_settings import DeskSettings
from health_pipeline.review.desk.serving import desk_of
from health_pipeline.risk.restricted import read_body
from health_pipeline.settings import Settings

pytestmark = pytest.mark.long

LAST = Week(date(2026, 3, 30))
MONDAY_MORNING = datetime(2026, 4, 6, 8, tzinfo=UTC)


@dataclass
class Company:
    """A reviewed company with a desk, and the pipeline under the same clock."""

    settings: Settings
    clock: SetClock
    house: House
    definitions: dg.Definitions


@pytest.fixture
def company(tmp_path) -> Iterator[Company]:
    settings = Settings(home=tmp_path / "home")
    configure_sources(settings, seed=3, accounts=70)
    clock = SetClock(MONDAY_MORNING)
    definitions = build_definitions(settings, {"clock": clock})
    assert run_weekly(settings, list(weeks_between(LAST.shift(-3), LAST)), definitions=definitions).is_published
    with Ledger.open(settings, clock) as ledger:
        add_people(ledger)
        checked = DeskSettings(sign_in="demo", posts_per_minute=10_000, sign_ins_per_minute=10_000).checked()
        desk = desk_of(ledger, settings, checked)
        yield Company(settings, clock, House(settings, ledger, desk, clock, build_desk(desk)), definitions)


def sent(house: House, email: str, action: str, case_id: str, **form: str) -> None:
    """A form sent as its page sends it; it must be recorded."""
    answer = house.decide(email, action, case_id, **form)
    assert answer.status_code == 303, (action, answer.text[-2000:])


def close_as_saved(house: House, case: Case) -> None:
    name = case.case_id
    option = next(iter(house.desk.published.packet(name, case.week).listed("mitigation_options")))
    sent(house, LEAD, "assign_owner", name, owner_email=CSM)
    sent(house, CSM, "start_review", name)
    sent(house, CSM, "confirm_severity", name, severity="high")
    sent(house, CSM, "escalate", name, decision="escalated", role="lead")
    settle(house.ledger, name)
    sent(house, CSM, "propose", name, mitigations=option, follow_up_on="2026-04-20", reason="The sponsor asked.")
    sent(house, LEAD, "approve", name)
    sent(house, CSM, "take_action", name, mitigation=option, channel="call")
    sent(house, CSM, "record_response", name, response="positive")
    sent(house, CSM, "record_outcome", name, outcome="saved")
    sent(house, CSM, "record_residual_risk", name, residual_actual="low")
    sent(house, CSM, "close", name)


def test_what_is_decided_on_the_desk_is_in_the_next_weeks_mart(company: Company) -> None:
    house, ledger = company.house, company.house.ledger
    risks = [one for one in ledger.cases(CaseFilter(states=["detected"])) if one.side == "risk" and not one.is_quiet]
    drawn = ledger.cases(CaseFilter(states=["drawn"]))
    assert len(risks) >= 3 and len(drawn) >= 2
    closed, dismissed, untouched = risks[0], risks[1], risks[2]
    company.clock.instant += timedelta(hours=1)
    close_as_saved(house, closed)
    sent(house, LEAD, "dismiss", dismissed.case_id, reason_code="benign_explanation", reason="They moved offices.")
    sent(house, LEAD, "find_no_risk", drawn[0].case_id)
    missed = {"missed_category": "support", "missed_signal": "no_signal_exists", "reason": "Their bank failed."}
    sent(house, LEAD, "find_missed_risk", drawn[1].case_id, **missed)

    # The sensor asks, its run lands.
    company.clock.instant += timedelta(minutes=10)
    with dg.DagsterInstance.ephemeral() as instance:
        sensor = company.definitions.resolve_sensor_def("pick_up_decisions")
        resources = {"settings": company.settings}
        context = dg.build_sensor_context(instance=instance, resources=resources, sensor_name=sensor.name)
        assert len(sensor.evaluate_tick(context).run_requests or ()) == 1
        assert company.definitions.resolve_job_def(DECISIONS_JOB).execute_in_process(instance=instance).success

    company.clock.instant = MONDAY_MORNING + timedelta(days=7)
    assert run_weekly(company.settings, [LAST.shift(1)], definitions=company.definitions).is_published

    week = [LAST.shift(1)]
    packets = {row["packet_id"]: row for row in read_published(company.settings, "risk_packets", week).to_pylist()}
    told = packets[closed.case_id]
    names = ("state", "risk_status", "severity", "severity_status", "decision", "outcome", "residual_actual")
    assert [told[name] for name in names] == ["closed", "confirmed", "high", "confirmed", "mitigate", "saved", "low"]
    assert (told["actions_taken"], told["responses_recorded"], told["owner_email"]) == (1, 1, CSM)
    refuted = packets[dismissed.case_id]
    assert [refuted[name] for name in ("state", "risk_status", "outcome", "dismissal_reason")] == [
        "dismissed",
        "refuted",
        "false_positive",
        "benign_explanation",
    ]
    assert packets[untouched.case_id]["risk_status"] == "unconfirmed"

    metrics = read_published(company.settings, "review_metrics_weekly", week).to_pylist()
    values = {row["metric"]: row["value"] for row in metrics}
    expected = {"accounts_reviewed": 1, "risks_confirmed": 1, "decisions": 2, "actions_taken": 1, "responses": 1}
    assert {name: values[name] for name in expected} == expected
    assert (values["false_positives"], values["lost_accounts"], values["misses_found_by_audit"]) == (1, 0, 1)
    measured = read_published(company.settings, "measurement_events").to_pylist()
    of_case = [row["event_type"] for row in measured if row["case_id"] == closed.case_id and row["is_by_person"]]
    assert {"approved", "action_taken", "response_recorded", "outcome_recorded"} <= set(of_case)
    assert not {row["case_id"] for row in measured} & {one.case_id for one in drawn}

    found = read_published(company.settings, "random_audit_findings").to_pylist()
    place = {one.account_id: one.week for one in drawn[:2]}
    assert {(row["account_id"], row["week"], row["finding"], row["missed_signal"]) for row in found} == {
        (drawn[0].account_id, place[drawn[0].account_id], "no_risk", None),
        (drawn[1].account_id, place[drawn[1].account_id], "missed_risk", "no_signal_exists"),
    }

    # The draws of the week before the ledger was known count, because somebody looked at them.
    report, path = write_threshold_report(company.settings)
    assert (report.missed.looked_at, report.missed.found, report.missed.share) == (2, 1, None)
    assert report.missed.drawn == len(drawn) + len(ledger.cases(CaseFilter(states=["drawn"]))) - len(drawn[2:])
    assert "Not enough audited: fewer than 20 were looked at" in path.read_text(encoding="utf-8")

    body = read_body(company.settings.restricted, told["body_sha256"])
    assert body is not None
    happened = [line["text"] for line in body["brief"] if line["section"] == "What happened"]
    assert happened == [
        "Closed on 6 April. The outcome a person recorded: saved; observed, and nothing says that the review "
        "caused it. The risk that remains is low.",
        "Acting on it was approved on 6 April; 1 action and 1 answer of the customer were recorded.",
    ]
    assert "moved offices" not in str(body) and "bank failed" not in str(found)
    # taken in again, nothing that ended comes back
    assert ledger.case(closed.case_id).state == "closed"
    does(ledger, "reopen", LEAD, closed.case_id, reason="Another call.")
