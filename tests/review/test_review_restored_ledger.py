"""A ledger restored from an older copy: told, not landed over; once the loss is accepted nothing lost counts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest
from reviewing import ADMIN, LEAD, SetClock, does
from test_review_landed_decisions import at, land, landed, run_key

from health_pipeline.orchestration.sensors import picked_up
from health_pipeline.review import Ledger, LedgerError
from health_pipeline.review.landed_decisions import lost_head
from health_pipeline.settings import Settings


def file_of(settings: Settings) -> Path:
    return Path(settings.ledger_url.removeprefix("sqlite:///"))


def copied(settings: Settings, to: Path) -> Path:
    """A backup as SQLite makes one."""
    with sqlite3.connect(file_of(settings)) as source, sqlite3.connect(to) as target:
        source.backup(target)
    return to


@pytest.fixture
def restored(ledger: Ledger, settings: Settings, clock: SetClock, tmp_path: Path) -> Ledger:
    """Two decisions after the copy was made are landed; the copy is the ledger again, and one decision is new."""
    does(ledger, "start_review")
    copy = copied(settings, tmp_path / "copy.sqlite")
    clock.pass_days(0.1)
    does(ledger, "confirm_severity", severity="high")
    does(ledger, "set_follow_up", follow_up_on="2026-12-01")
    land(settings, at(ledger, hours=1))
    with sqlite3.connect(copy) as source, sqlite3.connect(file_of(settings)) as target:
        source.backup(target)
    ledger.engine.dispose()
    clock.pass_days(1)
    does(ledger, "confirm_severity", severity="low")
    return ledger


def test_what_was_landed_and_is_gone_is_told_and_nothing_is_landed(restored: Ledger, settings: Settings) -> None:
    before = landed(settings)
    sentence = "The ledger lacks 2 events that were landed already, up to event"
    with pytest.raises(LedgerError, match=sentence):
        land(settings, at(restored))
    assert landed(settings) == before


def test_once_the_loss_is_accepted_what_is_new_is_landed_and_what_is_lost_is_named(
    restored: Ledger, settings: Settings, clock: SetClock
) -> None:
    before = landed(settings)
    lost = lost_head(settings)
    with pytest.raises(LedgerError, match="may not accept"):
        restored.accept_loss(lost, LEAD, "restored from Tuesday's copy")
    clock.pass_days(0.1)
    restored.accept_loss(lost, ADMIN, "restored from Tuesday's copy")
    # as of a moment before the acceptance nothing is landed yet, and nothing fails
    assert land(settings, at(restored, hours=-1)).load is None
    found = land(settings, at(restored, hours=1))
    new = [row for row in landed(settings) if row not in before]
    gone = [row["event_id"] for row in before if row["event_type"] in {"severity_confirmed", "follow_up_set"}]
    assert {row["event_id"] for row in new if row["event_type"] == "event_lost"} == {f"lost-{name}" for name in gone}
    (severity,) = [row for row in new if row["event_type"] == "severity_confirmed"]
    assert (severity["confirmed_severity"], severity["follow_up_date"]) == ("low", None)
    assert {row["measured_as"] for row in new if row["event_type"] == "event_lost"} == {None}
    assert found.last_seq == severity["seq"]
    # each once
    assert land(settings, at(restored, hours=2)).load is None
    does(restored, "set_follow_up", follow_up_on="2026-12-02")
    assert land(settings, at(restored, hours=3)).load.rows == 1  # type: ignore[union-attr]
    with pytest.raises(LedgerError, match="no loss to accept"):
        lost_head(settings)


def test_the_sensor_asks_though_the_numbers_went_back(restored: Ledger, settings: Settings) -> None:
    asked = picked_up("99", settings.ledger_url)
    assert [request.run_key for request in asked.run_requests or ()] == [run_key(restored)]
    assert asked.cursor == str(restored.events()[-1].seq)


def test_a_copy_as_old_as_what_is_landed_lacks_nothing(ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    land(settings, at(ledger))
    copy = copied(settings, tmp_path / "copy.sqlite")
    does(ledger, "start_review")
    with sqlite3.connect(copy) as source, sqlite3.connect(file_of(settings)) as target:
        source.backup(target)
    ledger.engine.dispose()
    does(ledger, "set_follow_up", follow_up_on="2026-12-01")
    assert land(settings, at(ledger, hours=1)).load.rows == 1  # type: ignore[union-attr]


def test_sql_leaves_out_what_is_lost() -> None:
    """The query that the mart reads measurements by, on rows of its own."""
    from health_pipeline.mart.decisions import _KNOWN

    with duckdb.connect() as connection:
        connection.execute("create schema intermediate")
        connection.execute(
            "create table intermediate.int_review_event as select * from (values "
            "('e1', 'approved', timestamp '2026-01-01'), ('e2', 'approved', timestamp '2026-01-02'), "
            "('lost-e2', 'event_lost', timestamp '2026-01-05')) as rows(event_id, event_type, occurred_at)"
        )
        connection.execute("alter table intermediate.int_review_event add column available_at timestamp")
        connection.execute("update intermediate.int_review_event set available_at = occurred_at")
        query = f"{_KNOWN}select event_id from known order by event_id"
        assert connection.execute(query, ["2026-01-03", "2026-01-03"]).fetchall() == [("e1",), ("e2",)]
        assert connection.execute(query, ["2026-01-09", "2026-01-09"]).fetchall() == [("e1",)]
