"""The ledger's head in each release, and the blocking check that the chain still holds it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from audited import Audited
from mart_builder import build_tables, weeks_from
from publishing import build, publish_weeks
from sqlalchemy import create_engine, text

from health_pipeline.contract.clocks import SystemClock
from health_pipeline.contract.event_chain import EVENT_COLUMNS, EVENT_TABLE, ChainHead
from health_pipeline.publication.candidate import Candidate, load_candidate
from health_pipeline.publication.in_run import audit_candidate
from health_pipeline.publication.releases import current_release
from health_pipeline.quality import audit as auditing
from health_pipeline.quality.ledger_chain import check_chain, ledger_head
from health_pipeline.quality.suites import LEDGER_TYPE, load_checks, required_checks
from health_pipeline.quality.verdict import DbtRecord
from health_pipeline.review import Ledger, Person
from health_pipeline.review.schema import EVENT
from health_pipeline.settings import Settings

CHECKS = [check for check in load_checks() if check.type == LEDGER_TYPE]


def with_users(settings: Settings, *names: str) -> ChainHead:
    """A ledger with an event for each user; its head."""
    with Ledger.open(settings, SystemClock()) as ledger:
        for name in names:
            ledger.set_person(Person(f"{name}@example.com", name, "admin"), "first@example.com")
        head = ledger.head()
    assert head is not None
    return head


def execute(settings: Settings, statement: str) -> None:
    engine = create_engine(settings.ledger_url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_the_chain_is_read_by_the_columns_it_is_written_in() -> None:
    assert EVENT.name == EVENT_TABLE
    assert tuple(column.name for column in EVENT.columns) == EVENT_COLUMNS


def test_the_check_blocks_both_kinds_of_run() -> None:
    assert [check.full_name for check in CHECKS] == ["across_tables.ledger_chain_holds"]
    for kind in ("weekly", "quarterly"):
        assert required_checks([kind])["across_tables.ledger_chain_holds"] == "critical"


def test_no_ledger_is_made_by_looking_for_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    assert ledger_head(settings.ledger_url) is None
    (result,) = check_chain(CHECKS, settings.ledger_url, [])
    assert (result.passed, result.evaluated, result.observed) == (True, True, "0 events, 0 anchors")
    assert not settings.home.exists()


def test_each_release_holds_the_head_and_the_next_candidate_its_bases(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    first = with_users(settings, "first", "second")
    assert (first.seq, first.count) == (2, 2)
    publish_weeks(settings, weeks_from(0, 2))
    release = current_release(settings)
    assert release is not None
    assert release.manifest["ledger_head"] == {"seq": 2, "hash": first.hash, "count": 2}
    second = with_users(settings, "third")
    candidate = build(settings, weeks_from(2, 1), build_tables(weeks_from(2, 1)))
    assert isinstance(candidate, Candidate)
    assert candidate.manifest["base_ledger_head"] == first.as_dict()
    assert candidate.manifest["ledger_head"] == second.as_dict()


def test_a_ledger_that_cannot_be_read_is_not_evaluated(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    head = with_users(settings, "first")
    file = settings.home / "ledger" / "ledger.db"
    with file.open("r+b") as stream:
        stream.write(b"no database at all" * 300)
    (result,) = check_chain(CHECKS, settings.ledger_url, [head])
    assert (result.passed, result.evaluated) == (False, False)
    assert result.error == "DatabaseError"


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("delete from ledger_event where seq = 3", "Event 3, anchored in a release, is gone"),
        ("update ledger_event set type = 'user_gone' where seq = 2", "Event 2 was changed"),
        ("delete from ledger_event", "Event 3, anchored in a release, is gone"),
    ],
    ids=["its tail cut", "a row edited", "emptied"],
)  # fmt: skip
def test_a_broken_ledger_is_a_critical_failure_of_the_audit(
    audited_candidate: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tampering: str, found: str
) -> None:
    # <home>/scratch/candidates/<candidate>
    original = audited_candidate.candidate.folder.parents[2]
    settings = Settings(home=tmp_path / "home")
    shutil.copytree(original, settings.home, symlinks=True)
    candidate = load_candidate(settings.home / audited_candidate.candidate.folder.relative_to(original))
    head = with_users(settings, "first", "second", "third")
    manifest = {**candidate.manifest, "base_ledger_head": head.as_dict(), "ledger_head": None}
    (candidate.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    candidate = load_candidate(candidate.folder)
    # Everything else passes, or is not this test's to say: only the ledger is looked at.
    for others in ("evaluate_tables", "evaluate_across"):
        monkeypatch.setattr(auditing, others, lambda *_: [])
    assert audit_candidate(settings, candidate, DbtRecord()).passed
    execute(settings, tampering)
    verdict = audit_candidate(settings, candidate, DbtRecord())
    (failure,) = verdict.critical_failures
    assert failure.check == "across_tables.ledger_chain_holds"
    assert failure.observed.startswith(found)
