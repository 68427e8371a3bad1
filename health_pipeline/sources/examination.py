"""One extract under the contract: every table conformed, and the identity that makes its load recognisable."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from health_pipeline.contract.closest import closest
from health_pipeline.contract.landing import LANDED_KINDS, LandingTable, landing_tables
from health_pipeline.sources.conformance import (
    ROWS_KEPT_TYPED,
    ConformedTable,
    LoadRefusedError,
    conform,
)
from health_pipeline.sources.delivered import empty_content_sha256
from health_pipeline.sources.extract import Extract

# A system's name becomes a folder's name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Examined:
    """An extract that keeps the contract.

    Attributes
    ----------
    loaded_at : naive UTC
    load_id : made of the load's time and its content, so that the same delivery has the same id everywhere
    extract_sha256 : hash of the content alone, whatever the order of rows and the time of the load
    tables : the delivered tables, as views of the connection it was examined on
    warnings : sentences
    """

    extract: Extract
    loaded_at: datetime
    latency_hours: int
    load_id: str
    extract_sha256: str
    tables: dict[str, ConformedTable]
    warnings: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows to land, all tables together."""
        return sum(table.rows for table in self.tables.values())

    @property
    def delivered_rows(self) -> dict[str, int]:
        """Rows delivered of each table of the kind; 0 where nothing was sent."""
        return {
            name: self.tables[name].delivered_rows if name in self.tables else 0 for name in tables_of(self.extract)
        }


def in_memory_duckdb(memory_limit: str, spill_folder: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB in UTC that spills to a folder once its memory is used up."""
    connection = duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(spill_folder)})
    connection.execute("set TimeZone = 'UTC'")
    return connection


def is_large(extract: Extract) -> bool:
    """Whether more than one thread helps: for small tables, waking threads costs more than they do."""
    return any(isinstance(table.data, Path) or table.data.num_rows > ROWS_KEPT_TYPED for table in extract.tables)


def tables_of(extract: Extract) -> dict[str, LandingTable]:
    """The contract's tables of the extract's kind, in contract order."""
    return {name: table for name, table in landing_tables().items() if extract.source_kind in table.kinds}


def examine_extract(
    con: duckdb.DuckDBPyConnection, extract: Extract, latency_hours: int, loaded_at: datetime
) -> Examined:
    """Check every table of an extract.

    Raises
    ------
    LoadRefusedError
        One sentence, as `conform`; also for a kind, a system's name or a table that the contract does not know.
    """
    _check_names(extract)
    wanted = tables_of(extract)
    tables: dict[str, ConformedTable] = {}
    wrong: list[str] = []
    for delivered in extract.tables:
        try:
            tables[delivered.table] = conform(con, wanted[delivered.table], extract, delivered, loaded_at)
        except LoadRefusedError as error:
            wrong += error.sentences
    if wrong:
        raise LoadRefusedError(*wrong)
    hashes = {
        name: tables[name].content_sha256 if name in tables else empty_content_sha256(table)
        for name, table in wanted.items()
    }
    complete = sorted(name for name, table in tables.items() if table.is_complete)
    identity = (extract.source_kind, extract.source_system, extract.source_instance, extract.mode)
    content = hashlib.sha256(json.dumps([*identity, hashes, complete]).encode()).hexdigest()
    digest = hashlib.sha256(f"{content}|{loaded_at.isoformat()}".encode()).hexdigest()[:12]
    return Examined(
        extract=extract,
        loaded_at=loaded_at,
        latency_hours=latency_hours,
        load_id=f"{loaded_at:%Y%m%dT%H%M%S}-{digest}",
        extract_sha256=content,
        tables=tables,
        warnings=tuple(warning for table in tables.values() for warning in table.warnings),
    )


def _check_names(extract: Extract) -> None:
    kind = extract.source_kind
    if kind not in LANDED_KINDS:
        near = closest(kind, LANDED_KINDS)
        hint = f"; the closest is {near!r}" if near else ""
        raise LoadRefusedError(f"source kind {kind!r} is none of {', '.join(LANDED_KINDS)}{hint}.")
    for name, value in (
        ("source_system", extract.source_system),
        ("source_instance", extract.source_instance),
    ):
        if not _NAME.fullmatch(value):
            raise LoadRefusedError(
                f"{kind} load: {name} is {value!r}; it must be up to 64 letters, digits, '.', '-' or '_'."
            )
    if extract.mode not in ("incremental", "historical"):
        raise LoadRefusedError(
            f"{kind} load of {extract.source_system}: mode is {extract.mode!r}; it must be incremental or historical."
        )
    wanted = tables_of(extract)
    seen = set()
    for delivered in extract.tables:
        if delivered.table not in wanted:
            near = closest(delivered.table, wanted)
            hint = f"; the closest is {near!r}" if near else ""
            raise LoadRefusedError(
                f"{kind} load of {extract.source_system}: table {delivered.table!r} is none that a {kind} source has "
                f"({', '.join(wanted)}){hint}."
            )
        if delivered.table in seen:
            raise LoadRefusedError(
                f"{kind} load of {extract.source_system}: table {delivered.table} is there twice; deliver it once."
            )
        seen.add(delivered.table)
