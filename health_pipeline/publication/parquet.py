"""The same tables as Parquet: one file per week or quarter, older ones hard-linked, snapshots as `all.parquet`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.contract.landing import schema_of
from health_pipeline.contract.mart import MartTable

FOLDER = "parquet"
SNAPSHOT = "all"
# Written while a table has no slice yet, so that its folder can always be read as a table with types.
EMPTY = "none"


def slice_path(table: str, slice_name: str) -> str:
    """A slice's path inside the release."""
    return f"{FOLDER}/{table}/{slice_name}.parquet"


def published_schema(table: MartTable) -> pa.Schema:
    """Every column of the published table, `published_at` included."""
    return schema_of(table.columns)


def write_slice(folder: Path, table: MartTable, slice_name: str, rows: pa.Table) -> str:
    """Write one slice and return its path inside the release."""
    name = slice_path(table.name, slice_name)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    # A linked slice must not be written through: that would change the release it is linked from.
    path.unlink(missing_ok=True)
    pq.write_table(rows.cast(published_schema(table)), path, compression="zstd")
    return name


def slice_columns(folder: Path, table: str, slice_name: str) -> list[str]:
    """The columns a slice had when it was published."""
    names: list[str] = pq.read_schema(folder / slice_path(table, slice_name)).names
    return names


def link_files(base: Path, folder: Path, names: Iterable[str]) -> None:
    """Hard-link files of the base release into the candidate."""
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(base / name, target)
