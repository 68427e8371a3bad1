"""The landing: checks what a source delivered and commits it as one immutable load, or keeps it out with a reason."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from filelock import FileLock, Timeout

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.contract.landing import DELIVERED_KINDS, LANDED_KINDS, landing_tables
from health_pipeline.observability.crash_points import crash_point
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.sources.conformance import LoadRefusedError
from health_pipeline.sources.delivered import delivered_name
from health_pipeline.sources.deliveries import Delivery, dealt_with, note_duplicate
from health_pipeline.sources.examination import (
    Examined,
    examine_extract,
    in_memory_duckdb,
    is_large,
    tables_of,
)
from health_pipeline.sources.extract import Extract, LoadMode, TableExtract
from health_pipeline.sources.outcomes import LoadResult, LoadStatus, hold, refuse, result_of, set_aside_future_rows
from health_pipeline.sources.quarantine import Quarantine, QuarantinedLoad, QuarantineStatus
from health_pipeline.sources.records import MANIFEST_SCHEMA, LoadRecord, RecordFolder, folder_in_progress
from health_pipeline.sources.volume import outside_band
from health_pipeline.sources.writing import write_landed_table

__all__ = [
    "Extract",
    "Landing",
    "LandingError",
    "LoadMode",
    "LoadRecord",
    "LoadResult",
    "LoadStatus",
    "QuarantinedLoad",
    "TableExtract",
]

LOCK_TIMEOUT_SECONDS = 600


class LandingError(ValueError):
    """Something asked of the landing can't be done; the message says what is there instead."""


@dataclass(frozen=True)
class _Decision:
    """Who let a held load in, and when."""

    by: str
    at: datetime | None = None


