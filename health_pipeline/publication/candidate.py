"""Builds a candidate release: a copy of the release it is based on plus this run's weeks or quarters."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from health_pipeline.contract.clocks import Quarter, Week, naive_utc
from health_pipeline.contract.mart import mart_tables
from health_pipeline.observability.crash_points import crash_point
from health_pipeline.publication.base_copy import BaseCopy
from health_pipeline.publication.candidate_parquet import write_parquet
from health_pipeline.publication.content_hashes import given_hashes, has_new_models
from health_pipeline.publication.errors import CandidateError
from health_pipeline.publication.files import copy_with_sha256, file_sha256, read_json, write_json
from health_pipeline.publication.frozen import SlicePlan, plan_slices, refuse_broken_tier_path
from health_pipeline.publication.mart_file import (
    checked_table,
    derive_current_health,
    fit_to_contract,
    opened,
    put_slices,
    put_snapshot,
)
from health_pipeline.publication.publication_log import log_rows
from health_pipeline.publication.releases import (
    MANIFEST_FILE,
    MART_FILE,
    Release,
    candidates_folder,
    current_release,
    damaged,
    next_sequence,
)
from health_pipeline.publication.run_summary import summary_rows
from health_pipeline.quality.ledger_chain import ledger_head
from health_pipeline.settings import Settings

Kind = Literal["weekly", "quarterly"]
# Publication makes these itself; a run that hands them in has misunderstood.
DERIVED = ("account_health_current", "publication_log", "run_summary")
FORMAT = 1


@dataclass(frozen=True)
class Candidate:
    """A release that is built and not published.

    Attributes
    ----------
    id : str
        The name it gets as a release.
    folder : Path
        `scratch/candidates/<id>/`, laid out as a release.
    manifest : dict
        What is in it; publishing adds `verdict` and `published_at`.
    """

    id: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def file(self) -> Path:
        """The candidate's mart; what the audit reads."""
        return self.folder / MART_FILE

    @property
    def base_release(self) -> str | None:
        """The release it was copied from."""
        base: str | None = self.manifest["base_release"]
        return base

    @property
    def weeks(self) -> tuple[Week, ...]:
        """The weeks it adds or replaces."""
        return tuple(Week.parse(week) for week in self.manifest["weeks"])

    @property
    def quarters(self) -> tuple[date, ...]:
        """First days of the quarters it adds or replaces."""
        return tuple(date.fromisoformat(day) for day in self.manifest["quarters"])

    @property
    def run_weeks(self) -> tuple[Week, ...]:
        """Every week of the run, unchanged ones too; what dbt's record and the audit speak of."""
        return tuple(Week.parse(week) for week in self.manifest["run_weeks"])

    @property
    def run_quarters(self) -> tuple[date, ...]:
        """First days of every quarter of the run."""
        return tuple(date.fromisoformat(day) for day in self.manifest["run_quarters"])


@dataclass(frozen=True)
class Unchanged:
    """The run found what is published already; there is nothing to publish."""

    base_release: str
    weeks: tuple[Week, ...]
    quarters: tuple[Quarter, ...]


def load_candidate(folder: Path) -> Candidate:
    """Read a candidate that an earlier step built.

    Raises
    ------
    CandidateError
        If the folder holds no finished candidate.
    """
    if not (folder / MANIFEST_FILE).is_file():
        raise CandidateError(f"{folder} holds no finished candidate; build it again.")
    return Candidate(folder.name, folder, read_json(folder / MANIFEST_FILE))


