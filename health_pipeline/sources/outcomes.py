"""What becomes of a load that is not simply committed: held, refused, or committed without some of its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa

from health_pipeline.contract.landing import SourceKind
from health_pipeline.sources.conformance import ConformedTable
from health_pipeline.sources.delivered import delivered_columns, is_future
from health_pipeline.sources.examination import Examined
from health_pipeline.sources.extract import Extract
from health_pipeline.sources.quarantine import Quarantine, QuarantinedLoad, QuarantineStatus, copy_delivered
from health_pipeline.sources.writing import copy_to_parquet

LoadStatus = Literal["committed", "duplicate", "held", "refused", "ready"]


@dataclass(frozen=True)
class LoadResult:
    """What became of a load: `messages` are sentences (the reason, or warnings of a load that was committed).

    `delivered` holds the rows delivered of each table, where the load was read to its end.
    """

    status: LoadStatus
    load_id: str | None
    source_kind: SourceKind
    source_system: str
    rows: int
    messages: tuple[str, ...] = ()
    delivered: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_landed(self) -> bool:
        """Whether its rows are in the landing, by this load or by the same one before."""
        return self.status in ("committed", "duplicate")


def set_aside_future_rows(quarantine: Quarantine, con: duckdb.DuckDBPyConnection, examined: Examined) -> None:
    """Keep the rows of the future that a load is committed without."""
    future = {name: table for name, table in examined.tables.items() if table.future_rows}
    if not future:
        return

    def fill(folder: Path) -> None:
        for name, table in future.items():
            rows = f"{_delivered(table)} where {is_future(table.table, examined.loaded_at)}"
            copy_to_parquet(con, rows, folder / f"{name}.parquet", table.future_rows)

    note = _note(examined, "set_aside", " ".join(examined.warnings))
    count = sum(table.future_rows for table in future.values())
    quarantine.keep(replace(note, load_id=f"{examined.load_id}-set-aside", rows=count), fill)


def hold(
    quarantine: Quarantine, con: duckdb.DuckDBPyConnection, examined: Examined, reasons: Sequence[str]
) -> LoadResult:
    """Keep a load for a person to decide on."""

    def fill(folder: Path) -> None:
        for name, table in examined.tables.items():
            copy_to_parquet(con, _delivered(table), folder / f"{name}.parquet", table.delivered_rows)

    reason = "; ".join(reasons) + f"; accept or reject load {examined.load_id}."
    quarantine.keep(_note(examined, "held", reason), fill)
    return result_of(examined, "held", reason)


def refuse(
    quarantine: Quarantine,
    extract: Extract,
    loaded_at: datetime,
    reason: str,
    delivered: Sequence[tuple[str, pa.Table | Path]],
    more: Sequence[str] = (),
) -> LoadResult:
    """Keep a refused load as it was delivered; the same refusal again takes no more room.

    `reason` is kept with it; `more` says what else is wrong, for the one who mends it.
    """
    identity = (extract.source_kind, extract.source_system, extract.source_instance, extract.mode, reason)
    digest = hashlib.sha256("|".join((*identity, loaded_at.isoformat())).encode()).hexdigest()[:12]
    load_id = f"{loaded_at:%Y%m%dT%H%M%S}-{digest}"
    waiting = quarantine.find(load_id)
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
        quarantine.keep(refused, lambda folder: copy_delivered(delivered, folder))
    return LoadResult("refused", load_id, extract.source_kind, extract.source_system, 0, (reason, *more))


def result_of(examined: Examined, status: LoadStatus, *messages: str) -> LoadResult:
    """What to say of an extract that keeps the contract."""
    extract = examined.extract
    return LoadResult(
        status,
        examined.load_id,
        extract.source_kind,
        extract.source_system,
        examined.rows,
        messages,
        examined.delivered_rows,
    )


def _delivered(table: ConformedTable) -> str:
    columns = ", ".join(column.name for column in delivered_columns(table.table))
    return f"select {columns} from {table.relation}"


def _note(examined: Examined, status: QuarantineStatus, reason: str) -> QuarantinedLoad:
    extract = examined.extract
    return QuarantinedLoad(
        load_id=examined.load_id,
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
