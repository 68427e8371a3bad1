"""The landing: checks what a source delivered and commits it as one immutable load, or keeps it out with a reason."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
from filelock import FileLock, Timeout

from health_pipeline.contract.landing import SOURCE_KINDS, SourceKind
from health_pipeline.observability.crash_points import crash_point
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.sources.conformance import LoadRefusedError, delivered_columns, is_future
from health_pipeline.sources.examination import (
    Examined,
    examine_extract,
    in_memory_duckdb,
    naive_utc,
    tables_of,
)
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.quarantine import Quarantine, QuarantinedLoad, QuarantineStatus, copy_delivered
from health_pipeline.sources.records import (
    MANIFEST_SCHEMA,
    LoadRecord,
    RecordFolder,
    flush_to_disk,
    folder_in_progress,
)
from health_pipeline.sources.volume import outside_band
from health_pipeline.sources.writing import copy_to_parquet, write_landed_table

LoadStatus = Literal["committed", "duplicate", "held", "refused"]
LOCK_TIMEOUT_SECONDS = 600


class LandingError(ValueError):
    """Something asked of the landing can't be done; the message says what is there instead."""


@dataclass(frozen=True)
class LoadResult:
    """What became of a load: `messages` are sentences (the reason, or warnings of a load that was committed)."""

    status: LoadStatus
    load_id: str | None
    source_kind: SourceKind
    source_system: str
    rows: int
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Decision:
    """Who let a held load in, and when."""

    by: str
    at: datetime | None = None


