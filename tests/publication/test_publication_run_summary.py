"""`run_summary` in a release: earlier runs whole, the run that built it as far as it was; outside the content."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
from mart_builder import build_tables, weeks_from
from publishing import build, publish_weeks

from health_pipeline.contract.mart import mart_tables
from health_pipeline.observability.run_record import RunRecord, StepRecord, write_record
from health_pipeline.publication.candidate import Candidate, Unchanged
from health_pipeline.publication.mart_file import fit_to_contract, put_snapshot
from health_pipeline.publication.run_summary import summary_rows
from health_pipeline.settings import Settings

BEGAN = datetime(2026, 11, 16, 6)


def step(name: str, stage: str, **changes: Any) -> StepRecord:
    return replace(StepRecord(name, stage, BEGAN, 2.0, 411, 10, "succeeded", None, 3, 0, 1, 0), **changes)


def run(run_id: str, *steps: StepRecord, **changes: Any) -> RunRecord:
    monday = date(2026, 10, 5)
    return replace(RunRecord(run_id, "weekly_health_review", BEGAN, monday, monday, steps=list(steps)), **changes)


def rows(file: Path, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as mart:
        return mart.execute(
            f"select {columns} from run_summary where {where} order by run_id, started_at, step"
        ).fetchall()


def test_the_run_that_builds_a_release_is_in_it_up_to_its_candidate_and_whole_in_the_next(tmp_path: Path) -> None:
    """And the content does not depend on any of it: another home, other runs, other times, the same hash."""
    settings, other = Settings(home=tmp_path / "home"), Settings(home=tmp_path / "other")
    first = run("a", step("pull_sources", "landing"), step("feature_mart", "dbt", rows=1000, peak_memory_bytes=99))
    write_record(settings.run_records, first)
    release = publish_weeks(settings, weeks_from(0, 1))
    assert rows(release.file, "step, stage, seconds, rows, peak_memory_bytes, outcome, verdict") == [
        ("feature_mart", "dbt", 2.0, 1000, 99, "succeeded", None),
        ("pull_sources", "landing", 2.0, 411, 10, "succeeded", None),
        ("run", "run", None, None, 99, "running", None),
    ]
    write_record(other.run_records, run("other", step("feature_mart", "dbt", seconds=99.0)))
    elsewhere = build(other, weeks_from(0, 1), build_tables(weeks_from(0, 1)))
    assert isinstance(elsewhere, Candidate)
    assert elsewhere.manifest["content_hash"] == release.manifest["content_hash"]
    assert elsewhere.manifest["tables"]["run_summary"] != release.manifest["tables"]["run_summary"]

    audit = step("release_verdict", "audit", checks_evaluated=250, rows=None)
    ended = replace(first, seconds=9.0, outcome="succeeded", verdict="published", release=release.name)
    ended.steps.append(audit)
    write_record(settings.run_records, ended)
    write_record(settings.run_records, run("b"))
    assert isinstance(build(settings, weeks_from(0, 1), build_tables(weeks_from(0, 1))), Unchanged)
    following = build(settings, weeks_from(1, 1), build_tables(weeks_from(1, 1)))
    assert isinstance(following, Candidate)
    of_run = "seconds, outcome, verdict, release, checks_evaluated, warning_checks_failed, first_week"
    assert rows(following.file, of_run, "step = 'run'") == [
        (9.0, "succeeded", "published", release.name, 256, 3, date(2026, 10, 5)),
        (None, "running", None, None, 0, 0, date(2026, 10, 5)),
    ]
    assert rows(following.file, "run_id, stage", "step <> 'run'") == [("a", "dbt"), ("a", "landing"), ("a", "audit")]


def summarised(settings: Settings, file: Path) -> None:
    """What a candidate does with the table: the contract's, with the base's rows."""
    with duckdb.connect(str(file)) as mart:
        fit_to_contract(mart)
        put_snapshot(mart, mart_tables()["run_summary"], summary_rows(settings, mart))


def test_runs_that_failed_were_killed_or_changed_nothing_are_told_too(tmp_path: Path) -> None:
    settings, file = Settings(home=tmp_path), tmp_path / "mart.duckdb"
    failed = step("feature_mart", "dbt", outcome="failed", error="Failure", rows=None)
    write_record(settings.run_records, run("a", failed, outcome="failed", seconds=5.0))
    write_record(settings.run_records, run("b", outcome="killed"))
    write_record(settings.run_records, run("c", outcome="succeeded", verdict="unchanged", release="r1", seconds=4.0))
    summarised(settings, file)
    told = [
        ("a", "feature_mart", "failed", None, "Failure"),
        ("a", "run", "failed", None, None),
        ("b", "run", "killed", None, None),
        ("c", "run", "succeeded", "unchanged", None),
    ]
    assert rows(file, "run_id, step, outcome, verdict, error") == told
    summarised(settings, file)
    assert rows(file, "run_id, step, outcome, verdict, error") == told, "a second candidate has rows twice"


def test_what_a_release_knows_of_runs_stays_when_their_files_are_gone(tmp_path: Path) -> None:
    settings, file = Settings(home=tmp_path), tmp_path / "mart.duckdb"
    path = write_record(settings.run_records, run("a", step("pull_sources", "landing"), outcome="succeeded"))
    summarised(settings, file)
    path.unlink()
    write_record(settings.run_records, run("b"))
    summarised(settings, file)
    assert rows(file, "run_id, step") == [("a", "pull_sources"), ("a", "run"), ("b", "run")]
