"""Copies of published tables for people with spreadsheets: a folder of CSV or Parquet files, whole or not at all."""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import MartTable, mart_tables
from health_pipeline.mart.connection import columns_of, open_duckdb
from health_pipeline.policy.features import nearest
from health_pipeline.publication.errors import PublicationError
from health_pipeline.publication.files import sync_tree
from health_pipeline.publication.releases import current_release
from health_pipeline.settings import Settings

ExportFormat = Literal["csv", "parquet"]

EXPORT_NOTE = "export.json"
# A spreadsheet runs a cell that begins so as a formula (OWASP, "CSV Injection"); a quote in front makes it text.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_ROWS_PER_BATCH = 50_000


@dataclass(frozen=True)
class Exported:
    """What was exported: the folder, the release it is from, and the rows of each table."""

    folder: Path
    release: str
    rows: dict[str, int]


def export_tables(
    settings: Settings,
    folder: Path,
    tables: Sequence[str] = (),
    file_format: ExportFormat = "csv",
    week: Week | None = None,
    byte_order_mark: bool = False,
) -> Exported:
    """Copy tables of the current release into a new folder.

    Only tables and columns of the mart contract leave: the restricted store is no part of a release. In CSV files a
    text that a spreadsheet would run as a formula gets a quote in front; numbers stay numbers, null is empty.

    Parameters
    ----------
    folder : where they go; must not be there, or be empty
    tables : names of the mart contract; all of them where none is given
    week : of tables that hold weeks, only this one
    byte_order_mark : begin CSV files with one, by which older spreadsheets know UTF-8

    Raises
    ------
    PublicationError
        Where nothing is published, the folder is in use, the week is not published, or a table is none; in one
        sentence.
    """
    release = current_release(settings)
    if release is None:
        raise PublicationError("Nothing is published yet; run `health-pipeline weekly` (or `demo`) first.")
    chosen = [_table(name) for name in dict.fromkeys(tables)] or list(mart_tables().values())
    if week is not None and week not in release.published_weeks:
        newest = release.published_weeks[-1] if release.published_weeks else "none"
        raise PublicationError(f"Week {week} is not in release {release.name}; its newest week is {newest}.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PublicationError(f"{folder} is there and not empty; name a new folder, so that nothing is mixed up.")
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.partial")
    partial.mkdir()
    try:
        rows = {}
        with open_duckdb(release.file, read_only=True) as con:
            for table in chosen:
                rows[table.name] = _export(con, table, partial, file_format, week, byte_order_mark)
        note = {"release": release.name, "week": str(week) if week else None, "rows": rows}
        (partial / EXPORT_NOTE).write_text(json.dumps(note, indent=1), encoding="utf-8")
        sync_tree(partial)
        if folder.is_dir():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Exported(folder, release.name, rows)


def _table(name: str) -> MartTable:
    tables = mart_tables()
    if name not in tables:
        raise PublicationError(f"The mart has no table {name!r}; {nearest(name, tables)}.")
    return tables[name]


def _export(
    con: duckdb.DuckDBPyConnection,
    table: MartTable,
    folder: Path,
    file_format: ExportFormat,
    week: Week | None,
    byte_order_mark: bool,
) -> int:
    there = columns_of(con, "main", table.name)
    columns = [column for column in table.columns if column.name in there]
    if not columns:
        # the contract is newer than the release
        return 0
    texts = file_format == "csv"
    selected = ", ".join(
        f"{_unformulaic(column.name)} as {_quoted(column.name)}"
        if texts and column.type in ("text", "json")
        else _quoted(column.name)
        for column in columns
    )
    weeks = table.slice_column if table.partition == "week" else "week"
    where = f"where {_quoted(weeks)} = ?" if week is not None and weeks in there else ""
    order = ", ".join(_quoted(part) for part in table.key)
    query = con.execute(
        f"select {selected} from main.{_quoted(table.name)} {where} order by {order}",
        [week.monday] if where and week else [],
    )
    reader = query.to_arrow_reader(_ROWS_PER_BATCH)
    path = folder / f"{table.name}.{file_format}"
    with path.open("wb") as stream:
        if texts and byte_order_mark:
            stream.write(codecs.BOM_UTF8)
        return _write(reader, stream, texts)


def _write(reader: pa.RecordBatchReader, stream: object, is_csv: bool) -> int:
    rows = 0
    options = pa_csv.WriteOptions(quoting_style="needed")
    writer = (
        pa_csv.CSVWriter(stream, reader.schema, write_options=options)
        if is_csv
        else pq.ParquetWriter(stream, reader.schema)
    )
    with writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _unformulaic(name: str) -> str:
    starts = "".join("\\" + start if start == "-" else start for start in FORMULA_STARTS)
    column = _quoted(name)
    return f"case when regexp_matches({column}, '^[{starts}]') then '''' || {column} else {column} end"


def _quoted(name: str) -> str:
    return '"' + name + '"'
