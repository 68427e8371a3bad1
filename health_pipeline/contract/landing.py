"""The landing contract as data: tables, columns, types, keys, vocabularies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Protocol, get_args

import pyarrow as pa

from health_pipeline.contract.yaml_text import parse_yaml

ColumnType = Literal["text", "integer", "number", "decimal", "date", "timestamp", "boolean", "json"]

SourceKind = Literal[
    "crm", "billing", "support", "survey", "usage", "cs", "projects", "risk", "engagement", "review", "text"
]
# Two kinds are landed like any source and are none of the nine: what people of the company decided in the review, and
# what we read in texts of the nine. They have no accounts of their own, no freshness, and count towards no coverage.
LANDED_KINDS: tuple[SourceKind, ...] = get_args(SourceKind)
SOURCE_KINDS: tuple[SourceKind, ...] = tuple(kind for kind in LANDED_KINDS if kind not in ("review", "text"))
# What somebody delivers; the others we make ourselves.
DELIVERED_KINDS: tuple[SourceKind, ...] = tuple(kind for kind in LANDED_KINDS if kind != "text")

ARROW_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "decimal": pa.decimal128(18, 2),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "boolean": pa.bool_(),
    "json": pa.string(),
}
DUCKDB_TYPES: dict[str, str] = {
    "text": "varchar",
    "integer": "bigint",
    "number": "double",
    "decimal": "decimal(18,2)",
    "date": "date",
    "timestamp": "timestamp",
    "boolean": "boolean",
    "json": "varchar",
}


@dataclass(frozen=True)
class Column:
    """One column of a landing table. Timestamps are UTC; decimals are decimal(18,2)."""

    name: str
    type: ColumnType
    is_required: bool = False
    is_lifecycle: bool = False
    vocabulary: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """What no row may say, beyond its columns' types: a SQL predicate over the typed row, and the words for it."""

    refuse: str
    column: str
    because: str


@dataclass(frozen=True)
class LandingTable:
    """One landing table: grain, own columns (system columns apart), record key, event time, what no row may say."""

    name: str
    grain: str
    kinds: tuple[SourceKind, ...]
    is_mutable: bool
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    event_time: str | None
    rules: tuple[Rule, ...] = ()

    def column(self, name: str) -> Column:
        """Return the column of that name; KeyError when the contract has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Own column names, in contract order."""
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns a source must give."""
        return tuple(column.name for column in self.columns if column.is_required)


# What a source gives on every table beside the table's own columns ...
SOURCE_COLUMNS: tuple[Column, ...] = (
    Column("source_system", "text", is_required=True, is_lifecycle=True),
    Column("source_instance", "text", is_required=True, is_lifecycle=True),
    Column("source_created_at", "timestamp", is_lifecycle=True),
    Column("source_updated_at", "timestamp"),
    Column("is_deleted", "boolean"),
    Column("custom", "json"),
)
# ... and what the landing adds. `attributes_available_at` is `available_at` in an incremental load; in a
# historical one it says from when the attributes that are not lifecycle times count (source_updated_at, or the
# extract's date).
LOAD_COLUMNS: tuple[Column, ...] = (
    Column("loaded_at", "timestamp", is_required=True),
    Column("load_id", "text", is_required=True),
    Column("load_sequence", "integer", is_required=True),
    Column("available_at", "timestamp", is_required=True),
    Column("attributes_available_at", "timestamp", is_required=True),
    Column("is_available_at_imputed", "boolean", is_required=True),
)

_VOCABULARY = re.compile(r"in\(([^)]*)\)")


def _parse_column(name: str, text: str) -> Column:
    vocabulary = _VOCABULARY.search(text)
    words = _VOCABULARY.sub("", text).split()
    column_type, flags = words[0], set(words[1:])
    unknown = flags - {"required", "event", "lifecycle"}
    if column_type not in get_args(ColumnType) or unknown:
        raise ValueError(f"landing contract: column {name!r} says {text!r}; unknown {unknown or column_type}")
    return Column(
        name=name,
        type=column_type,  # type: ignore[arg-type]
        is_required="required" in flags,
        is_lifecycle="lifecycle" in flags,
        vocabulary=tuple(vocabulary.group(1).split(",")) if vocabulary else (),
    )


@cache
def landing_tables() -> dict[str, LandingTable]:
    """Return every landing table by name, in contract order."""
    document = parse_yaml(Path(__file__).with_name("landing_tables.yaml").read_text())
    tables = {}
    for name, entry in document.items():
        columns = tuple(_parse_column(column, text) for column, text in entry["columns"].items())
        events = [column for column, text in entry["columns"].items() if "event" in text.split()]
        tables[name] = LandingTable(
            name=name,
            grain=entry["grain"],
            kinds=tuple(entry["kinds"]),
            is_mutable=bool(entry.get("mutable", False)),
            key=tuple(part.strip() for part in entry["key"].split(",")),
            columns=columns,
            event_time=events[0] if events else None,
            rules=tuple(Rule(**rule) for rule in entry.get("rules", ())),
        )
    return tables


def arrow_schema(table: LandingTable) -> pa.Schema:
    """Return the exact schema of a landed file: own columns, source columns, load columns."""
    return schema_of((*table.columns, *SOURCE_COLUMNS, *LOAD_COLUMNS))


class TypedColumn(Protocol):
    """A column of either contract."""

    @property
    def name(self) -> str:
        """As the table has it."""

    @property
    def type(self) -> ColumnType:
        """As the contract writes it."""


def schema_of(columns: Iterable[TypedColumn]) -> pa.Schema:
    """Return the Arrow schema of columns of the contract, in their order."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type]) for column in columns])
