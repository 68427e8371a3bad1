"""Reads the fields that pieces of evidence quote, from the landed files they name; kept in memory only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import duckdb
import pyarrow as pa

from health_pipeline.contract.landing import landing_tables
from health_pipeline.mart.account_facts import RecordKey, RecordText
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing

# Subject and body of a note carry its sensitivity; other tables have none.
_SENSITIVITY = "sensitivity"


def read_quoted_texts(
    settings: Settings, wanted: Iterable[tuple[RecordKey, str]]
) -> dict[tuple[RecordKey, str], RecordText]:
    """Read fields of landed records, as the named loads brought them.

    Parameters
    ----------
    settings : where state lives
    wanted : records and the column of each

    Returns
    -------
    dict of (record, column) to RecordText
        Without those whose load or record is not there, or whose field is empty.

    Raises
    ------
    ValueError
        If the landing contract has no such column.
    """
    by_file: dict[tuple[str, str], list[tuple[RecordKey, str]]] = defaultdict(list)
    for record, column in dict.fromkeys(wanted):
        if column not in {one.name for one in landing_tables()[record.source_table].columns}:
            raise ValueError(f"{record.source_table} has no column {column!r} that could be quoted.")
        by_file[(record.load_id, record.source_table)].append((record, column))
    if not by_file:
        return {}
    paths = {
        (load.load_id, table.table): settings.landing / table.path
        for load in Landing(settings.landing, settings.quarantine).loads({load_id for load_id, _ in by_file})
        for table in load.tables
    }
    found = {}
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        for place, records in by_file.items():
            if place in paths:
                found.update(_read(connection, str(paths[place]), place[1], records))
    return found


def _read(
    connection: duckdb.DuckDBPyConnection, path: str, table: str, wanted: list[tuple[RecordKey, str]]
) -> dict[tuple[RecordKey, str], RecordText]:
    contract = landing_tables()[table]
    record_id = contract.key[-1]
    columns = sorted({column for _, column in wanted})
    has_sensitivity = _SENSITIVITY in {one.name for one in contract.columns}
    sensitive = f"coalesce({_SENSITIVITY} = 'sensitive', false)" if has_sensitivity else "false"
    connection.register("wanted", pa.table({"record_id": sorted({record.source_record_id for record, _ in wanted})}))
    rows = connection.execute(
        f"select cast({record_id} as varchar) as record_id, {sensitive} as is_sensitive, {', '.join(columns)} "
        f"from read_parquet(?) where cast({record_id} as varchar) in (select record_id from wanted)",
        [path],
    ).to_arrow_table()
    connection.unregister("wanted")
    by_id = {row["record_id"]: row for row in rows.to_pylist()}
    return {
        (record, column): RecordText(record, column, text, by_id[record.source_record_id]["is_sensitive"])
        for record, column in wanted
        if (text := by_id.get(record.source_record_id, {}).get(column))
    }
