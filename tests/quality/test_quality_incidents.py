"""Incidents: opened once, owned, closed with a note; ids only."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from failed_checks import FAILED

from health_pipeline.contract.clocks import Week
from health_pipeline.quality.incidents import (
    Incident,
    IncidentError,
    assign_incident,
    close_incident,
    find_incident,
    incident_events,
    list_incidents,
    open_incident,
    record_incident,
)
from health_pipeline.quality.verdict import CheckResult, Verdict

NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)
WEEK = date(2026, 10, 26)


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}"


def opened(ledger: str, *results: CheckResult, week: date | None = WEEK) -> Incident:
    return record_incident(ledger, "publication_refused", week, results or (FAILED,), "data@example.com", NOW)


def test_an_incident_has_owner_checks_and_row_ids(ledger: str) -> None:
    incident = opened(ledger)
    assert list_incidents(ledger) == [incident]
    assert incident.title == "Publication refused: account_health_weekly.score_range"
    assert (incident.state, incident.owner_email, incident.week) == ("open", "data@example.com", WEEK)
    assert incident.opened_at == datetime(2026, 11, 2, 6)
    assert incident.details["checks"][0]["row_ids"] == [{"account_id": "a1", "week": "2026-10-26"}]
    assert incident.incident_id == incident.id


def test_a_refused_verdict_opens_one_of_its_newest_week(ledger: str) -> None:
    passed = replace(FAILED, name="coverage_range", passed=True)
    verdict = Verdict("v", "c", "f", "m", None, ("weekly",), "i", (), (FAILED, passed))
    weeks = [Week(date(2026, 10, 26)), Week(date(2026, 10, 19))]
    incident = open_incident(ledger, verdict, weeks, "data@example.com", NOW)
    assert incident.week == WEEK
    assert [entry["check"] for entry in incident.details["checks"]] == ["account_health_weekly.score_range"]


def test_the_same_failure_again_opens_nothing_new(ledger: str) -> None:
    first = opened(ledger)
    assert opened(ledger) == first
    assert opened(ledger, replace(FAILED, unexpected_count=9)) == first
    assert len(list_incidents(ledger)) == 1


def test_another_week_or_another_check_is_another_incident(ledger: str) -> None:
    other = replace(FAILED, name="coverage_range")
    ids = {opened(ledger).id, opened(ledger, FAILED, other).id, opened(ledger, week=date(2026, 11, 2)).id}
    assert len(ids) == 3


def test_twelve_at_once_open_one(ledger: str) -> None:
    opened(ledger, week=None)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(opened(ledger).id)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == 1


def test_assign_and_close(ledger: str) -> None:
    incident = opened(ledger)
    assigned = assign_incident(ledger, incident.id, "ana@example.com", "lead@example.com", NOW)
    assert (assigned.state, assigned.owner_email) == ("assigned", "ana@example.com")
    berlin = timezone(timedelta(hours=1))
    closed = close_incident(ledger, incident.id, "ana@example.com", "billing sent euros", NOW.astimezone(berlin))
    assert (closed.state, closed.closed_by, closed.note) == ("closed", "ana@example.com", "billing sent euros")
    assert closed.closed_at == datetime(2026, 11, 2, 6)
    assert list_incidents(ledger, state="open") == []
    assert list_incidents(ledger, state="closed") == [closed]


def test_a_failure_after_closing_opens_a_new_one(ledger: str) -> None:
    first = opened(ledger)
    close_incident(ledger, first.id, "ana@example.com", "fixed", NOW)
    second = opened(ledger)
    assert second.id != first.id
    assert second.state == "open"
    assert opened(ledger) == second


def acts(ledger: str, incident_id: str) -> list[tuple[datetime, str, str, str, str | None]]:
    return [(e.at, e.act, e.by, e.owner_email, e.note) for e in incident_events(ledger, incident_id)]


def test_the_history_says_who_did_what_when(ledger: str) -> None:
    incident = opened(ledger)
    other = opened(ledger, week=date(2026, 11, 2))
    later = [NOW + timedelta(hours=hours) for hours in range(1, 6)]
    record_incident(ledger, "publication_refused", WEEK, [FAILED], "data@example.com", later[0])
    assign_incident(ledger, incident.id, " ana@example.com ", "lead@example.com", later[1])
    assign_incident(ledger, incident.id, "ana@example.com", "somebody", later[2])  # she has it already
    assign_incident(ledger, incident.id, "bo@example.com", "ana@example.com", later[3])
    close_incident(ledger, incident.id, "bo@example.com", "billing sent euros", later[4])
    naive = [moment.replace(tzinfo=None) for moment in (NOW, *later)]
    assert acts(ledger, incident.id) == [
        (naive[0], "opened", "the pipeline", "data@example.com", None),
        (naive[1], "failed again", "the pipeline", "data@example.com", None),
        (naive[2], "assigned", "lead@example.com", "ana@example.com", None),
        (naive[4], "assigned", "ana@example.com", "bo@example.com", None),
        (naive[5], "closed", "bo@example.com", "bo@example.com", "billing sent euros"),
    ]
    assert find_incident(ledger, incident.id).age(NOW + timedelta(days=90)) == "5 hours"
    assert find_incident(ledger, other.id).age(NOW + timedelta(days=3)) == "3 days"
    assert len(incident_events(ledger)) == 6


def test_closed_is_the_end_and_the_next_one_names_it(ledger: str) -> None:
    first = opened(ledger)
    close_incident(ledger, first.id, "ana@example.com", "fixed", NOW)
    second = opened(ledger)
    assert [note for *_, note in acts(ledger, second.id)] == [f"the same as {first.id}, which ana@example.com closed"]
    assert [act for _, act, *_ in acts(ledger, first.id)] == ["opened", "closed"]


@pytest.mark.parametrize("nobody", ["", "  ", "the team", "ana@", "ana@example.com, bo@example.com"])
def test_an_incident_is_given_to_a_person(ledger: str, nobody: str) -> None:
    incident = opened(ledger)
    with pytest.raises(IncidentError, match="is no person's address; an incident is given to somebody"):
        assign_incident(ledger, incident.id, nobody, "lead@example.com", NOW)
    with pytest.raises(IncidentError, match="needs the name of who assigns it"):
        assign_incident(ledger, incident.id, "ana@example.com", " ", NOW)
    assert find_incident(ledger, incident.id) == incident


def test_a_ledger_from_before_the_history_is_read(ledger: str) -> None:
    incident = opened(ledger)
    with sqlite3.connect(ledger.removeprefix("sqlite:///")) as connection:
        connection.execute("drop table incident_event")
    assert list_incidents(ledger) == [incident]
    assert incident_events(ledger, incident.id) == []
    closed = close_incident(ledger, incident.id, "ana@example.com", "fixed", NOW)
    assert [act for _, act, *_ in acts(ledger, closed.id)] == ["closed"]


def test_what_can_not_be_done_is_said(ledger: str) -> None:
    incident = opened(ledger)
    with pytest.raises(IncidentError, match="There is no incident 'i-none'"):
        assign_incident(ledger, "i-none", "ana@example.com", "lead@example.com", NOW)
    with pytest.raises(IncidentError, match="needs a name and a note"):
        close_incident(ledger, incident.id, "ana@example.com", " ", NOW)
    with pytest.raises(IncidentError, match=r"The note has 2,001 characters; 2,000 fit\."):
        close_incident(ledger, incident.id, "ana@example.com", "x" * 2001, NOW)
    close_incident(ledger, incident.id, "ana@example.com", "fixed", NOW)
    with pytest.raises(IncidentError, match=r"was closed by ana@example\.com"):
        close_incident(ledger, incident.id, "bo@example.com", "fixed again", NOW)
    with pytest.raises(IncidentError, match=r"can't be changed any more"):
        assign_incident(ledger, incident.id, "bo@example.com", "lead@example.com", NOW)
    assert find_incident(ledger, incident.id).note == "fixed"


def test_the_ledger_is_in_wal_mode(ledger: str) -> None:
    opened(ledger)
    with sqlite3.connect(ledger.removeprefix("sqlite:///")) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
