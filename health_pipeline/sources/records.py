"""The `source_load` records: what was loaded when, in which order; a load exists once its record does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.contract.landing import SourceKind
from health_pipeline.sources.extract import LoadMode

_TIMESTAMP = pa.timestamp("us")
# One row per table of a load: the contract's `source_load` and what the landing needs to read it again.
SOURCE_LOAD_SCHEMA = pa.schema(
    [
        ("source_kind", pa.string()),
        ("source_system", pa.string()),
        ("source_instance", pa.string()),
        ("load_id", pa.string()),
        ("load_sequence", pa.int64()),
        ("table", pa.string()),
        ("mode", pa.string()),
        ("started_at", _TIMESTAMP),
        ("finished_at", _TIMESTAMP),
        ("loaded_at", _TIMESTAMP),
        ("status", pa.string()),
        ("rows", pa.int64()),
        ("watermark_from", _TIMESTAMP),
        ("watermark_to", _TIMESTAMP),
        ("is_complete", pa.bool_()),
        ("is_delivered", pa.bool_()),
        ("content_sha256", pa.string()),
        ("path", pa.string()),
        ("extract_sha256", pa.string()),
        ("decided_by", pa.string()),
        ("decided_at", _TIMESTAMP),
    ]
)

# One row per table of a committed load: all the mart needs to read the landing.
MANIFEST_SCHEMA = pa.schema(
    [
        ("load_sequence", pa.int64()),
        ("load_id", pa.string()),
        ("source_kind", pa.string()),
        ("source_system", pa.string()),
        ("source_instance", pa.string()),
        ("mode", pa.string()),
        ("table_name", pa.string()),
        ("path", pa.string()),
        ("rows", pa.int64()),
        ("is_complete", pa.bool_()),
        ("is_delivered", pa.bool_()),
        ("loaded_at", _TIMESTAMP),
        ("content_sha256", pa.string()),
    ]
)

# Columns of SOURCE_LOAD_SCHEMA that differ from table to table of a load.
_OWN = ("table", "path", "rows", "is_complete", "is_delivered", "content_sha256", "watermark_from", "watermark_to")


@dataclass(frozen=True)
class TableRecord:
    """One table of a load; `path` is relative to the landing.

    `is_delivered` is False where the system sent no such table at all: what it is silent about is unknown, not zero.
    """

    table: str
    path: str
    rows: int
    is_complete: bool
    is_delivered: bool
    content_sha256: str
    watermark_from: datetime | None = None
    watermark_to: datetime | None = None


@dataclass(frozen=True)
class LoadRecord:
    """One committed load. Timestamps are naive UTC; `decided_by` is who accepted it, where it was held."""

    load_sequence: int
    load_id: str
    source_kind: SourceKind
    source_system: str
    source_instance: str
    mode: LoadMode
    loaded_at: datetime
    started_at: datetime
    finished_at: datetime
    extract_sha256: str
    tables: tuple[TableRecord, ...]
    status: str = "committed"
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def folder(self) -> str:
        """The load's folder, relative to the landing."""
        return f"{self.source_kind}/{self.source_system}/{self.load_id}"

    @property
    def rows(self) -> int:
        """Rows landed, all tables together."""
        return sum(table.rows for table in self.tables)

    def to_table(self) -> pa.Table:
        """The record as `source_load` rows, one per table."""
        shared = {name: getattr(self, name) for name in SOURCE_LOAD_SCHEMA.names if hasattr(self, name)}
        rows = [{**shared, **{name: getattr(table, name) for name in _OWN}} for table in self.tables]
        return pa.Table.from_pylist(rows, schema=SOURCE_LOAD_SCHEMA)

    @classmethod
    def from_rows(cls, rows: list[dict[str, Any]]) -> LoadRecord:
        """Read a record from its `source_load` rows."""
        first = rows[0]
        tables = tuple(TableRecord(**{name: row[name] for name in _OWN}) for row in rows)
        shared = {name: first[name] for name in SOURCE_LOAD_SCHEMA.names if name not in _OWN}
        return cls(tables=tables, **shared)


class RecordFolder:
    """The folder of `source_load` records, read once each in a process, for a record never changes.

    After two years there are a thousand, and each step of a run asks for all of them. A file that is another one than
    before, as after a restore, is read again.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def records(self, load_ids: Collection[str] | None = None) -> list[LoadRecord]:
        """Committed loads, in order of sequence: every one, or those of the ids."""
        listed = list(os.scandir(self.folder.absolute())) if self.folder.is_dir() else []
        files = [entry for entry in listed if entry.name.endswith(".parquet") and entry.name[0] != "."]
        if load_ids is not None:
            # of hundreds of files a caller may want a few: a name tells whose it is
            files = [one for one in files if one.name.removesuffix(".parquet").partition("-")[2] in load_ids]
        found = [(entry.path, entry.stat()) for entry in files]
        return sorted(
            (_read(path, stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in found),
            key=lambda record: record.load_sequence,
        )

    def write(self, record: LoadRecord) -> None:
        """Write a record so that it is there whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"{record.load_sequence:08d}-{record.load_id}.parquet"
        temporary = target.with_name(f".{target.name}.writing")
        pq.write_table(record.to_table(), temporary)
        flush_to_disk(temporary)
        temporary.replace(target)
        flush_to_disk(self.folder)


@cache
def _read(path: str, inode: int, size: int, modified_ns: int) -> LoadRecord:
    """The record of a file; whoever asks says which file it is now."""
    # A plain open: a dataset scan of the folder would guess partitions from its path. A dozen rows: threads that hand
    # them on cost more, twice as much where the run is busy.
    return LoadRecord.from_rows(pq.ParquetFile(path, pre_buffer=False).read(use_threads=False).to_pylist())


def flush_to_disk(path: Path) -> None:
    """Have the operating system write a file or folder out before anything relies on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def folder_in_progress(target: Path, scratch: Path) -> Iterator[Path]:
    """A folder to fill in `scratch`; it takes its name at `target` when the block ends well, and vanishes otherwise."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        for path in scratch.iterdir():
            flush_to_disk(path)
        flush_to_disk(scratch)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.replace(target)
        flush_to_disk(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