def build_candidate(
    settings: Settings,
    tables: Mapping[str, pa.Table],
    weeks: Sequence[Week],
    quarters: Sequence[Quarter],
    kind: Kind,
    built_at: datetime,
    reason: str | None = None,
    restate: bool = False,
    versions: Mapping[str, str] | None = None,
    copied: BaseCopy | None = None,
) -> Candidate | Unchanged:
    """Copy the current release and put this run's weeks (or quarters) and snapshots into the copy.

    Parameters
    ----------
    tables : mapping of mart table to pyarrow.Table in built columns
        Any subset; rows outside the run's weeks and quarters are left aside. A partitioned table that is not given
        is empty in new slices and stays as it is in replaced ones.
    weeks, quarters : the run's
        New ones must follow the newest published one without a hole.
    built_at : datetime
        Becomes `published_at` of the slices' rows (naive UTC).
    reason, restate
        A restatement replaces published slices that came out differently, and needs a reason.
    versions : mapping of str to str, optional
        Code and policy versions, kept in the manifest.
    copied : BaseCopy, optional
        The current release's file, copied ahead; where it is another's, or there is none, it is copied here.

    Returns
    -------
    Candidate or Unchanged
        Unchanged where every slice of the run is published with the same content.

    Raises
    ------
    CandidateError
        If the tables break the contract, or the weeks leave a hole.
    FrozenWeekError, FrozenQuarterError
        If a published slice came out differently without `restate`.
    RestateGapError
        If a later published week would not continue from a restated one.
    DamagedReleaseError
        If the base does not match its manifest.
    """
    _refuse_unfit(tables, weeks, quarters, kind, reason, restate)
    checked = {name: checked_table(name, table) for name, table in tables.items()}
    base = current_release(settings)
    plans = {
        "week": plan_slices(base, checked, weeks, "week", restate=restate),
        "quarter": plan_slices(base, checked, quarters, "quarter", restate=restate),
    }
    snapshots = _snapshots_to_replace(base, checked, weeks, kind)
    models_changed = kind == "quarterly" and base is not None and has_new_models(base, checked)
    if base is not None and not (plans["week"].written or plans["quarter"].written or models_changed):
        return Unchanged(base.name, tuple(weeks), tuple(quarters))

    sequence = next_sequence(settings)
    head = ledger_head(settings.ledger_url)
    moment = naive_utc(built_at)
    building = candidates_folder(settings) / f"building-{sequence:06d}-{os.getpid()}"
    with ExitStack() as undo:
        # A failed build gives its space back.
        undo.callback(shutil.rmtree, building, ignore_errors=True)
        building.mkdir(parents=True)
        # Reading and writing files leaves a core to the hashes.
        with ThreadPoolExecutor(1, thread_name_prefix="copy-base") as beside:
            is_copied = beside.submit(_copy_base, base, building, copied)
            given = given_hashes(checked, weeks, quarters)
            is_copied.result()
        crash_point("candidate.after_copy")
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "sequence": sequence,
            "base_release": base.name if base else None,
            "kind": "restate" if plans["week"].replaced or plans["quarter"].replaced else kind,
            "weeks": _texts(plans["week"].written),
            "quarters": _texts(plans["quarter"].written),
            "run_weeks": sorted(str(week) for week in weeks),
            "run_quarters": sorted(str(quarter) for quarter in quarters),
            "restated": _texts(plans["week"].replaced + plans["quarter"].replaced),
            "reason": reason,
            "built_at": moment.isoformat(),
            "versions": dict(versions or {}),
            "given_hashes": given,
            "replaced_snapshots": snapshots,
            "published_weeks": _published(base, "week", plans["week"]),
            "published_quarters": _published(base, "quarter", plans["quarter"]),
            "ledger_head": head.as_dict() if head else None,
            "base_ledger_head": base.manifest["ledger_head"] if base else None,
            "verdict": None,
            "published_at": None,
        }
        with opened(building / MART_FILE, read_only=False) as connection:
            known_damaged = copied.damaged(base) if copied is not None and base is not None else None
            _fill(settings, connection, building, base, checked, plans, moment, manifest, known_damaged)
        manifest["files"][MART_FILE] = file_sha256(building / MART_FILE)
        crash_point("candidate.before_manifest")
        # Two runs may build the same content on the same base at once: their names differ, so their folders do.
        own = hashlib.sha256(manifest["content_hash"].encode() + os.urandom(8)).hexdigest()[:8]
        name = f"r{sequence:06d}-{moment:%Y%m%dT%H%M%S}-{own}"
        manifest["release"] = name
        folder = building.with_name(name)
        write_json(building / MANIFEST_FILE, manifest)
        building.replace(folder)
        undo.pop_all()
    return Candidate(name, folder, manifest)