class Landing:
    """The landing folder and its quarantine.

    A load is a folder `<source_kind>/<source_system>/<load_id>/` with a Parquet file per table of the kind, and exists
    once its record `source_load/<sequence>-<load_id>.parquet` does. One process at a time loads; reading needs no lock.

    Parameters
    ----------
    folder, quarantine : where loads go, and where those go that do not get in
    memory_limit : what DuckDB may use, such as `4GB`; it spills to disk beyond
    """

    def __init__(self, folder: Path, quarantine: Path, memory_limit: str = "4GB"):
        self.folder = folder
        self.quarantine = Quarantine(quarantine)
        self._records = RecordFolder(folder / "source_load")
        self._incoming = folder / ".incoming"
        self._notes = folder / "source_delivery"
        self._memory_limit = memory_limit
        self._con: duckdb.DuckDBPyConnection | None = None
        self._is_clean = False

    def loads(self, load_ids: Collection[str] | None = None) -> list[LoadRecord]:
        """Committed loads in order of `load_sequence`: every one, or those of the ids."""
        return self._records.records(load_ids)

    def quarantined(self) -> list[QuarantinedLoad]:
        """Loads that are held, refused or rejected, and rows set aside; accepted ones are in `loads()`."""
        return [load for load in self.quarantine.loads() if load.status != "accepted"]

    def manifest(self) -> pa.Table:
        """One row per committed load and table, in order of `load_sequence`; `path` is absolute."""
        folder = self.folder.resolve()
        rows = [
            {
                "load_sequence": record.load_sequence,
                "load_id": record.load_id,
                "source_kind": record.source_kind,
                "source_system": record.source_system,
                "source_instance": record.source_instance,
                "mode": record.mode,
                "table_name": table.table,
                "path": str(folder / table.path),
                "rows": table.rows,
                "is_complete": table.is_complete,
                "is_delivered": table.is_delivered,
                "loaded_at": record.loaded_at,
                "content_sha256": table.content_sha256,
            }
            for record in self.loads()
            for table in record.tables
        ]
        return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)

    def deliveries(self) -> set[Delivery]:
        """Every delivery that is dealt with: committed, a duplicate, or rejected by a person."""
        return dealt_with(self._notes, self.loads(), self.quarantine.loads())

    def load(self, extract: Extract, company: CompanyPolicy, loaded_at: datetime, accept: bool = False) -> LoadResult:
        """Check an extract and commit it.

        Parameters
        ----------
        loaded_at : when the extract was made, UTC (a naive time is taken as UTC)
        accept : commit even where the volume is out of the ordinary

        Returns
        -------
        LoadResult
            `committed`; `duplicate` (the same content was loaded before: nothing changes); `held` (the volume is
            outside the band: waits for `accept` or `reject`); `refused`
            (breaks the contract; kept in quarantine with the reason).
        """
        moment = naive_utc(loaded_at)
        with self._locked(), self._connection(extract) as con:
            try:
                examined = examine_extract(con, extract, company.source(extract.source_kind).latency_hours, moment)
            except LoadRefusedError as error:
                delivered = [(table.table, table.data) for table in extract.tables]
                return refuse(self.quarantine, extract, moment, str(error), delivered, error.sentences[1:])
            before = self._before(examined)
            if before is not None:
                return before
            odd = [] if accept else self._odd_volume(examined, company)
            if odd:
                return hold(self.quarantine, con, examined, odd)
            return self._commit(con, examined, _Decision("accepted when it was loaded") if accept else None)

    def examine(self, extract: Extract, company: CompanyPolicy, loaded_at: datetime) -> LoadResult:
        """Say what `load` would do, and write nothing."""
        moment = naive_utc(loaded_at)
        with self._connection(extract) as con:
            try:
                examined = examine_extract(con, extract, company.source(extract.source_kind).latency_hours, moment)
            except LoadRefusedError as error:
                return LoadResult("refused", None, extract.source_kind, extract.source_system, 0, error.sentences)
            before = self._before(examined, is_dry_run=True)
            if before is not None:
                return before
            odd = self._odd_volume(examined, company)
            return result_of(examined, "held", *odd) if odd else result_of(examined, "ready", *examined.warnings)

    def accept(self, load_id: str, decided_by: str, at: datetime) -> LoadResult:
        """Commit a held load, and record who let it in. Its facts count from when it was delivered.

        Raises
        ------
        LandingError
            If no such load is held, or nobody is named.
        """
        held = self._held(load_id, decided_by)
        moment = naive_utc(at)
        tables = tuple(
            TableExtract(name, self.quarantine.table_file(held, name), is_complete)
            for name, is_complete in held.tables.items()
        )
        extract = Extract(held.source_kind, held.source_system, held.mode, tables, held.source_instance)
        with self._locked(), self._connection(extract) as con:
            examined = examine_extract(con, extract, held.latency_hours, held.loaded_at)
            committed = any(record.load_id == load_id for record in self.loads())
            result = (
                result_of(examined, "committed")
                if committed
                else self._commit(con, examined, _Decision(decided_by, moment))
            )
            self.quarantine.decide(held, "accepted", decided_by, moment, None)
        return result

    def reject(self, load_id: str, decided_by: str, reason: str, at: datetime | None = None) -> None:
        """Turn a held load away, or say that a refused one will not come again; it stays in quarantine.

        Raises
        ------
        LandingError
            If no such load is held or refused, or nobody or no reason is named.
        """
        if not reason.strip():
            raise LandingError(f"say why {load_id} is rejected: the reason is recorded.")
        held = self._held(load_id, decided_by, ("held", "refused"))
        with self._locked():
            self.quarantine.decide(held, "rejected", decided_by, naive_utc(at or datetime.now(UTC)), reason)

    def refuse_files(self, extract: Extract, files: Sequence[Path], loaded_at: datetime, reason: str) -> LoadResult:
        """Keep files in quarantine that could not even be read into an extract."""
        with self._locked():
            delivered = [(path.stem, path) for path in files]
            return refuse(self.quarantine, extract, naive_utc(loaded_at), reason, delivered)

    def _before(self, examined: Examined, is_dry_run: bool = False) -> LoadResult | None:
        """The answer where this content was delivered before: committed, or in the hands of a person."""
        earlier = self._duplicate_of(examined)
        if earlier is not None:
            if earlier.load_id != examined.load_id and not is_dry_run:
                note_duplicate(self._notes, examined, earlier)
            return result_of(
                examined,
                "duplicate",
                f"the same content is load {earlier.load_id} already; nothing was changed.",
            )
        waiting = self.quarantine.find(examined.load_id)
        if waiting is None or waiting.status not in ("held", "rejected"):
            return None
        if waiting.status == "rejected":
            return result_of(examined, "refused", f"rejected by {waiting.decided_by}: {waiting.decision_reason}")
        return result_of(examined, "held", waiting.reason)

    def _duplicate_of(self, examined: Examined) -> LoadRecord | None:
        extract = examined.extract
        history = self._history(extract)
        same = [record for record in history if record.extract_sha256 == examined.extract_sha256]
        for record in same:
            if record.load_id == examined.load_id:
                return record
        if not sum(examined.delivered_rows.values()):
            # an empty delivery is news: as of now there is nothing new
            return None
        if any(table.is_complete for table in examined.tables.values()):
            # a complete extract that is as it was two loads ago says that things went back
            return same[-1] if same and same[-1] is history[-1] else None
        return same[-1] if same else None

    def _history(self, extract: Extract) -> list[LoadRecord]:
        return [
            record
            for record in self.loads()
            if record.source_kind == extract.source_kind
            and record.source_system == extract.source_system
            and record.source_instance == extract.source_instance
            and record.mode == extract.mode
        ]

    def _odd_volume(self, examined: Examined, company: CompanyPolicy) -> list[str]:
        extract = examined.extract
        if extract.mode != "incremental" or extract.source_kind not in DELIVERED_KINDS:
            return []
        band = company.source(extract.source_kind).volume_band
        source = f"{extract.source_kind} load of {extract.source_system}"
        return outside_band(self._history(extract), examined.delivered_rows, band, source)

    def _commit(
        self, con: duckdb.DuckDBPyConnection, examined: Examined, decision: _Decision | None = None
    ) -> LoadResult:
        started_at = naive_utc(datetime.now(UTC))
        extract = examined.extract
        records = self.loads()
        sequence = records[-1].load_sequence + 1 if records else 1
        set_aside_future_rows(self.quarantine, con, examined)
        folder_name = f"{extract.source_kind}/{extract.source_system}/{examined.load_id}"
        tables = []
        with folder_in_progress(self.folder / folder_name, self._incoming / examined.load_id) as folder:
            for table in tables_of(extract).values():
                tables.append(write_landed_table(con, examined, table, sequence, folder))
                crash_point("landing_table")
        crash_point("landing_record")
        self._records.write(
            LoadRecord(
                load_sequence=sequence,
                load_id=examined.load_id,
                source_kind=extract.source_kind,
                source_system=extract.source_system,
                source_instance=extract.source_instance,
                mode=extract.mode,
                loaded_at=examined.loaded_at,
                started_at=started_at,
                finished_at=naive_utc(datetime.now(UTC)),
                extract_sha256=examined.extract_sha256,
                tables=tuple(tables),
                decided_by=decision.by if decision else None,
                decided_at=decision.at if decision else None,
            )
        )
        crash_point("landing_committed")
        return result_of(examined, "committed", *examined.warnings)

    def _held(self, load_id: str, decided_by: str, statuses: Sequence[QuarantineStatus] = ("held",)) -> QuarantinedLoad:
        if not decided_by.strip():
            raise LandingError(f"say who decides on {load_id}: the name is recorded.")
        load = self.quarantine.find(load_id)
        if load is not None and load.status in statuses:
            return load
        waiting = [one.load_id for one in self.quarantine.loads() if one.status in statuses]
        there = f"those that wait are {', '.join(waiting)}" if waiting else "no load waits"
        said = f"load {load_id} is {load.status}" if load else f"there is no load {load_id} in quarantine"
        raise LandingError(f"{said}; {there}.")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One load at a time; whatever a killed one left behind goes first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock", timeout=LOCK_TIMEOUT_SECONDS)
        try:
            lock.acquire()
        except Timeout as error:
            raise LandingError(
                f"another process has been loading into {self.folder} for {LOCK_TIMEOUT_SECONDS} seconds; "
                "wait for it to end, then load again."
            ) from error
        try:
            self._remove_uncommitted()
            yield
        finally:
            lock.release()

    def _remove_uncommitted(self) -> None:
        """Remove what has no record. Once is enough, until a load of this process fails."""
        if self._is_clean:
            return
        shutil.rmtree(self._incoming, ignore_errors=True)
        committed = {(record.source_kind, record.source_system, record.load_id) for record in self.loads()}
        for kind in LANDED_KINDS:
            for folder in (self.folder / kind).glob("*/*"):
                if (kind, folder.parent.name, folder.name) not in committed:
                    shutil.rmtree(folder)
        # DuckDB makes the folder it spills to, but none above it.
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._is_clean = True

    @contextmanager
    def _connection(self, extract: Extract) -> Iterator[duckdb.DuckDBPyConnection]:
        """The landing's in-memory DuckDB, kept from load to load; a load that fails takes it down."""
        if self._con is None:
            self._con = in_memory_duckdb(self._memory_limit, self._incoming / "spill")
        self._con.execute(f"set threads = {os.cpu_count() if is_large(extract) else 1}")
        try:
            yield self._con
        except BaseException:
            self._con.close()
            self._con = None
            self._is_clean = False
            raise
        for name in landing_tables():
            self._con.unregister(delivered_name(name))
