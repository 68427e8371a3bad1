"""Published packets become cases: once per hash, with approvals void where a packet changed materially."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from reviewing import CSM, LEAD, WEEK, SetClock, does, packet, until_proposed

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.review import Ledger, LedgerError, approval_holds, queue_reason


@dataclass(frozen=True)
class Published:
    """A release as far as the intake looks."""

    name: str
    file: Path
    published_weeks: tuple[Week, ...]


def row_of(table: str, **values: Any) -> dict[str, Any]:
    """A row of the contract's columns, null where nothing is said."""
    return {**dict.fromkeys(mart_tables()[table].arrow_schema.names), **values}


def published(
    folder: Path,
    name: str,
    packets: list[dict[str, Any]],
    evidence: list[dict[str, Any]],
    weeks: list[date],
    reviewed: tuple[str, ...] = ("acc_1",),
) -> Published:
    """A release; its newest week reviewed the accounts of its packets and those named."""
    file = folder / f"{name}.duckdb"
    accounts = {*reviewed, *(row["account_id"] for row in packets if row["week"] == weeks[-1])}
    with duckdb.connect(str(file)) as connection:
        for table, rows in (("risk_packets", packets), ("risk_evidence", evidence)):
            schema = mart_tables()[table].arrow_schema
            connection.register("given", pa.Table.from_pylist([row_of(table, **row) for row in rows], schema=schema))
            connection.execute(f"create table {table} as select * from given")
            connection.unregister("given")
        connection.execute("create table account_health_weekly (account_id varchar, week date)")
        connection.executemany(
            "insert into account_health_weekly values (?, ?)", [[account, weeks[-1]] for account in sorted(accounts)]
        )
    return Published(name, file, tuple(Week(day) for day in weeks))


def packet_row(packet_id: str, week: date, **values: Any) -> dict[str, Any]:
    plain = {
        "packet_id": packet_id,
        "week": week,
        "account_id": f"account of {packet_id}",
        "as_of_at": datetime(2026, 11, 16),
        "category": "support",
        "side": "risk",
        "severity": "high",
        "packet_hash": f"hash of {packet_id} in {week}",
        "value_at_risk": Decimal("12000.00"),
        "owner_email": "CSM@example.com",
        "is_quiet": False,
        "days_to_renewal": 40,
    }
    return {**plain, **values}


def evidence_row(packet_id: str, week: date, name: str, **values: Any) -> dict[str, Any]:
    plain = {
        "evidence_id": f"{name} in {week}",
        "packet_id": packet_id,
        "week": week,
        "subject": "tickets_open",
        "source_table": "support_ticket",
        "source_record_id": name,
        "metric": "open_days",
        "direction": "supports",
        "kind": "measured",
    }
    return {**plain, **values}


OLDER = date(2026, 11, 2)


def test_a_release_is_taken_in_once(ledger: Ledger, tmp_path: Path) -> None:
    release = published(
        tmp_path,
        "r000002",
        [packet_row("a", WEEK), packet_row("b", WEEK, severity=None, owner_email=None), packet_row("old", OLDER)],
        [
            evidence_row("a", WEEK, "ticket-1"),
            evidence_row("a", WEEK, "survey-1", direction="contradicts", kind="reported"),
            evidence_row("old", OLDER, "ticket-9"),
        ],
        [OLDER, WEEK],
    )
    # The fixture took a packet of that week in, so an older week is history.
    first = ledger.intake(release)
    assert (first.weeks, first.detected, first.rebuilt) == ((WEEK,), 2, 0)
    case = ledger.case("a")
    assert (case.state, case.severity, case.severity_status, case.owner_email) == ("detected", "high", "suggested", CSM)
    assert (case.supporting_evidence, case.value_at_risk) == (1, Decimal("12000.00"))
    assert case.as_of_at == datetime(2026, 11, 16, tzinfo=UTC)
    assert case.evidence == ((f"survey-1 in {WEEK}", "reported"), (f"ticket-1 in {WEEK}", "measured"))
    assert ledger.case("b").severity is None and ledger.case("b").owner_email is None
    assert [event.type for event in ledger.events("a")] == ["risk_detected", "packet_built"]
    head = ledger.head()
    again = ledger.intake(release)
    assert (again.detected, again.unchanged) == (0, 2)
    assert ledger.head() == head
    assert ledger.verify().holds


def test_the_same_packet_a_week_later_is_renewed(ledger: Ledger, tmp_path: Path) -> None:
    """Its hash is of what a decision rests on; its week, and the ids of its evidence, are not."""
    newer = date(2026, 11, 16)
    same = {"severity": "medium", "packet_hash": "the same"}
    rows = [packet_row("a", WEEK, **same), packet_row("a", newer, **same), packet_row("b", newer)]
    pieces = [evidence_row("a", WEEK, "ticket-1"), evidence_row("a", newer, "ticket-2")]
    ledger.intake(published(tmp_path, "r000002", rows[:1], pieces[:1], [WEEK]))
    until_proposed(ledger, "a")
    approved = does(ledger, "approve", LEAD, "a")
    report = ledger.intake(published(tmp_path, "r000003", rows, pieces, [WEEK, newer]))
    assert (report.weeks, report.detected, report.renewed) == ((newer,), 1, 1)
    case = ledger.case("a")
    assert (case.week, case.evidence, case.state) == (newer, ((f"ticket-2 in {newer}", "measured"),), "approved")
    assert case.version == approved.version
    assert approval_holds(case, ledger.clock.now())
    does(ledger, "take_action", case_id="a", mitigation="training", channel="call")


