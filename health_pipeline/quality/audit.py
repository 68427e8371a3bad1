"""Audits a candidate release: reads its own file, evaluates every declared check, writes the verdict beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import duckdb

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.observability.crash_points import crash_point
from health_pipeline.observability.workers import Workers, result_of
from health_pipeline.quality.drift import check_drift
from health_pipeline.quality.frame_checks import check_frames
from health_pipeline.quality.ledger_chain import anchors_of, check_chain
from health_pipeline.quality.packet_bodies import check_bodies
from health_pipeline.quality.sql_checks import audited, check_queries
from health_pipeline.quality.suites import (
    ACROSS_TYPES,
    DRIFT_TYPE,
    FOLDER,
    LEDGER_TYPE,
    PACKET_TYPE,
    SQL_TYPE,
    Check,
    load_checks,
)
from health_pipeline.quality.verdict import (
    CheckResult,
    DbtRecord,
    Verdict,
    manifest_sha256,
    run_kinds,
    verdict_path,
)

if TYPE_CHECKING:
    import pandas as pd

Arguments = ParamSpec("Arguments")


def audit(
    candidate_file: Path,
    weeks: Sequence[Week],
    quarters: Sequence[Quarter | date],
    base_release: str | None,
    dbt_record: DbtRecord,
    ledger_url: str,
    folder: Path = FOLDER,
    restricted: Path | None = None,
    second: Workers | None = None,
) -> Verdict:
    """Evaluate every check a run with those weeks and quarters has to pass, and store the verdict.

    Parameters
    ----------
    candidate_file : Path
        The candidate's `customer_health.duckdb`; its manifest lies beside it.
    weeks, quarters
        The run's, as in `Candidate.run_weeks` and `Candidate.run_quarters`.
    base_release : str or None
        What the candidate was built on.
    dbt_record : DbtRecord
        What dbt's tests saw; the gate compares it with the candidate.
    ledger_url : str
        The ledger whose chain must hold the heads anchored in the candidate's manifest, its own and its base's.
    folder : Path
        Folder of the suites.
    restricted : Path or None
        The restricted store, which must hold the body of every packet of the run's weeks.
    second : Workers or None
        Where it is running it judges single tables and the ledger's chain, while this process judges the rest.

    Returns
    -------
    Verdict
        Also written to `verdict.json` beside the file.

    Raises
    ------
    FileNotFoundError
        If the candidate's file or manifest is not there.
    """
    manifest = json.loads((candidate_file.parent / "manifest.json").read_text(encoding="utf-8"))
    week_days = [week.monday for week in weeks]
    quarter_days = [item.first_day if isinstance(item, Quarter) else item for item in quarters]
    kinds = run_kinds(week_days, quarter_days)
    checks = [check for check in load_checks(folder) if set(kinds) & set(check.runs)]
    mart = (candidate_file, checks, week_days, quarter_days)
    of_ledger = [check for check in checks if check.type == LEDGER_TYPE]
    of_packets = [check for check in checks if check.type == PACKET_TYPE]
    anchors = anchors_of(manifest, {"ledger_head": manifest["base_ledger_head"]})
    single = _beside(second, evaluate_tables, *mart, manifest["retired_columns"])
    chain = _beside(second, check_chain, of_ledger, ledger_url, anchors)
    across = evaluate_across(*mart, folder)
    bodies = check_bodies(of_packets, candidate_file, week_days, restricted)
    with candidate_file.open("rb") as stream:
        file_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    results = [*single(), *across, *chain(), *bodies]
    parts: dict[str, Any] = {
        "candidate_id": manifest["release"],
        "file_sha256": file_sha256,
        "manifest_sha256": manifest_sha256(manifest),
        "base_release": base_release,
        "run_kinds": kinds,
        "dbt_invocation_id": dbt_record.invocation_id,
        "dbt_table_hashes": tuple(sorted(dbt_record.table_hashes.items())),
        "results": tuple(results),
    }
    verdict = Verdict(verdict_id=_verdict_id(parts), **parts)
    crash_point("audit.before_verdict")
    verdict_path(candidate_file.parent).write_text(verdict.to_json(), encoding="utf-8")
    return verdict


def _beside(
    second: Workers | None,
    work: Callable[Arguments, list[CheckResult]],
    *given: Arguments.args,
    **named: Arguments.kwargs,
) -> Callable[[], list[CheckResult]]:
    """Begun in the second process where that is running, else done here when it is asked for."""
    if second is None or not second.is_running:
        return lambda: work(*given, **named)
    begun = second.submit(work, *given, **named)
    return lambda: result_of(begun)


def evaluate(
    candidate_file: Path,
    checks: Sequence[Check],
    weeks: Sequence[date],
    quarters: Sequence[date],
    retired: Mapping[str, Sequence[str]],
    folder: Path = FOLDER,
) -> list[CheckResult]:
    """Evaluate checks on a mart file; what `audit` does without manifest, ledger and verdict.

    Returns
    -------
    list of CheckResult
        One per check of the file, checks of single tables first.
    """
    across = evaluate_across(candidate_file, checks, weeks, quarters, folder)
    return evaluate_tables(candidate_file, checks, weeks, quarters, retired) + across


def evaluate_tables(
    candidate_file: Path,
    checks: Sequence[Check],
    weeks: Sequence[date],
    quarters: Sequence[date],
    retired: Mapping[str, Sequence[str]],
) -> list[CheckResult]:
    """The part of `evaluate` that judges single tables."""
    of_tables = [check for check in checks if check.type not in ACROSS_TYPES]
    if not of_tables:
        return []
    with audited(candidate_file, weeks, quarters) as connection:
        frames = {
            table: frame
            for table in dict.fromkeys(check.suite for check in of_tables)
            if (frame := _frame(connection, table)) is not None
        }
    return check_frames(of_tables, frames, retired)


def evaluate_across(
    candidate_file: Path,
    checks: Sequence[Check],
    weeks: Sequence[date],
    quarters: Sequence[date],
    folder: Path = FOLDER,
) -> list[CheckResult]:
    """The part of `evaluate` that judges several tables together, and weeks against earlier ones."""
    with audited(candidate_file, weeks, quarters) as connection:
        results = check_queries(connection, [check for check in checks if check.type == SQL_TYPE], folder)
        return results + check_drift(connection, [check for check in checks if check.type == DRIFT_TYPE], weeks)


def _frame(connection: duckdb.DuckDBPyConnection, name: str) -> pd.DataFrame | None:
    """The run's slices of a table, or the whole snapshot, with every column the file has."""
    table = mart_tables()[name]
    known = connection.execute(
        "select 1 from duckdb_tables() where database_name = 'candidate' and table_name = ?", [name]
    ).fetchone()
    if known is None:
        return None
    query = f'select * from candidate.main."{name}"'
    if table.slice_column:
        query += f' where "{table.slice_column}" in (select "{table.partition}" from run_{table.partition}s)'
    frame: pd.DataFrame = connection.execute(query).df()
    return frame


def _verdict_id(parts: Mapping[str, Any]) -> str:
    """Same file, same findings: same id."""
    digest = hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()
    return f"v-{digest[:16]}"
