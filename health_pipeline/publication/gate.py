"""The gate: nothing becomes current without a passing verdict on exactly this file, built on what is current now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import duckdb

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.contract.mart import MartTable, mart_tables
from health_pipeline.observability.crash_points import crash_point
from health_pipeline.observability.logs import get_logger
from health_pipeline.observability.run_record import Timed, untimed
from health_pipeline.publication.candidate import Candidate, load_candidate
from health_pipeline.publication.errors import PublicationRefusedError, StaleBaseError
from health_pipeline.publication.files import file_sha256, sync, sync_tree, write_json
from health_pipeline.publication.history import PublicationEvent, append_event
from health_pipeline.publication.mart_file import built_content_hash, opened, read_rows, rows_of
from health_pipeline.publication.releases import (
    LOCK_TIMEOUT_SECONDS,
    MANIFEST_FILE,
    MART_FILE,
    Release,
    current_release,
    flip,
    load_release,
    next_sequence,
    prune_locked,
    publish_lock,
    releases_folder,
    settle,
)
from health_pipeline.quality.suites import required_checks
from health_pipeline.quality.verdict import RunKind, Verdict, manifest_sha256, run_kinds, verdict_path
from health_pipeline.settings import Settings

log = get_logger("publication")


def publish(
    settings: Settings,
    candidate: Candidate,
    verdict: Verdict | None,
    published_at: datetime,
    lock_timeout: float = LOCK_TIMEOUT_SECONDS,
    timed: Timed = untimed,
) -> Release:
    """Make an audited candidate the current release, in one atomic step.

    Parameters
    ----------
    candidate : Candidate
        As `build_candidate` returned it; what lies in its folder is read again.
    verdict : Verdict
        The audit's verdict on it.
    published_at : datetime
        The time of the flip.
    lock_timeout : float
        Seconds to wait for another publisher.
    timed : callable
        Takes the time of the part `gate`: everything that is asked before a file moves.

    Raises
    ------
    PublicationRefusedError
        If the verdict is missing, not passing, incomplete, or not about this file; the sentence says which.
    StaleBaseError
        If another release became current since the candidate was built.
    """
    with publish_lock(settings, lock_timeout):
        settle(settings)
        candidate = load_candidate(candidate.folder)
        with timed("gate"):
            _refuse_bad_verdict(candidate, verdict)
            assert verdict is not None  # refused above
            _refuse_stale_base(settings, candidate, verdict)
            # one waits for the disk where the other computes; of both refusals the changed file is the cause
            with ThreadPoolExecutor(1, thread_name_prefix="dbt-tables") as beside:
                tables = beside.submit(_refuse_other_dbt_tables, candidate, verdict)
                _refuse_changed_files(settings, candidate, verdict)
                tables.result()
        crash_point("publish.after_checks")
        release = _move_and_flip(settings, candidate, verdict, naive_utc(published_at))
        crash_point("publish.before_prune")
        removed = prune_locked(settings, published_at)
    log.info("published", release=release.name, base=candidate.base_release, pruned=removed)
    return release


def _refuse_bad_verdict(candidate: Candidate, verdict: Verdict | None) -> None:
    if verdict is None:
        raise PublicationRefusedError(f"Candidate {candidate.id} has no verdict; audit it before publishing.")
    if verdict.candidate_id != candidate.id:
        raise PublicationRefusedError(
            f"The verdict {verdict.verdict_id} is about candidate {verdict.candidate_id}, not {candidate.id}; audit "
            "this one."
        )
    severities = required_checks(_run_kinds(candidate))
    required = severities.keys()
    names = {result.check for result in verdict.results}
    if missing := sorted(required - verdict.evaluated):
        raise PublicationRefusedError(
            f"{len(missing)} required checks were not evaluated, such as {', '.join(missing[:3])}; see why in the "
            "verdict, and audit again."
        )
    if unknown := sorted(names - required):
        raise PublicationRefusedError(
            "The verdict holds checks that expectations/manifest.json does not know, such as "
            f"{', '.join(unknown[:3])}; write the manifest anew and commit it."
        )
    softened = sorted(result.check for result in verdict.results if result.severity != severities[result.check])
    if softened:
        raise PublicationRefusedError(
            f"The verdict judges {', '.join(softened[:3])} by another severity than expectations/manifest.json; audit "
            "again with the committed suites."
        )
    if not verdict.passed:
        failed = ", ".join(result.check for result in verdict.critical_failures[:3])
        raise PublicationRefusedError(
            f"The audit found {len(verdict.critical_failures)} critical failures ({failed}); the last good release "
            "stays current, and `health-pipeline incidents list` says who looks at it."
        )


def _run_kinds(candidate: Candidate) -> tuple[RunKind, ...]:
    return run_kinds(candidate.manifest["run_weeks"], candidate.manifest["run_quarters"])


def _refuse_stale_base(settings: Settings, candidate: Candidate, verdict: Verdict) -> None:
    if verdict.base_release != candidate.base_release:
        raise PublicationRefusedError(
            f"The verdict speaks of base {verdict.base_release}, the candidate of {candidate.base_release}; audit it "
            "again."
        )
    current = current_release(settings)
    current_name = current.name if current else None
    if candidate.base_release != current_name:
        raise StaleBaseError(
            f"The candidate was built on {candidate.base_release or 'nothing'} and {current_name} is current now; run "
            "again, so that it is built on that."
        )
    # Also after a rollback to its own base a stopped publisher must not bring an older number back.
    if candidate.manifest["sequence"] < next_sequence(settings):
        raise StaleBaseError(
            f"The candidate {candidate.id} is older than the newest publication; run again, so that it is built anew."
        )


def _refuse_changed_files(settings: Settings, candidate: Candidate, verdict: Verdict) -> None:
    if file_sha256(candidate.file) != verdict.file_sha256:
        raise PublicationRefusedError(
            f"{MART_FILE} of candidate {candidate.id} was changed after its audit; build and audit it again."
        )
    if manifest_sha256(candidate.manifest) != verdict.manifest_sha256:
        raise PublicationRefusedError(
            f"The manifest of candidate {candidate.id} was changed after its audit; build and audit it again."
        )
    files: dict[str, str] = candidate.manifest["files"]
    present = {
        path.relative_to(candidate.folder).as_posix() for path in candidate.folder.rglob("*") if path.is_file()
    } - {MANIFEST_FILE, verdict_path(candidate.folder).name}
    if present != files.keys():
        odd = sorted(present ^ files.keys())
        raise PublicationRefusedError(
            f"Candidate {candidate.id} lacks files or has additional ones ({', '.join(odd[:3])}); build it again."
        )
    base = releases_folder(settings) / candidate.base_release if candidate.base_release else None
    for name, expected in files.items():
        path = candidate.folder / name
        if base is not None and (base / name).exists() and (base / name).samefile(path):
            continue
        # the mart's file was read above: a gigabyte after two years of 10,000 customers
        found = verdict.file_sha256 if name == MART_FILE else file_sha256(path)
        if found != expected:
            raise PublicationRefusedError(
                f"{name} of candidate {candidate.id} was changed after its audit; build and audit it again."
            )


def _refuse_other_dbt_tables(candidate: Candidate, verdict: Verdict) -> None:
    """What dbt tested was handed in, and what was handed in is in the file."""
    recorded = dict(verdict.dbt_table_hashes)
    given: dict[str, str] = candidate.manifest["given_hashes"]
    expected = [mart_tables()[name] for name in given]
    if missing := [table.name for table in expected if table.name not in recorded]:
        raise PublicationRefusedError(
            f"dbt's record does not speak of {', '.join(missing)}; record the hashes of every table dbt built."
        )
    differing = [table.name for table in expected if recorded[table.name] != given[table.name]]
    with opened(candidate.file, read_only=True) as connection:
        differing += [table.name for table in expected if not _is_stored(connection, table, candidate)]
    if differing:
        raise PublicationRefusedError(
            f"{', '.join(dict.fromkeys(differing))} in the candidate is not what dbt invocation "
            f"{verdict.dbt_invocation_id} built and tested; run again from dbt on."
        )


def _is_stored(connection: duckdb.DuckDBPyConnection, table: MartTable, candidate: Candidate) -> bool:
    manifest = candidate.manifest
    if table.partition == "none":
        is_replaced = table.name in manifest["replaced_snapshots"]
        return not is_replaced or (
            built_content_hash(table, read_rows(connection, table)) == manifest["given_hashes"][table.name]
        )
    rows = read_rows(connection, table, [week.monday for week in candidate.weeks])
    return all(
        built_content_hash(table, rows_of(table, rows, [week.monday])) == manifest["slices"][table.name][str(week)]
        for week in candidate.weeks
    )


def _move_and_flip(settings: Settings, candidate: Candidate, verdict: Verdict, published_at: datetime) -> Release:
    """Finish the manifest, move the folder, record the event, flip; flushed to the disk at each step."""
    verdict_file = verdict_path(candidate.folder)
    verdict_file.unlink(missing_ok=True)
    verdict_file.write_text(verdict.to_json(), encoding="utf-8")
    manifest = {
        **candidate.manifest,
        "published_at": published_at.isoformat(),
        "verdict": {
            "verdict_id": verdict.verdict_id,
            "checks_evaluated": sorted(verdict.evaluated),
            "warnings": sorted(result.check for result in verdict.warnings),
            "dbt_invocation_id": verdict.dbt_invocation_id,
            "file": verdict_file.name,
            "file_sha256": file_sha256(verdict_file),
        },
    }
    write_json(candidate.folder / MANIFEST_FILE, manifest)
    _make_read_only(candidate.folder)
    sync_tree(candidate.folder)
    crash_point("publish.before_move")
    folder = releases_folder(settings) / candidate.id
    folder.parent.mkdir(parents=True, exist_ok=True)
    candidate.folder.replace(folder)
    sync(folder.parent)
    crash_point("publish.after_move")
    append_event(
        settings,
        PublicationEvent(
            candidate.manifest["sequence"],
            "published",
            candidate.id,
            candidate.base_release,
            published_at.isoformat(),
        ),
    )
    crash_point("publish.before_flip")
    flip(settings, candidate.id)
    crash_point("publish.after_flip")
    return load_release(settings, candidate.id)


def _make_read_only(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
