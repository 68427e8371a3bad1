"""The mapping a user writes: which files hold which landing tables, and how their columns become the contract's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from health_pipeline.contract.closest import closest
from health_pipeline.contract.landing import DELIVERED_KINDS, SOURCE_COLUMNS, SourceKind, landing_tables
from health_pipeline.sources.extract import LoadMode
from health_pipeline.sources.sentences import validation_sentence

FileFormat = Literal["csv", "parquet", "json", "excel"]


class _Yaml(yaml.SafeLoader):
    """YAML as of version 1.2, where a column called `no` is not false."""


_Yaml.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


class MappingError(ValueError):
    """A mapping can't be used; the message is one sentence: the file, the place, what is wanted, what is closest."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class InputFiles(_Part):
    """Files of one form, read as one table.

    Attributes
    ----------
    files : a file name or a pattern such as `orders_*.csv.gz`, looked up in the data folder
    format : told from the file's name where it is not given
    delimiter, encoding : of CSV files; found out, and UTF-8, where they are not given
    sheet : of an Excel file; the first one where it is not given
    may_be_empty : a file with a header and no rows is fine
    may_lack_last_newline : a CSV file whose last line has no line break is whole
    needs_checksum : a file without its checksum beside it (`NAME.sha256`, of `sha256sum`) is refused; one that is there
        is compared in any case
    """

    files: str = Field(min_length=1)
    format: FileFormat | None = None
    delimiter: str | None = None
    encoding: Literal["utf-8", "utf-16", "latin-1"] = "utf-8"
    sheet: str | None = None
    may_be_empty: bool = False
    may_lack_last_newline: bool = False
    needs_checksum: bool = False

    @field_validator("files")
    @classmethod
    def _stays_in_the_data_folder(cls, pattern: str) -> str:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise ValueError("must be a name or pattern inside the data folder (--data)")
        return pattern


class TableMapping(_Part):
    """One landing table, as a select over an input, a view or files of its own.

    Attributes
    ----------
    from_ : name of an input or a view (`from:` in YAML); or `files`, a pattern of its own
    select : contract column to a SQL expression over the columns of the file; or `query`, a whole select
    where, group_by : SQL
    is_complete : the files hold every record there is, so one that is missing from them is gone
    """

    table: str
    from_: str | None = Field(default=None, alias="from")
    files: InputFiles | None = None
    select: dict[str, str] | None = None
    query: str | None = None
    where: str | None = None
    group_by: str | None = None
    is_complete: bool = False

    @field_validator("files", mode="before")
    @classmethod
    def _a_pattern_is_files(cls, files: object) -> object:
        return {"files": files} if isinstance(files, str) else files

    @field_validator("select", mode="before")
    @classmethod
    def _expressions_are_text(cls, select: object) -> object:
        # YAML reads 1 and true as a number and a truth value; in a select they are SQL
        if isinstance(select, dict):
            return {
                name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in select.items()
            }
        return select

    @model_validator(mode="after")
    def _says_where_from_and_what(self) -> Self:
        if (self.select is None) == (self.query is None):
            raise ValueError(f"{self.table} needs either select (column: expression) or query (a whole select)")
        if self.query is not None and (self.where or self.group_by or self.from_ or self.files):
            raise ValueError(f"{self.table}: query is a whole select; from, files, where and group_by go into it")
        if self.select is not None and (self.from_ is None) == (self.files is None):
            raise ValueError(f"{self.table} needs either from (an input or view) or files (a pattern)")
        return self


class SourceMapping(_Part):
    """One source system of one kind and its tables; a table of the kind that is not named is empty."""

    kind: SourceKind
    system: str
    instance: str = "default"
    modes: tuple[LoadMode, ...] = ("historical", "incremental")
    latency_hours: int | None = Field(default=None, ge=0)
    tables: tuple[TableMapping, ...]

    @field_validator("kind", mode="before")
    @classmethod
    def _kind_is_known(cls, kind: object) -> object:
        if kind not in DELIVERED_KINDS:
            raise ValueError(f"must be one of {', '.join(DELIVERED_KINDS)}{_near(str(kind), DELIVERED_KINDS)}")
        return kind

    @model_validator(mode="after")
    def _keeps_the_contract(self) -> Self:
        tables = {name: table for name, table in landing_tables().items() if self.kind in table.kinds}
        if not self.tables:
            raise ValueError(f"tables names none; a {self.kind} source has {', '.join(tables)}")
        named = [mapped.table for mapped in self.tables]
        for mapped in self.tables:
            if mapped.table not in tables:
                raise ValueError(
                    f"table {mapped.table!r} is none that a {self.kind} source has ({', '.join(tables)})"
                    f"{_near(mapped.table, tables)}"
                )
            if named.count(mapped.table) > 1:
                raise ValueError(f"table {mapped.table} is mapped twice; bring both together in a view")
            if mapped.select is None:
                continue
            table = tables[mapped.table]
            known = {*table.column_names, *(column.name for column in SOURCE_COLUMNS)}
            for name in mapped.select:
                if name not in known:
                    spare = sorted(known - set(mapped.select))
                    raise ValueError(f"{mapped.table} has no column {name!r} in the contract{_near(name, spare)}")
            missing = [name for name in table.required if name not in mapped.select]
            if missing:
                wanted = [f"{name} ({table.column(name).type})" for name in missing]
                raise ValueError(
                    f"{mapped.table} needs column{'s' if len(wanted) > 1 else ''} {', '.join(wanted)}, which select "
                    f"does not give; it gives {', '.join(mapped.select)}"
                )
        return self


class Mapping(_Part):
    """A mapping file.

    Attributes
    ----------
    inputs : name to files, each read as a table of that name; all columns of CSV and Excel files are text
    views : name to a SQL select over inputs and views named before it
    sources : what comes out, one load each
    """

    inputs: dict[str, InputFiles] = Field(default_factory=dict)
    views: dict[str, str] = Field(default_factory=dict)
    sources: tuple[SourceMapping, ...]

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        if not self.sources:
            raise ValueError("sources names none; name what the files hold, one entry per source system")
        names = [*self.inputs, *self.views]
        for name in names:
            if not name.isidentifier() or names.count(name) > 1:
                raise ValueError(f"{name!r} must be a plain name, used once among inputs and views")
        for source in self.sources:
            for mapped in source.tables:
                if mapped.from_ is not None and mapped.from_ not in names:
                    raise ValueError(
                        f"{mapped.table} reads from {mapped.from_!r}, which is neither an input nor a view"
                        f"{_near(mapped.from_, names)}"
                    )
        systems = [(source.kind, source.system, source.instance) for source in self.sources]
        for system in systems:
            if systems.count(system) > 1:
                raise ValueError(f"{' '.join(system)} is mapped twice; name all its tables in one place")
        return self


def read_mapping(path: Path) -> Mapping:
    """Read a mapping.

    Raises
    ------
    MappingError
        In one sentence: the file, the place in it, what is there, what it must be.
    """
    if not path.is_file():
        raise MappingError(f"{path} is not there; name a mapping file (YAML).")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Yaml)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise MappingError(f"{path}{where} is not YAML: {getattr(error, 'problem', error)}.") from error
    if not isinstance(content, dict):
        raise MappingError(f"{path} must hold keys and values at its top; it holds {type(content).__name__}.")
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        raise MappingError(f"{path}: {validation_sentence(error)}") from error


def _near(name: str, names: object) -> str:
    near = closest(name, names)  # type: ignore[arg-type]
    return f"; the closest name is {near!r}" if near else ""
