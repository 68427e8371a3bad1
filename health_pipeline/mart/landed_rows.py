"""Reads landed records by the load that brought them, without free texts: ids, times, numbers, vocabularies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import duckdb
import pyarrow as pa

from health_pipeline.contract.landing import Column, landing_tables
from health_pipeline.mart.account_facts import RecordKey
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing


def read_landed_rows(settings: Settings, wanted: Iterable[RecordKey]) -> dict[RecordKey, dict[str, Any]]:
    """Read records as their loads brought them, from the landing.

    Parameters
    ----------
    settings : where state lives
    wanted : records with the load of the version

    Returns
    -------
    dict of record to columns
        Without free text and names; without records whose load or row is not at hand.
    """
    by_file: dict[tuple[str, str], list[RecordKey]] = defaultdict(list)
    for record in dict.fromkeys(wanted):
        by_file[(record.load_id, record.source_table)].append(record)
    if not by_file or not settings.landing.is_dir():
        return {}
    paths = {
        (load.load_id, table.table): str(settings.landing / table.path)
        for load in Landing(settings.landing, settings.quarantine).loads({load_id for load_id, _ in by_file})
        for table in load.tables
    }
    found: dict[RecordKey, dict[str, Any]] = {}
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for place, records in by_file.items():
            if place in paths:
                rows = _rows(connection, paths[place], place[1], records)
                found |= {
                    record: rows[record.source_record_id] for record in records if record.source_record_id in rows
                }
    return found


def _rows(
    connection: duckdb.DuckDBPyConnection, path: str, table: str, records: list[RecordKey]
) -> dict[str, dict[str, Any]]:
    contract = landing_tables()[table]
    record_id = f"cast({contract.key[-1]} as varchar)"
    columns = ", ".join(f'"{column.name}"' for column in contract.columns if is_shown(column))
    connection.register("wanted", pa.table({"record_id": sorted({record.source_record_id for record in records})}))
    rows = connection.execute(
        f"select {record_id} as record_id, {columns} from read_parquet(?) "
        f"where {record_id} in (select record_id from wanted)",
        [path],
    ).to_arrow_table()
    connection.unregister("wanted")
    return {row.pop("record_id"): row for row in rows.to_pylist()}


def is_shown(column: Column) -> bool:
    """Whether a column may be printed: no free text, no name, no address; ids and closed vocabularies are."""
    if column.type in ("text", "json"):
        return bool(column.vocabulary) or column.name.endswith("_id")
    return True
