"""Steps of a publication for tests; as a program, `publishing.py HOME WEEK_OFFSET [STOP_AT]` publishes one week."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from mart_builder import FIRST_WEEK, build_tables, built_at

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.publication import gate
from health_pipeline.publication.candidate import Candidate, Unchanged, build_candidate
from health_pipeline.publication.files import file_sha256
from health_pipeline.publication.mart_file import built_content_hash, rows_of
from health_pipeline.publication.releases import Release, clean_scratch
from health_pipeline.quality.suites import load_checks
from health_pipeline.quality.verdict import CheckResult, DbtRecord, Verdict, manifest_sha256, run_kinds
from health_pipeline.settings import Settings

CHECKS = load_checks()


def dbt_record(tables: dict[str, pa.Table], weeks: Sequence[Week]) -> DbtRecord:
    """What dbt's tests saw of those tables in a run of those weeks."""
    contract = mart_tables()
    hashes = {
        name: built_content_hash(
            contract[name],
            table
            if contract[name].partition == "none"
            else rows_of(contract[name], table, [week.monday for week in weeks]),
        )
        for name, table in tables.items()
        if contract[name].room in ("mart", "identity")
    }
    return DbtRecord("invocation-1", hashes)


def passing_verdict(candidate: Candidate, tables: dict[str, pa.Table]) -> Verdict:
    """A verdict as the audit gives it where nothing is wrong, without the cost of an audit."""
    kinds = run_kinds(candidate.run_weeks, candidate.run_quarters)
    results = tuple(
        CheckResult(check.suite, check.name, check.type, check.severity, check.reason, True, True)
        for check in CHECKS
        if set(check.runs) & set(kinds)
    )
    record = dbt_record(tables, candidate.run_weeks)
    return Verdict(
        verdict_id="v-test",
        candidate_id=candidate.id,
        file_sha256=file_sha256(candidate.file),
        manifest_sha256=manifest_sha256(candidate.manifest),
        base_release=candidate.base_release,
        run_kinds=kinds,
        dbt_invocation_id=record.invocation_id,
        dbt_table_hashes=tuple(sorted(record.table_hashes.items())),
        results=results,
    )


def with_result(verdict: Verdict, check: str, **changes: object) -> Verdict:
    """The verdict with one result changed."""
    results = tuple(replace(result, **changes) if result.check == check else result for result in verdict.results)
    return replace(verdict, results=results)


def build(
    settings: Settings, weeks: list[Week], tables: dict[str, pa.Table], **options: object
) -> Candidate | Unchanged:
    """Build a weekly candidate of those weeks."""
    return build_candidate(settings, tables, weeks, [], "weekly", built_at(max(weeks)), **options)  # type: ignore[arg-type]


def publish_weeks(
    settings: Settings, weeks: list[Week], tables: dict[str, pa.Table] | None = None, **options: object
) -> Release:
    """Build and publish those weeks with a passing verdict."""
    given = tables or build_tables(weeks)
    candidate = build(settings, weeks, given, **options)
    assert isinstance(candidate, Candidate), candidate
    return gate.publish(settings, candidate, passing_verdict(candidate, given), built_at(max(weeks)))


def main() -> None:
    """Publish one week, as a run does; stop this process at a point of the gate where one is named."""
    home, offset, *stop_at = sys.argv[1:]
    settings = Settings(home=Path(home))
    week = FIRST_WEEK.shift(int(offset))
    original = gate.crash_point

    def stopping(name: str) -> None:
        if name in stop_at:
            os.kill(os.getpid(), signal.SIGSTOP)
        original(name)

    gate.crash_point = stopping  # type: ignore[attr-defined]
    if not stop_at:
        clean_scratch(settings)
    tables = build_tables([week])
    candidate = build(settings, [week], tables)
    if isinstance(candidate, Unchanged):
        sys.stdout.write("unchanged\n")
        return
    verdict = passing_verdict(candidate, tables)
    stopping("before_publish")
    try:
        released = gate.publish(settings, candidate, verdict, built_at(week))
        sys.stdout.write(f"{released.name}\n")
    except gate.StaleBaseError as error:
        sys.stdout.write(f"stale: {error}\n")
        sys.exit(3)


if __name__ == "__main__":
    main()
