"""What a source hands to the landing: one extract per source system and load, contract columns in each table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from health_pipeline.contract.landing import SourceKind

LoadMode = Literal["incremental", "historical"]


@dataclass(frozen=True)
class TableExtract:
    """One landing table as a source delivered it.

    Parameters
    ----------
    table : name of a table of the landing contract
    data : a table, or the path of a Parquet file, with the contract's own columns and the source columns
    is_complete : the extract holds every record of that table, so a record missing from it is gone
    announced_rows : the row count the source announced, where it did
    """

    table: str
    data: pa.Table | Path
    is_complete: bool = False
    announced_rows: int | None = None


@dataclass(frozen=True)
class Extract:
    """What one source system delivered in one load.

    Parameters
    ----------
    source_kind : one of the nine kinds of source
    source_system : the system's name, the same in every load
    mode : `incremental`, or `historical` for a load that brings facts of the past
    tables : the tables delivered, each named once
    source_instance : which installation of the system, where a company has several
    """

    source_kind: SourceKind
    source_system: str
    mode: LoadMode
    tables: tuple[TableExtract, ...]
    source_instance: str = "default"
