"""Incidents: opened once, owned, closed with a note; ids only."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.quality.incidents import (
    Incident,
    IncidentError,
    assign_incident,
    close_incident,
    list_incidents,
    open_incident,
    record_incident,
)
from health_pipeline.quality.verdict import CheckResult, Verdict

NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)
WEEK = date(2026, 10, 26)
FAILED = CheckResult(
    suite="account_health_weekly",
    name="score_range",
    type="expect_column_values_to_be_between",
    severity="critical",
    reason="0 to 100",
    passed=False,
    evaluated=True,
    unexpected_count=1,
    row_ids=((("account_id", "a1"), ("week", "2026-10-26")),),
)


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
    assigned = assign_incident(ledger, incident.id, "ana@example.com")
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


def test_what_can_not_be_done_is_said(ledger: str) -> None:
    incident = opened(ledger)
    with pytest.raises(IncidentError, match="There is no incident 'i-none'"):
        assign_incident(ledger, "i-none", "ana@example.com")
    with pytest.raises(IncidentError, match="needs a name and a note"):
        close_incident(ledger, incident.id, "ana@example.com", " ", NOW)
    close_incident(ledger, incident.id, "ana@example.com", "fixed", NOW)
    with pytest.raises(IncidentError, match=r"was closed by ana@example\.com"):
        close_incident(ledger, incident.id, "bo@example.com", "fixed again", NOW)


def test_the_ledger_is_in_wal_mode(ledger: str) -> None:
    opened(ledger)
    with sqlite3.connect(ledger.removeprefix("sqlite:///")) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
