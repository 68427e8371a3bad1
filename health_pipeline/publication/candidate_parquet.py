"""A candidate's tables as Parquet: new slices written, older ones linked; with the hashes of slices, tables, files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa

from health_pipeline.contract.mart import MartTable, mart_tables
from health_pipeline.publication.content_hashes import release_hash, slice_hash, table_hash
from health_pipeline.publication.files import file_sha256
from health_pipeline.publication.frozen import SlicePlan
from health_pipeline.publication.mart_file import PARTITIONED, built_content_hash, read_rows
from health_pipeline.publication.parquet import EMPTY, SNAPSHOT, link_files, slice_path, write_slice
from health_pipeline.publication.releases import Release, damaged, damaged_files


def write_parquet(
    connection: duckdb.DuckDBPyConnection,
    building: Path,
    base: Release | None,
    given: Mapping[str, pa.Table],
    plans: Mapping[str, SlicePlan],
    manifest: dict[str, Any],
    derived: Collection[str],
    known_damaged: frozenset[str] | None,
) -> None:
    """Write what is new, link what is not; note hashes of slices, tables and files in the manifest.

    Parameters
    ----------
    connection : the candidate's own file, filled
    building : the folder it is built in
    base : what it is built on
    given : the run's tables, as the contract types them
    plans : by partition, which slices are new or replaced
    manifest : with `replaced_snapshots`, `given_hashes` and the run's slices; gains `slices`, `tables`, `content_hash`
        and `files`
    derived : tables that publication makes itself
    known_damaged : files of the base found damaged when the run began; None: they are read here

    Raises
    ------
    DamagedReleaseError
        If a file of the base that would be linked is not as its manifest says.
    """
    base_files: dict[str, str] = base.manifest["files"] if base else {}
    old_slices: dict[str, dict[str, str]] = base.manifest["slices"] if base else {}
    slices: dict[str, dict[str, str]] = {}
    hashes: dict[str, str] = {}
    linked: list[str] = []
    with _Beside() as beside:
        for name, table in mart_tables().items():
            if table.partition not in PARTITIONED:
                is_new = base is None or name in manifest["replaced_snapshots"] or name in derived
                path = slice_path(name, SNAPSHOT)
                if is_new or path not in base_files:
                    rows = read_rows(connection, table)
                    beside.write(building, table, SNAPSHOT, rows)
                    if name in manifest["replaced_snapshots"] and name in manifest["given_hashes"]:
                        hashes[name] = manifest["given_hashes"][name]
                    else:
                        is_given = name in manifest["replaced_snapshots"]
                        beside.hash(hashes, name, partial(built_content_hash, table, given[name] if is_given else rows))
                elif base is not None:
                    hashes[name] = base.manifest["tables"][name]
                    linked.append(path)
                continue
            plan = plans[table.partition]
            # A table that was not given has its new slices empty, and keeps the ones it has.
            written = plan.written if name in given else plan.new
            slices[name] = dict(old_slices.get(name, {}))
            for day in written:
                part = read_rows(connection, table, [day])
                beside.write(building, table, day.isoformat(), part)
                beside.hash(
                    slices[name], day.isoformat(), partial(slice_hash, table, day, given.get(name, part), manifest)
                )
            fresh = {day.isoformat() for day in written}
            kept = [slice_path(name, day) for day in slices[name] if day not in fresh]
            linked += kept
            if not slices[name]:
                beside.write(building, table, EMPTY, read_rows(connection, table, []))
    if base is not None:
        broken = damaged_files(base, linked) if known_damaged is None else known_damaged.intersection(linked)
        if broken:
            raise damaged(base, min(broken))
        link_files(base.folder, building, linked)
    hashes |= {name: table_hash(of_table) for name, of_table in slices.items()}
    manifest["slices"] = slices
    manifest["tables"] = hashes
    manifest["content_hash"] = release_hash(hashes)
    manifest["files"] = {
        **{name: base_files[name] for name in linked},
        **{name: file_sha256(building / name) for name in beside.files},
    }


class _Beside:
    """Hashes rows and writes them as Parquet on two threads: none of it needs Python's lock.

    A few tables wait at most: thirteen weeks of a large one are gigabytes.
    """

    WAITING = 4

    def __init__(self) -> None:
        self.files: list[str] = []
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="candidate")
        self._waiting: deque[Future[object]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Wait for the rest; the first error of a thread is raised where there was none before."""
        with self._pool:
            while self._waiting and error is None:
                self._waiting.popleft().result()

    def write(self, building: Path, table: MartTable, part: str, rows: pa.Table) -> None:
        """Write a slice; its file is among `files` at the end."""
        self._submit(lambda: self.files.append(write_slice(building, table, part, rows)))

    def hash(self, into: dict[str, str], name: str, hashing: Callable[[], str]) -> None:
        """Note a hash under a name; the name is there at once, in its order."""
        into[name] = ""
        self._submit(lambda: into.update({name: hashing()}))

    def _submit(self, work: Callable[[], object]) -> None:
        self._waiting.append(self._pool.submit(work))
        if len(self._waiting) > self.WAITING:
            self._waiting.popleft().result()
