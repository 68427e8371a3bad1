"""The audit's check of packet bodies: passes on what was stored, and fails on each way in which a body is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from packet_examples import WEEK, by_place, facts, policy, sponsor_risk, with_other_brief

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.content import canonical_hash, canonical_json
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.account_facts import Decided
from health_pipeline.quality.packet_bodies import check_bodies
from health_pipeline.quality.suites import Check, load_checks
from health_pipeline.risk import packets_of_week, restricted
from health_pipeline.risk.history import EpisodeHistory
from health_pipeline.risk.packet_building import build_packets
from health_pipeline.risk.packet_rows import mart_row
from health_pipeline.risk.restricted import collect_garbage, store_packets
from health_pipeline.settings import Settings

Row = dict[str, Any]


def the_check() -> Check:
    return next(check for check in load_checks() if check.type == "packet_bodies")


def candidate(tmp_path: Path, change: Callable[[Row, list[Row], Settings], None]) -> tuple[Path, Settings]:
    """A mart file of one packet whose body was stored, after a change."""
    settings = Settings(home=tmp_path / "home")
    packet = build_packets([sponsor_risk()], by_place(facts()), policy())[0]
    stored = store_packets(settings, [packet])[("pkt_1", str(WEEK))]
    row = {**mart_row(packet), "body_sha256": stored.body_sha256}
    evidence = [{**asdict(piece), "packet_id": "pkt_1"} for piece in packet.evidence]
    change(row, evidence, settings)
    path = tmp_path / "mart.duckdb"
    with duckdb.connect(str(path)) as connection:
        for name, rows in (("risk_packets", [row]), ("risk_evidence", evidence)):
            schema = mart_tables()[name].arrow_schema
            plain = [{column: one.get(column) for column in schema.names} for one in rows]
            connection.register("incoming", pa.Table.from_pylist(plain, schema))
            connection.execute(f"create table {name} as select * from incoming")
            connection.unregister("incoming")
    return path, settings


def body_file(settings: Settings, address: str) -> Path:
    return settings.restricted / "bodies" / address[:2] / f"{address}.json"


def other_body(row: Row, settings: Settings, change: Callable[[Row], None]) -> None:
    """Store another body at its own, right address, and let the row name it."""
    body = json.loads(body_file(settings, row["body_sha256"]).read_text())
    change(body)
    row["body_sha256"] = canonical_hash(body)
    path = body_file(settings, row["body_sha256"])
    path.parent.mkdir(exist_ok=True)
    path.write_text(canonical_json(body))


def false_number(body: Row) -> None:
    line = next(line for line in body["brief"] if "60,000" in line["text"])
    line["text"] = line["text"].replace("60,000", "61,000")


def test_stored_packets_pass(tmp_path: Path) -> None:
    path, settings = candidate(tmp_path, lambda row, evidence, settings: None)
    result = check_bodies([the_check()], path, [WEEK], settings.restricted)[0]
    assert (result.passed, result.evaluated, result.severity, result.observed) == (
        True,
        True,
        "critical",
        "0 of 1 packets",
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda row, evidence, settings: row.update(body_sha256=None), "it has no address in the restricted store"),
        (lambda row, evidence, settings: row.update(body_sha256="0" * 64), "there is no body"),
        (lambda row, evidence, settings: row.update(packet_hash="another"), "the body is another packet's"),
        (lambda row, evidence, settings: evidence.pop(), "the body rests on other evidence than the mart's"),
        (
            lambda row, evidence, settings: body_file(settings, row["body_sha256"]).write_text("{}"),
            "the body was changed after it was written",
        ),
        (
            lambda row, evidence, settings: other_body(row, settings, false_number),
            "sentence 13 (value, F7): amount does not follow from F7",
        ),
        (
            lambda row, evidence, settings: other_body(
                row, settings, lambda body: body["packet"].update(packet_id="pkt_2")
            ),
            "the body is another packet's",
        ),
    ],
    ids=["no address", "no body", "other hash", "other evidence", "changed body", "false number", "another packet's"],
)
def test_each_broken_body_is_found(
    tmp_path: Path, change: Callable[[Row, list[Row], Settings], None], problem: str
) -> None:
    path, settings = candidate(tmp_path, change)
    result = check_bodies([the_check()], path, [WEEK], settings.restricted)[0]
    assert (result.passed, result.evaluated, result.unexpected_count) == (False, True, 1)
    assert result.row_ids == ((("packet_id", "pkt_1"), ("week", "2026-11-09"), ("problem", problem)),)


def test_audit_says_which_sentence_of_a_refused_brief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No body of such a packet is stored, so the finding comes from what its refusal left."""
    monkeypatch.setattr(restricted, "body_of", with_other_brief(restricted.body_of, false_number))
    path, settings = candidate(tmp_path, lambda row, evidence, settings: None)
    result = check_bodies([the_check()], path, [WEEK], settings.restricted)[0]
    assert (result.passed, result.evaluated, result.unexpected_count) == (False, True, 1)
    assert dict(result.row_ids[0])["problem"] == "sentence 13 (value, F7): amount does not follow from F7"
    assert not list((settings.restricted / "bodies").glob("*/*.json"))
    collect_garbage(settings, set(), datetime.now(UTC) + timedelta(days=2))
    assert not list((settings.restricted / "refused").iterdir())


def test_log_says_which_sentence_and_no_word_of_a_customer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path / "home")
    known = by_place(facts())
    monkeypatch.setattr(packets_of_week, "read_account_facts", lambda *_: known)
    monkeypatch.setattr(packets_of_week, "read_quoted_texts", lambda *_: facts().texts)

    def other_words(body: Row) -> None:
        for line in body["brief"]:
            line["text"] = line["text"].replace("14 September", "15 September").replace("F3.name", "F3.title")

    monkeypatch.setattr(restricted, "body_of", with_other_brief(restricted.body_of, other_words))
    made = packets_of_week.packets_of_week(
        settings, [sponsor_risk()], Week(WEEK), policy(), EpisodeHistory([], WEEK), Decided(False)
    )
    (problems,) = made.unverified.values()
    assert list(made.unverified) == ["pkt_1"]
    assert all(one.startswith("sentence ") and "(person, F" in one for one in problems)
    assert "Jana" not in str(made.unverified)
    assert "Head of Finance" not in str(made.unverified)


def test_weeks_of_other_runs_are_not_looked_at(tmp_path: Path) -> None:
    path, _ = candidate(tmp_path, lambda row, evidence, settings: None)
    assert check_bodies([the_check()], path, [], None)[0].passed
    assert not check_bodies([the_check()], path, [WEEK], None)[0].passed


def test_without_a_restricted_store_every_packet_lacks_its_body(tmp_path: Path) -> None:
    path, _ = candidate(tmp_path, lambda row, evidence, settings: None)
    result = check_bodies([the_check()], path, [WEEK], None)[0]
    assert (result.passed, result.evaluated, result.observed) == (False, True, "1 of 1 packets")
    assert dict(result.row_ids[0])["problem"] == "there is no restricted store"
