"""The content hash: the same rows give the same hash, whatever their order, file or run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from health_pipeline.contract.mart import RUN_COLUMNS

# `json.dumps` makes an encoder for each value: a third of the time of a small one, and a ledger has 100,000.
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": 2})


def content_hash(table: pa.Table, leave_out: tuple[str, ...] = RUN_COLUMNS) -> str:
    """Hash a table's content: columns by name, rows sorted, floats rounded to 1e-9, run columns left out.

    Parameters
    ----------
    table : pyarrow.Table, shape (rows, columns)
    leave_out : columns that say when something ran, not what it found

    Returns
    -------
    str
        32 hexadecimal digits; an empty table's hash still names its columns.
    """
    columns = sorted(name for name in table.column_names if name not in leave_out)
    cells = []
    for name in columns:
        quoted = '"' + name.replace('"', '""') + '"'
        kind = table.schema.field(name).type
        if pa.types.is_floating(kind):
            # + 0.0 turns -0.0 into 0.0
            quoted = f"(round({quoted}, 9) + 0.0)"
        cells.append(f"coalesce('v' || replace({quoted}::varchar, '|', '||'), 'n')")
    digest = hashlib.sha256("\x1f".join(columns).encode())
    if columns and table.num_rows:
        # A cursor is a connection of its own on one small engine: opening an engine per table cost more than hashing.
        with _engine().cursor() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.register("content", table)
            row_hash = f"md5(concat_ws('|;|', {', '.join(cells)}))"
            hashes = connection.execute(f"select {row_hash} as h from content order by h").fetch_arrow_table()
        for chunk in hashes["h"].cast(pa.string()).chunks:
            # The texts as they lie in memory, one after the other: a Python text per row took longer than the hashing.
            _, offsets, texts = chunk.buffers()
            bounds = np.frombuffer(offsets, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            digest.update(memoryview(texts)[bounds[0] : bounds[-1]])
    return digest.hexdigest()[:32]


def content_hashes(tables: Mapping[str, pa.Table]) -> dict[str, str]:
    """The content hash of each table; two at a time, for a table of few rows is hashed on one core."""
    with ThreadPoolExecutor(2, thread_name_prefix="content-hash") as hashing:
        return dict(zip(tables, hashing.map(content_hash, tables.values()), strict=True))


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, ISO 8601, decimals as text, floats rounded to 1e-9.

    Raises
    ------
    ValueError
        If a number is not finite.
    TypeError
        If a value has no form in JSON.
    """
    return json_text(_plain(value))


def json_text(value: Any) -> str:
    """The one text of a value that is JSON already: keys sorted, no spaces, ASCII, no NaN; numbers as they are.

    Raises
    ------
    ValueError
        If a number is not finite.
    TypeError
        If a value is no JSON.
    """
    return _JSON.encode(value)


def canonical_hash(value: Any) -> str:
    """SHA-256 of `canonical_json`, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _plain(value: Any) -> Any:
    # asked first: most values are one of these
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return plain_value(value)


def plain_value(value: Any) -> Any:
    """A single value as canonical JSON writes it; what has parts is none."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return round(value, 9) + 0.0 if isinstance(value, float) else value
