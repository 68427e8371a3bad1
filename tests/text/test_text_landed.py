"""Texts are read once and landed as rows with the clocks of the record that was read; no word of them is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from health_pipeline.contract.landing import ARROW_TYPES, landing_tables
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import PolicyError
from health_pipeline.policy.risk_phrases import load_risk_phrases
from health_pipeline.settings import Settings
from health_pipeline.sources.conformance import delivered_columns
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing
from health_pipeline.text import readers
from health_pipeline.text.unread import read_unread
from health_pipeline.text.version import rule_version

RULES = """
rules:
  - {id: leaves, category: renewal_posture, counts_when: affirmed, phrases: {en: [cancel]}}
negation: {en: {cues: [not], before: 6, after: 0}}
competitors: [Acme]
"""
SECRET = "Zebulon"
FIRST, SECOND, THIRD = (datetime(2026, 11, day, 2, tzinfo=UTC) for day in (2, 9, 16))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "risk_phrases.yaml").write_text(RULES)
    return Settings(home=tmp_path / "home", policy=policy)


def land(
    settings: Settings,
    kind: str,
    loaded_at: datetime,
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    mode: str = "incremental",
    complete: Iterable[str] = (),
) -> str:
    """Land rows that give the columns that matter; the id of the load."""
    extracts = []
    for name, rows in tables.items():
        schema = pa.schema([(one.name, ARROW_TYPES[one.type]) for one in delivered_columns(landing_tables()[name])])
        data = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
        extracts.append(TableExtract(name, data, name in complete))
    landing = Landing(settings.landing, settings.quarantine)
    company = load_company(settings.policy).model
    result = landing.load(Extract(kind, "desk", mode, tuple(extracts)), company, loaded_at)  # type: ignore[arg-type]
    assert result.status == "committed", result.messages
    assert result.load_id is not None
    return result.load_id


def ticket(ticket_id: str = "t1", **columns: Any) -> dict[str, Any]:
    return {
        "ticket_id": ticket_id, "source_account_id": "a", "status": "open", "priority": "normal",
        "created_at": datetime(2026, 10, 30), "subject": "Question", "body": f"{SECRET}: we cancel.", **columns,
    }  # fmt: skip


def landed(settings: Settings, table: str) -> list[dict[str, Any]]:
    manifest = Landing(settings.landing, settings.quarantine).manifest().to_pylist()
    paths = [row["path"] for row in manifest if row["table_name"] == table]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_a_text_becomes_rows_with_its_records_clocks(settings):
    load_id = land(settings, "support", FIRST, {"support_ticket": [ticket()]})
    report = read_unread(settings)
    version = rule_version(load_risk_phrases(settings.policy))
    assert (report.rule_version, report.loads, report.records, report.phrases) == (version, 1, 1, 1)
    (reading,), (phrase,) = landed(settings, "text_reading"), landed(settings, "text_phrase")
    named = {
        "record_table": "support_ticket", "record_kind": "support", "record_system": "desk",
        "record_instance": "default", "record_id": "t1", "record_load_id": load_id, "rule_version": version,
        "occurred_at": datetime(2026, 10, 30),
    }  # fmt: skip
    assert named.items() <= reading.items()
    assert named.items() <= phrase.items()
    known = FIRST.replace(tzinfo=None)
    assert (reading["text_available_at"], reading["available_at"], reading["is_deleted"]) == (known, known, False)
    assert reading["characters"] == len("Question") + len(f"{SECRET}: we cancel.")
    found = {name: phrase[name] for name in ("record_field", "rule_id", "category", "is_negated", "language")}
    assert found == {
        "record_field": "body", "rule_id": "leaves", "category": "renewal_posture", "is_negated": False,
        "language": "en",
    }  # fmt: skip
    assert ticket()["body"][phrase["span_start"] : phrase["span_end"]] == "cancel"


def test_a_historical_load_counts_when_its_words_could_be_known(settings):
    """A fact from its own time on, with the source's latency; a record that changes from its last change on."""
    changed = datetime(2026, 10, 31)
    tickets = [ticket("dated", source_updated_at=changed), ticket("undated")]
    message = {"message_id": "m", "ticket_id": "t", "author_kind": "customer", "is_public": True, "body": "hello Acme",
               "sent_at": datetime(2026, 10, 1)}  # fmt: skip
    land(settings, "support", THIRD, {"support_ticket": tickets, "support_message": [message]}, mode="historical")
    read_unread(settings)
    known = {row["record_id"]: row["text_available_at"] for row in landed(settings, "text_reading")}
    latency = load_company(settings.policy).model.source("support").latency_hours
    assert known == {
        "dated": changed.replace(hour=latency),
        "undated": THIRD.replace(tzinfo=None),
        "m": datetime(2026, 10, 1, latency),
    }


def test_what_is_read_twice_changes_nothing(settings):
    land(settings, "support", FIRST, {"support_ticket": [ticket()]})
    assert read_unread(settings).loads == 1
    before = Landing(settings.landing, settings.quarantine).manifest()
    again = read_unread(settings)
    assert (again.loads, again.records, again.phrases) == (0, 0, 0)
    assert Landing(settings.landing, settings.quarantine).manifest().equals(before)


def test_the_same_landing_gives_the_same_rows_however_often_it_is_read(settings, tmp_path):
    """Read after each load or once after both: the same."""
    other = Settings(home=tmp_path / "other", policy=settings.policy)
    loads = [(FIRST, [ticket(), ticket("t2")]), (SECOND, [ticket(body="all is well"), ticket("t2")])]
    for loaded_at, rows in loads:
        land(settings, "support", loaded_at, {"support_ticket": rows})
        read_unread(settings)
        land(other, "support", loaded_at, {"support_ticket": rows})
    read_unread(other)

    def rows(of: Settings, table: str) -> set[tuple[Any, ...]]:
        return {tuple(v for k, v in row.items() if k != "load_sequence") for row in landed(of, table)}

    for table in ("text_reading", "text_phrase"):
        assert rows(settings, table) == rows(other, table) != set()