def _refuse_unfit(
    tables: Mapping[str, pa.Table],
    weeks: Sequence[Week],
    quarters: Sequence[Quarter],
    kind: Kind,
    reason: str | None,
    restate: bool,
) -> None:
    if not weeks and not quarters:
        raise CandidateError("A candidate needs at least one week or quarter; give --week or --quarter.")
    if len(set(weeks)) != len(weeks) or len(set(quarters)) != len(quarters):
        raise CandidateError("The run names a week or quarter twice; name each once.")
    if derived := [name for name in tables if name in DERIVED]:
        raise CandidateError(f"{', '.join(derived)} is derived by publication; do not hand it in.")
    if restate and not (reason or "").strip():
        raise CandidateError("A restatement needs a reason that readers will see: --restate REASON.")
    if kind == "quarterly":
        foreign = [
            name
            for name, table in mart_tables().items()
            if name in tables and table.partition == "none" and table.room != "segmentation"
        ]
        if foreign:
            raise CandidateError(f"A quarterly run does not replace {', '.join(foreign)}; leave it to a weekly run.")


def _snapshots_to_replace(
    base: Release | None, tables: Mapping[str, pa.Table], weeks: Sequence[Week], kind: Kind
) -> list[str]:
    given = [name for name in tables if mart_tables()[name].partition == "none"]
    if kind == "quarterly" or base is None or not base.published_weeks:
        return given
    # An older week must not turn a snapshot back.
    return given if max(weeks, default=base.published_weeks[0]) >= base.published_weeks[-1] else []


def _texts(days: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in sorted(days)]


def _published(base: Release | None, partition: str, plan: SlicePlan) -> list[str]:
    before: list[str] = base.manifest[f"published_{partition}s"] if base else []
    return sorted({*before, *_texts(plan.new)})


def _copy_base(base: Release | None, building: Path, copied: BaseCopy | None) -> None:
    if base is None:
        return
    checksum = copied.take(base, building / MART_FILE) if copied is not None else None
    if (checksum or copy_with_sha256(base.file, building / MART_FILE)) != base.manifest["files"][MART_FILE]:
        raise damaged(base, MART_FILE)


def _fill(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    building: Path,
    base: Release | None,
    tables: Mapping[str, pa.Table],
    plans: Mapping[str, SlicePlan],
    moment: datetime,
    manifest: dict[str, Any],
    known_damaged: frozenset[str] | None,
) -> None:
    manifest["retired_columns"] = fit_to_contract(connection)
    for name, given in tables.items():
        table = mart_tables()[name]
        if table.partition == "none":
            if name in manifest["replaced_snapshots"]:
                put_snapshot(connection, table, given)
        elif written := plans[table.partition].written:
            put_slices(connection, table, given, written, moment)
    published = [date.fromisoformat(day) for day in manifest["published_weeks"]]
    if replaced := plans["week"].replaced:
        newest_in_run = date.fromisoformat(max(manifest["run_weeks"]))
        refuse_broken_tier_path(connection, replaced, published, newest_in_run)
    derive_current_health(connection)
    put_snapshot(connection, mart_tables()["publication_log"], log_rows(settings, connection, base))
    put_snapshot(connection, mart_tables()["run_summary"], summary_rows(settings, connection))
    write_parquet(connection, building, base, tables, plans, manifest, DERIVED, known_damaged)
    connection.execute("checkpoint")