class Landing:
    """The landing folder and its quarantine.

    A load is a folder `<source_kind>/<source_system>/<load_id>/` with a Parquet file per table of the kind, and exists once
    its record `source_load/<sequence>-<load_id>.parquet` does. One process at a time loads; reading needs no lock.

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
        self._memory_limit = memory_limit

    def loads(self) -> list[LoadRecord]:
        """Every committed load in order of `load_sequence`."""
        return self._records.records()

    def quarantined(self) -> list[QuarantinedLoad]:
        """Loads that are held, refused or rejected, and rows set aside; accepted ones are in `loads()`."""
        return [load for load in self.quarantine.loads() if load.status != "accepted"]

    def manifest(self) -> pa.Table:
        """One row per committed load and table, in order of `load_sequence`; `path` is absolute."""
        rows = [
            {
                "load_sequence": record.load_sequence,
                "load_id": record.load_id,
                "source_kind": record.source_kind,
                "source_system": record.source_system,
                "source_instance": record.source_instance,
                "mode": record.mode,
                "table_name": table.table,
                "path": str((self.folder / table.path).resolve()),
                "rows": table.rows,
                "is_complete": table.is_complete,
                "loaded_at": record.loaded_at,
                "content_sha256": table.content_sha256,
            }
            for record in self.loads()
            for table in record.tables
        ]
        return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)

    def deliveries(self) -> set[tuple[str, str, str, datetime]]:
        """Kind, system, instance and load time of every delivery that is dealt with: committed, a duplicate, or rejected."""
        known = {
            (record.source_kind, record.source_system, record.source_instance, record.loaded_at)
            for record in self.loads()
        }
        for path in (self.folder / "source_delivery").glob("*.json"):
            note = json.loads(path.read_text(encoding="utf-8"))
            moment = datetime.fromisoformat(note["loaded_at"])
            known.add((note["source_kind"], note["source_system"], note["source_instance"], moment))
        for load in self.quarantine.loads():
            if load.status == "rejected":
                known.add((load.source_kind, load.source_system, load.source_instance, load.loaded_at))
        return known

    def load(
        self, extract: Extract, company: CompanyPolicy, loaded_at: datetime, accept: bool = False
    ) -> LoadResult:
        """Check an extract and commit it.

        Parameters
        ----------
        loaded_at : when the extract was made, UTC (a naive time is taken as UTC)
        accept : commit even where the volume is out of the ordinary

        Returns
        -------
        LoadResult
            `committed`; `duplicate` (the same content was loaded before: nothing changes); `held` (the volume is outside the
            band: waits for `accept` or `reject`); `refused` (breaks the contract; kept in quarantine with the reason).
        """
        moment = naive_utc(loaded_at)
        with self._locked(), self._connection() as con:
            try:
                examined = examine_extract(
                    con, extract, company.source(extract.source_kind).latency_hours, moment
                )
            except LoadRefusedError as error:
                return self._refuse(extract, moment, str(error))
            before = self._before(examined)
            if before is not None:
                return before
            odd = [] if accept else self._odd_volume(examined, company)
            if odd:
                return self._hold(con, examined, odd)
            return self._commit(con, examined, _Decision("accepted when it was loaded") if accept else None)

    def examine(self, extract: Extract, company: CompanyPolicy, loaded_at: datetime) -> LoadResult:
        """Say what `load` would do, and write nothing."""
        moment = naive_utc(loaded_at)
        with self._connection() as con:
            try:
                examined = examine_extract(
                    con, extract, company.source(extract.source_kind).latency_hours, moment
                )
            except LoadRefusedError as error:
                return LoadResult(
                    "refused", None, extract.source_kind, extract.source_system, 0, (str(error),)
                )
            before = self._before(examined, is_dry_run=True)
            if before is not None:
                return before
            odd = self._odd_volume(examined, company)
            return (
                _result(examined, "held", *odd) if odd else _result(examined, "committed", *examined.warnings)
            )

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
        with self._locked(), self._connection() as con:
            examined = examine_extract(con, extract, held.latency_hours, held.loaded_at)
            committed = any(record.load_id == load_id for record in self.loads())
            result = (
                _result(examined, "committed")
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

    def refuse_files(
        self, extract: Extract, files: Sequence[Path], loaded_at: datetime, reason: str
    ) -> LoadResult:
        """Keep files in quarantine that could not even be read into an extract."""
        with self._locked():
            return self._refuse(extract, naive_utc(loaded_at), reason, [(path.stem, path) for path in files])

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _before(self, examined: Examined, is_dry_run: bool = False) -> LoadResult | None:
        """The answer where this content was delivered before: committed, or in the hands of a person."""
        earlier = self._duplicate_of(examined)
        if earlier is not None:
            if earlier.load_id != examined.load_id and not is_dry_run:
                self._note_delivery(examined, earlier)
            return _result(
                examined,
                "duplicate",
                f"the same content is load {earlier.load_id} already; nothing was changed.",
            )
        waiting = self.quarantine.find(examined.load_id)
        if waiting is None or waiting.status not in ("held", "rejected"):
            return None
        if waiting.status == "rejected":
            return _result(
                examined, "refused", f"rejected by {waiting.decided_by}: {waiting.decision_reason}"
            )
        return _result(examined, "held", waiting.reason)

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
        if extract.mode != "incremental":
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
        self._set_aside(con, examined)
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
        return _result(examined, "committed", *examined.warnings)

    def _set_aside(self, con: duckdb.DuckDBPyConnection, examined: Examined) -> None:
        """Keep the rows of the future that a load is committed without."""
        future = {name: table for name, table in examined.tables.items() if table.future_rows}
        if not future:
            return

        def fill(folder: Path) -> None:
            for name, table in future.items():
                rows = f"select * from {table.relation} where {is_future(table.table, examined.loaded_at)}"
                copy_to_parquet(con, rows, folder / f"{name}.parquet", table.future_rows)

        note = _note(examined, "set_aside", " ".join(examined.warnings), f"{examined.load_id}-set-aside")
        self.quarantine.keep(replace(note, rows=sum(table.future_rows for table in future.values())), fill)

    def _hold(self, con: duckdb.DuckDBPyConnection, examined: Examined, reasons: Sequence[str]) -> LoadResult:
        def fill(folder: Path) -> None:
            for name, table in examined.tables.items():
                rows = f"select {', '.join(column.name for column in delivered_columns(table.table))} from {table.relation}"
                copy_to_parquet(con, rows, folder / f"{name}.parquet", table.delivered_rows)

        reason = "; ".join(reasons) + f"; accept or reject load {examined.load_id}."
        self.quarantine.keep(_note(examined, "held", reason), fill)
        return _result(examined, "held", reason)

    def _refuse(
        self,
        extract: Extract,
        loaded_at: datetime,
        reason: str,
        delivered: Sequence[tuple[str, pa.Table | Path]] | None = None,
    ) -> LoadResult:
        if delivered is None:
            delivered = [(table.table, table.data) for table in extract.tables]
        identity = (extract.source_kind, extract.source_system, extract.source_instance, extract.mode, reason)
        digest = hashlib.sha256("|".join((*identity, loaded_at.isoformat())).encode()).hexdigest()[:12]
        load_id = f"{loaded_at:%Y%m%dT%H%M%S}-{digest}"
        waiting = self.quarantine.find(load_id)
        if waiting is None or waiting.status != "rejected":
            refused = QuarantinedLoad(
                load_id=load_id,
                source_kind=extract.source_kind,
                source_system=extract.source_system,
                source_instance=extract.source_instance,
                mode=extract.mode,
                loaded_at=loaded_at,
                status="refused",
                reason=reason,
                rows=0,
                latency_hours=0,
                tables={table.table: table.is_complete for table in extract.tables},
            )
            self.quarantine.keep(refused, lambda folder: copy_delivered(delivered, folder))
        return LoadResult("refused", load_id, extract.source_kind, extract.source_system, 0, (reason,))

    def _note_delivery(self, examined: Examined, earlier: LoadRecord) -> None:
        """Remember that a duplicate came, so that a pull does not fetch it again; no fact and no sequence depends on it."""
        extract = examined.extract
        folder = self.folder / "source_delivery"
        folder.mkdir(parents=True, exist_ok=True)
        note = {
            "source_kind": extract.source_kind,
            "source_system": extract.source_system,
            "source_instance": extract.source_instance,
            "loaded_at": examined.loaded_at.isoformat(),
            "duplicate_of": earlier.load_id,
        }
        temporary = folder / f".{examined.load_id}"
        temporary.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        flush_to_disk(temporary)
        temporary.replace(folder / f"{examined.load_id}.json")

    def _held(
        self, load_id: str, decided_by: str, statuses: Sequence[QuarantineStatus] = ("held",)
    ) -> QuarantinedLoad:
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
        shutil.rmtree(self._incoming, ignore_errors=True)
        committed = {(record.source_kind, record.source_system, record.load_id) for record in self.loads()}
        for kind in SOURCE_KINDS:
            for folder in (self.folder / kind).glob("*/*"):
                if (kind, folder.parent.name, folder.name) not in committed:
                    shutil.rmtree(folder)

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with in_memory_duckdb(self._memory_limit, str(self._incoming / "spill")) as connection:
            yield connection


def _result(examined: Examined, status: LoadStatus, *messages: str) -> LoadResult:
    extract = examined.extract
    return LoadResult(
        status, examined.load_id, extract.source_kind, extract.source_system, examined.rows, messages
    )


def _note(
    examined: Examined, status: QuarantineStatus, reason: str, load_id: str | None = None
) -> QuarantinedLoad:
    extract = examined.extract
    return QuarantinedLoad(
        load_id=load_id or examined.load_id,
        source_kind=extract.source_kind,
        source_system=extract.source_system,
        source_instance=extract.source_instance,
        mode=extract.mode,
        loaded_at=examined.loaded_at,
        status=status,
        reason=reason,
        rows=sum(examined.delivered_rows.values()),
        latency_hours=examined.latency_hours,
        tables={name: table.is_complete for name, table in examined.tables.items()},
    )
