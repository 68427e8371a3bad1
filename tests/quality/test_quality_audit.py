"""A whole audit: verdict, what it costs, and the gate behind it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from audited import Audited

from health_pipeline.contract.clocks import Week
from health_pipeline.observability.workers import Workers, result_of
from health_pipeline.publication.errors import PublicationRefusedError
from health_pipeline.publication.files import file_sha256
from health_pipeline.publication.gate import publish
from health_pipeline.quality.audit import audit
from health_pipeline.quality.suites import FOLDER, required_checks
from health_pipeline.quality.verdict import DbtRecord, Verdict, verdict_path

# No file of that name: there is no ledger yet.
NO_LEDGER = "sqlite:///nowhere/ledger.db"
RECORD = DbtRecord("invocation-1", {"accounts": "0" * 32})


def audited(
    of: Audited, file: Path, weeks: Sequence[Week], folder: Path = FOLDER, second: Workers | None = None
) -> Verdict:
    """The verdict on that file, with the bodies of the candidate's packets."""
    base = of.candidate.base_release
    return audit(file, weeks, of.candidate.run_quarters, base, RECORD, NO_LEDGER, folder, of.restricted, second)


@pytest.fixture(scope="module")
def verdict(audited_candidate: Audited) -> Verdict:
    candidate = audited_candidate.candidate
    return audited(audited_candidate, candidate.file, candidate.run_weeks)


def test_a_sound_candidate_passes(audited_candidate: Audited, verdict: Verdict) -> None:
    assert verdict.passed, verdict.critical_failures
    assert verdict.evaluated == required_checks(["weekly"]).keys()
    assert verdict.warnings == ()
    assert verdict.file_sha256 == file_sha256(audited_candidate.candidate.file)
    assert verdict.candidate_id == audited_candidate.candidate.id
    assert verdict.base_release == audited_candidate.candidate.base_release
    assert (verdict.run_kinds, verdict.dbt_invocation_id) == (("weekly",), "invocation-1")


def test_the_verdict_lies_beside_the_candidate_and_reads_back(audited_candidate: Audited, verdict: Verdict) -> None:
    text = verdict_path(audited_candidate.candidate.folder).read_text()
    assert Verdict.from_json(text) == verdict
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_the_same_audit_again_says_the_same(audited_candidate: Audited, verdict: Verdict) -> None:
    candidate = audited_candidate.candidate
    again = audited(audited_candidate, candidate.file, candidate.run_weeks)
    assert again == verdict


def test_a_second_process_finds_the_same(audited_candidate: Audited, verdict: Verdict) -> None:
    candidate, here = audited_candidate.candidate, os.getpid()
    with Workers() as second:
        other = result_of(second.submit(os.getpid))
        assert audited(audited_candidate, candidate.file, candidate.run_weeks, second=second) == verdict
        # it evaluated the tables: what they take is imported there now
        assert result_of(second.submit(_has_imported, "great_expectations")) == (other, True)
    assert other != here


def _has_imported(name: str) -> tuple[int, bool]:
    return os.getpid(), name in sys.modules


def test_quarterly_checks_are_evaluated_for_a_run_with_quarters(audited_candidate: Audited, tmp_path: Path) -> None:
    folder = tmp_path / "candidate"
    shutil.copytree(audited_candidate.candidate.folder, folder)
    found = audit(folder / "customer_health.duckdb", [], audited_candidate.quarters, None, DbtRecord(), NO_LEDGER)
    assert found.passed, found.critical_failures
    assert found.evaluated == required_checks(["quarterly"]).keys()


def test_a_fault_is_found_and_named_by_ids_only(audited_candidate: Audited, tmp_path: Path) -> None:
    folder = tmp_path / "candidate"
    shutil.copytree(audited_candidate.candidate.folder, folder)
    with duckdb.connect(str(folder / "customer_health.duckdb")) as connection:
        connection.execute(
            "update account_health_weekly set score = 4711.5, owner_email = 'someone@example.com' "
            "where week = date '2026-11-02' and account_id = 'a0001'"
        )
    found = audited(audited_candidate, folder / "customer_health.duckdb", audited_candidate.weeks)
    assert not found.passed
    assert {result.check for result in found.critical_failures} == {
        "account_health_weekly.score_range",
        "across_tables.contributions_sum_to_score",
        "across_tables.family_scores_add_up",
    }
    assert {result.row_ids for result in found.critical_failures} == {
        ((("account_id", "a0001"), ("week", "2026-11-02")),)
    }
    assert "4711" not in found.to_json()
    assert "someone@example.com" not in found.to_json()


def test_a_suite_that_lost_an_expectation_does_not_publish(audited_candidate: Audited, tmp_path: Path) -> None:
    """The lost check would have passed; the verdict passes; the gate still refuses."""
    folder = tmp_path / "expectations"
    shutil.copytree(FOLDER, folder)
    path = folder / "watermelon_accounts_weekly.yaml"
    path.write_text(path.read_text().partition("  - name: week_known")[0])
    home = tmp_path / "home"
    candidate = audited_candidate.candidate
    original = candidate.folder.parent.parent.parent
    shutil.copytree(original, home, symlinks=True)
    from health_pipeline.publication.candidate import load_candidate
    from health_pipeline.settings import Settings

    copied = load_candidate(home / "scratch" / "candidates" / candidate.id)
    short = audited(audited_candidate, copied.file, copied.run_weeks, folder)
    assert short.passed
    with pytest.raises(PublicationRefusedError, match=r"such as watermelon_accounts_weekly\.reasons_count_known"):
        publish(Settings(home=home), copied, short, candidate.run_weeks[-1].known_at(6))


def test_an_unreadable_candidate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        audit(tmp_path / "customer_health.duckdb", [], [], None, DbtRecord(), NO_LEDGER)
