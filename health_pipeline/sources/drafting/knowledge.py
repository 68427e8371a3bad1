"""Reads words.yaml and vendors.yaml: what columns, values and vendors are called in exports."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from health_pipeline.contract.landing import SOURCE_COLUMNS, ColumnType, SourceKind, landing_tables
from health_pipeline.contract.yaml_text import parse_yaml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stated(_Part):
    """A SQL expression that no column of the file gives by itself, and why it may stand there."""

    expression: str
    why: str


class TableWords(_Part):
    """What one landing table is called in exports; the parts are explained at the top of words.yaml."""

    files: list[str]
    columns: dict[str, list[str]]
    also: dict[str, list[str]] = Field(default_factory=dict)
    derived: dict[str, list[Stated]] = Field(default_factory=dict)
    unsure: dict[str, Stated] = Field(default_factory=dict)
    stand_ins: dict[str, Stated] = Field(default_factory=dict)
    words: dict[str, dict[str, list[str]]] = Field(default_factory=dict)


class Vendor(_Part):
    """A vendor: what its account file is, words in its file names, headers that only it writes."""

    kind: SourceKind
    names: list[str]
    headers: list[str]


# The type of a helper column: what its values must look like, and how an expression reads them.
_HELPER_TYPES: dict[str, ColumnType] = {
    "is_closed_lost": "boolean", "cancel_at_period_end": "boolean", "is_paid": "boolean",
    "mrr": "decimal", "plan_amount": "decimal", "balance": "decimal", "first_reply_minutes": "number",
}  # fmt: skip


def helper_type(name: str) -> ColumnType:
    """The type of a helper column of words.yaml; text unless it is named here."""
    return _HELPER_TYPES.get(name, "text")


@cache
def vendors() -> dict[str, Vendor]:
    """Every vendor that is known by name."""
    document = parse_yaml(Path(__file__).with_name("vendors.yaml").read_text(encoding="utf-8"))
    return {name: Vendor.model_validate(entry) for name, entry in document.items()}


@cache
def table_words() -> dict[str, TableWords]:
    """What is known of every landing table, the columns that all tables share included.

    Raises
    ------
    ValueError
        If words.yaml names a table or column that the landing contract does not have, or leaves out a required one.
    """
    document = parse_yaml(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
    common = document.pop("common")
    tables = {name: TableWords.model_validate(entry) for name, entry in document.items()}
    contract = landing_tables()
    if tables.keys() - contract.keys():
        raise ValueError(f"words.yaml names {tables.keys() - contract.keys()}, which the landing contract does not.")
    for name, words in tables.items():
        known = set(contract[name].column_names)
        named = {*words.columns, *words.derived, *words.unsure, *words.stand_ins, *words.words}
        if named - known:
            raise ValueError(f"words.yaml: {name} has no column {', '.join(sorted(named - known))} in the contract.")
        if set(contract[name].required) - set(words.columns):
            raise ValueError(f"words.yaml: {name} lacks {set(contract[name].required) - set(words.columns)}.")
    known = {column.name for column in SOURCE_COLUMNS}
    if common.keys() - known:
        raise ValueError(f"words.yaml: common names {common.keys() - known}, which no table has.")
    return {name: words.model_copy(update={"columns": {**words.columns, **common}}) for name, words in tables.items()}