def test_what_comes_again_with_the_same_words_is_not_read_again(settings):
    land(settings, "support", FIRST, {"support_ticket": [ticket(), ticket("t2")]}, complete=("support_ticket",))
    land(
        settings,
        "support",
        SECOND,
        {"support_ticket": [ticket(status="solved"), ticket("t2", body="Acme now")]},
        complete=("support_ticket",),
    )
    assert read_unread(settings).records == 3
    land(settings, "support", THIRD, {"support_ticket": [ticket(), ticket("t2", body="Acme now")]})
    assert read_unread(settings).records == 0
    assert [row["record_id"] for row in landed(settings, "text_reading")] == ["t1", "t2", "t2"]


def test_a_deleted_or_emptied_text_is_read_as_gone(settings):
    land(settings, "support", FIRST, {"support_ticket": [ticket("deleted"), ticket("emptied"), ticket("kept")]})
    land(
        settings,
        "support",
        SECOND,
        {
            "support_ticket": [
                ticket("deleted", is_deleted=True),
                ticket("emptied", subject=None, body=" "),
                ticket("never seen", is_deleted=True),
                ticket("without words", subject=None, body=None),
            ]
        },
    )
    read_unread(settings)
    newest = {row["record_id"]: (row["is_deleted"], row["characters"]) for row in landed(settings, "text_reading")}
    assert newest == {"deleted": (True, 0), "emptied": (False, 0), "kept": (False, 27)}
    assert len(landed(settings, "text_phrase")) == 3


def test_other_rules_read_every_text_again_beside_the_rows_of_the_older(settings):
    land(settings, "support", FIRST, {"support_ticket": [ticket()]})
    older = read_unread(settings).rule_version
    (settings.policy / "risk_phrases.yaml").write_text(RULES.replace("[cancel]", "[cancel, question]"))
    newer = read_unread(settings)
    assert (newer.loads, newer.records, newer.phrases) == (1, 1, 2)
    rows = landed(settings, "text_phrase")
    assert sorted(row["rule_version"] == older for row in rows) == [False, False, True]
    assert len({row["source_instance"] for row in rows}) == 2
    assert read_unread(settings).loads == 0


def test_rules_that_are_wrong_are_told_and_nothing_is_read(settings):
    land(settings, "support", FIRST, {"support_ticket": [ticket()]})
    (settings.policy / "risk_phrases.yaml").write_text(RULES.replace("renewal_posture", "renewal"))
    with pytest.raises(PolicyError, match=r"risk_phrases\.yaml: rules\.0\.category"):
        read_unread(settings)
    assert landed(settings, "text_reading") == []


def test_only_what_customers_wrote_of_messages_and_all_notes_and_answers(settings):
    message = {"ticket_id": "t", "is_public": True, "body": "Acme", "sent_at": datetime(2026, 10, 1)}
    land(
        settings,
        "support",
        FIRST,
        {
            "support_message": [
                {**message, "message_id": "theirs", "author_kind": "customer"},
                {**message, "message_id": "ours", "author_kind": "agent"},
                {**message, "message_id": "hidden", "author_kind": "customer", "is_public": False},
            ]
        },
    )
    land(
        settings,
        "cs",
        FIRST,
        {
            "cs_note": [
                {"note_id": "secret", "source_account_id": "a", "activity_type": "note", "sensitivity": "sensitive",
                 "subject": "Acme", "body": "cancel", "occurred_at": datetime(2026, 10, 2)}
            ]
        },
    )  # fmt: skip
    land(
        settings,
        "survey",
        FIRST,
        {
            "survey_response": [
                {"response_id": "answer", "survey_type": "nps", "score": 2.0, "scale_min": 0.0, "scale_max": 10.0,
                 "comment": "Acme", "responded_at": datetime(2026, 10, 2)}
            ]
        },
    )  # fmt: skip
    read_unread(settings)
    found = {(row["record_table"], row["record_id"], row["record_field"]) for row in landed(settings, "text_phrase")}
    assert found == {
        ("support_message", "theirs", "body"),
        ("cs_note", "secret", "subject"),
        ("cs_note", "secret", "body"),
        ("survey_response", "answer", "comment"),
    }


def test_no_word_of_a_text_is_in_a_row_or_a_log(settings, capfd, caplog):
    hostile = f'{SECRET} <script>=HYPERLINK("x")</script> \x00 we cancel'
    land(settings, "support", FIRST, {"support_ticket": [ticket(), ticket("t2", body=hostile)]})
    read_unread(settings)
    kept = [str(row) for table in ("text_reading", "text_phrase") for row in landed(settings, table)]
    assert len(kept) == 4
    output = capfd.readouterr()
    for said in (*kept, output.out, output.err, caplog.text):
        assert SECRET not in said
        assert "cancel" not in said
        assert "HYPERLINK" not in said


def test_a_large_load_is_read_by_several_processes_to_the_same_end(settings, tmp_path, monkeypatch):
    other = Settings(home=tmp_path / "other", policy=settings.policy)
    rows = [ticket(f"t{number}", body=f"number {number} {'cancel' if number % 3 else 'Acme'}") for number in range(40)]
    land(settings, "support", FIRST, {"support_ticket": rows})
    land(other, "support", FIRST, {"support_ticket": rows})
    read_unread(settings)
    monkeypatch.setattr(readers, "RECORDS_FOR_SEVERAL", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert read_unread(other).phrases == 40
    for table in ("text_reading", "text_phrase"):
        assert landed(other, table) == landed(settings, table)
