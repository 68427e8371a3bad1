"""Writes the Parquet files of one load into the folder it is given: the contract's columns, exactly."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from health_pipeline.contract.landing import LandingTable, arrow_schema
from health_pipeline.sources.availability import landed_select
from health_pipeline.sources.casts import text_literal
from health_pipeline.sources.conformance import ConformedTable
from health_pipeline.sources.delivered import empty_content_sha256, is_future, one_row_per_key
from health_pipeline.sources.examination import Examined
from health_pipeline.sources.records import TableRecord

# Above this a table is written in whatever order its parts are ready: keeping the order needs memory.
ROWS_KEPT_IN_ORDER = 1_000_000


def write_landed_table(
    con: duckdb.DuckDBPyConnection, examined: Examined, table: LandingTable, load_sequence: int, folder: Path
) -> TableRecord:
    """Write one table of a load, empty where the source sent nothing; return its part of the record.

    Raises
    ------
    RuntimeError
        If what was written is not what was examined: the delivered file changed meanwhile.
    """
    target = folder / f"{table.name}.parquet"
    conformed = examined.tables.get(table.name)
    path = f"{examined.extract.source_kind}/{examined.extract.source_system}/{examined.load_id}/{target.name}"
    if conformed is None or conformed.rows == 0:
        pq.write_table(arrow_schema(table).empty_table(), target)
    else:
        select = landed_select(
            table,
            f"({current_rows(examined, conformed)})",
            examined.extract.mode,
            examined.loaded_at,
            examined.load_id,
            load_sequence,
            examined.latency_hours,
        )
        written = copy_to_parquet(con, select, target, conformed.rows)
        if written != conformed.rows:
            raise RuntimeError(
                f"{table.name}: {conformed.rows:,} rows were examined and {written:,} written; the delivered file "
                "changed meanwhile, so deliver it again."
            )
    if conformed is None:
        return TableRecord(table.name, path, 0, False, False, empty_content_sha256(table))
    return TableRecord(
        table.name,
        path,
        conformed.rows,
        conformed.is_complete,
        True,
        conformed.content_sha256,
        conformed.watermark_from,
        conformed.watermark_to,
    )


def current_rows(examined: Examined, conformed: ConformedTable) -> str:
    """SQL: the rows to land, without those of the future and with one row per key."""
    rows = f"select * from {conformed.relation}"
    if conformed.future_rows:
        rows += f" where not {is_future(conformed.table, examined.loaded_at)}"
    return one_row_per_key(conformed.table, f"({rows})") if conformed.has_repeated_keys else rows


def copy_to_parquet(con: duckdb.DuckDBPyConnection, select: str, target: Path, rows: int) -> int:
    """Write a query's rows as Parquet in a stream; return how many there were."""
    is_large = rows > ROWS_KEPT_IN_ORDER
    if is_large:
        con.execute("set preserve_insertion_order = false")
    copy = f"copy ({select}) to {text_literal(str(target))} (format parquet, compression zstd)"
    written = con.execute(copy).fetchall()
    if is_large:
        con.execute("set preserve_insertion_order = true")
    return int(written[0][0])