def test_a_case_of_a_customer_who_has_left_stands_aside(ledger: Ledger, tmp_path: Path) -> None:
    later, latest = date(2026, 11, 16), date(2026, 11, 23)
    ledger.intake(published(tmp_path, "r000002", [packet_row("a", WEEK), packet_row("b", WEEK)], [], [WEEK]))
    does(ledger, "dismiss", LEAD, "b", reason_code="signal_wrong", reason="Nothing to it.")
    before = ledger.case("a")
    taken = ledger.intake(published(tmp_path, "r000003", [], [], [WEEK, later]))
    case = ledger.case("a")
    assert (taken.left, case.left_by, case.is_quiet) == (1, later, True)
    assert (case.state, case.version, case.packet_hash) == (before.state, before.version, before.packet_hash)
    assert queue_reason(case, ledger.clock.now()) == "the customer has left: proposed for closing"
    # who had ended it, and who is still reviewed, is as they were
    assert ledger.case("b").left_by is None and ledger.case("p-1").left_by is None
    head = ledger.head()
    assert ledger.intake(published(tmp_path, "r000004", [], [], [WEEK, later])).left == 0
    assert ledger.head() == head
    back = packet_row("a", latest, packet_hash="another")
    assert ledger.intake(published(tmp_path, "r000005", [back], [], [WEEK, later, latest])).rebuilt == 1
    assert (ledger.case("a").left_by, ledger.case("a").is_quiet) == (None, False)
    assert ledger.rebuild() == 3 and ledger.verify().holds


def test_a_packet_without_a_hash_is_not_taken_in(ledger: Ledger, tmp_path: Path) -> None:
    release = published(tmp_path, "r000002", [packet_row("a", WEEK, packet_hash=None)], [], [WEEK])
    with pytest.raises(
        LedgerError, match="1 packets of r000002 have no packet_hash, such as a; nothing can be approved"
    ):
        ledger.intake(release)
    assert [case.case_id for case in ledger.cases()] == ["p-1"]


@pytest.mark.parametrize(
    "change",
    [
        {"severity": "high"},
        {"severity": "low"},
        {"evidence": (("ev-1", "measured"), ("ev-3", "reported"))},
        {"evidence": (), "supporting_evidence": 0},
    ],
    ids=["severity up", "severity down", "a ticket more", "evidence gone"],
)
@pytest.mark.parametrize("state", ["proposed", "approved", "in_progress"])
def test_a_material_change_voids_proposal_and_approval(ledger: Ledger, change: dict[str, Any], state: str) -> None:
    until_proposed(ledger)
    if state != "proposed":
        does(ledger, "approve", LEAD)
    if state == "in_progress":
        does(ledger, "take_action", mitigation="training", channel="call")
    report = ledger.take_in("r2", [packet(packet_hash="hash-2", **change)])
    case = ledger.case("p-1")
    assert (report.returned_to_review, case.state, case.approval, case.proposal) == (1, "in_review", None, None)
    assert ledger.events("p-1")[-1].type == "packet_built"


def test_a_confirmed_severity_stays_until_the_suggestion_changes(ledger: Ledger) -> None:
    does(ledger, "confirm_severity", severity="low")
    ledger.take_in("r2", [packet(packet_hash="hash-2", is_quiet=True)])
    case = ledger.case("p-1")
    assert (case.severity, case.severity_status, case.severity_by, case.is_quiet) == ("low", "confirmed", CSM, True)
    ledger.take_in("r3", [packet(packet_hash="hash-3", severity="critical")])
    case = ledger.case("p-1")
    assert (case.severity, case.severity_status, case.severity_by) == ("critical", "suggested", None)


def test_an_owner_a_person_gave_stays(ledger: Ledger) -> None:
    ledger.take_in("r2", [packet(packet_hash="hash-2", owner_email="new@example.com")])
    assert ledger.case("p-1").owner_email == "new@example.com"
    does(ledger, "assign_owner", LEAD, owner_email=CSM)
    ledger.take_in("r3", [packet(packet_hash="hash-3", owner_email="newer@example.com")])
    assert ledger.case("p-1").owner_email == CSM


def test_what_has_ended_comes_back_only_for_a_reason(ledger: Ledger, clock: SetClock) -> None:
    does(ledger, "dismiss", reason_code="benign_explanation", reason="holidays")
    ledger.take_in("r2", [packet(packet_hash="hash-2")])
    assert ledger.case("p-1").state == "dismissed"
    report = ledger.take_in("r3", [packet(packet_hash="hash-3", severity="high")])
    case = ledger.case("p-1")
    assert (report.reopened, case.state, case.outcome) == (1, "reopened", None)
    assert queue_reason(case, clock.now()) == "reopened"
    assert [event.type for event in ledger.events("p-1")][-2:] == ["packet_built", "reopened"]
    assert ledger.verify().holds


def test_a_deferred_case_waits_unless_it_gets_worse(ledger: Ledger) -> None:
    does(ledger, "defer", until="2026-12-01", reason="after the fair")
    ledger.take_in("r2", [packet(packet_hash="hash-2")])
    assert ledger.case("p-1").state == "deferred"
    ledger.take_in("r3", [packet(packet_hash="hash-3", severity="critical")])
    assert ledger.case("p-1").state == "in_review"
