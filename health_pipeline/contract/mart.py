"""The published mart as data: tables, columns, types, keys, and which tables are frozen week by week."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa

from health_pipeline.contract.landing import DUCKDB_TYPES, ColumnType, schema_of
from health_pipeline.contract.yaml_text import parse_yaml

Partition = Literal["week", "quarter", "none"]

# Constants of the week, on every weekly row. published_at is when the week's candidate was first built: a run
# column, so it is left out of the content hash.
WEEK_COLUMNS: dict[str, tuple[ColumnType, str]] = {
    "as_of_at": ("timestamp", "The next Monday 00:00 UTC: facts count when they happened before it"),
    "known_at": ("timestamp", "as_of_at plus the cutoff: facts count when they were available by then"),
}
PUBLICATION_COLUMNS: dict[str, tuple[ColumnType, str]] = {
    "published_at": ("timestamp", "When the candidate that first held this row's slice was built"),
}
RUN_COLUMNS: tuple[str, ...] = tuple(PUBLICATION_COLUMNS)


@dataclass(frozen=True)
class MartColumn:
    """One column of a published table."""

    name: str
    type: ColumnType
    description: str

    @property
    def duckdb_type(self) -> str:
        """Type in DDL."""
        return DUCKDB_TYPES[self.type]


@dataclass(frozen=True)
class MartTable:
    """One published table: grain, key, partition, columns in order, and the room that builds it.

    `slice_column` holds the week or quarter whose slice a row is in; empty where the table has no slices.
    `stored_by` are the columns by which a slice's rows lie in the published DuckDB file; empty: by the key.
    """

    name: str
    grain: str
    partition: Partition
    key: tuple[str, ...]
    room: str
    columns: tuple[MartColumn, ...]
    slice_column: str = ""
    stored_by: tuple[str, ...] = ()

    @property
    def storage_order(self) -> tuple[str, ...]:
        """How the rows of the published DuckDB file lie: slice by slice, then by `stored_by`, then by the key."""
        slices = (self.slice_column,) if self.slice_column else ()
        return tuple(dict.fromkeys((*slices, *self.stored_by, *self.key)))

    @property
    def column_names(self) -> tuple[str, ...]:
        """Every column in published order."""
        return tuple(column.name for column in self.columns)

    @property
    def built_columns(self) -> tuple[MartColumn, ...]:
        """The columns the room builds; publication adds the others."""
        return tuple(column for column in self.columns if column.name not in PUBLICATION_COLUMNS)

    @property
    def arrow_schema(self) -> pa.Schema:
        """Schema of the built columns."""
        return schema_of(self.built_columns)


@cache
def mart_tables() -> dict[str, MartTable]:
    """Return every published table by name, in contract order.

    Raises
    ------
    ValueError
        If the YAML names an unknown type, partition, key column or slice column.
    """
    document = parse_yaml(Path(__file__).with_name("mart_tables.yaml").read_text())
    tables = {}
    for name, entry in document.items():
        source = document[entry["like"]] if "like" in entry else entry
        columns = []
        for column, text in source["columns"].items():
            column_type, _, description = text.partition(": ")
            if column_type not in get_args(ColumnType) or not description:
                raise ValueError(f"mart contract: {name}.{column} says {text!r}; write 'type: description'")
            columns.append(MartColumn(column, column_type, description))
        weekly = source["partition"] == "week"
        extra = {
            **(WEEK_COLUMNS if weekly else {}),
            **(PUBLICATION_COLUMNS if source["partition"] != "none" else {}),
        }
        columns += [MartColumn(column, kind, description) for column, (kind, description) in extra.items()]
        if entry["partition"] not in get_args(Partition):
            raise ValueError(f"mart contract: {name} has partition {entry['partition']!r}")
        is_sliced = entry["partition"] != "none"
        slice_column = entry.get("slice_column", entry["partition"] if is_sliced else "")
        if slice_column and not is_sliced:
            raise ValueError(f"mart contract: {name} has the slice_column {slice_column} and no partition")
        stored_by = tuple(entry.get("stored_by", ()))
        named = {*entry["key"], *stored_by, *([slice_column] if slice_column else [])}
        if missing := named - {column.name for column in columns}:
            raise ValueError(f"mart contract: {name} has no key, slice or stored_by column {sorted(missing)}")
        tables[name] = MartTable(
            name,
            entry["grain"],
            entry["partition"],
            tuple(entry["key"]),
            entry["room"],
            tuple(columns),
            slice_column,
            stored_by,
        )
    return tables


def empty_table(name: str) -> pa.Table:
    """Return the table with its built columns, typed, and no row."""
    return mart_tables()[name].arrow_schema.empty_table()
