"""The `files` source: a mapping over a user's own CSV, Parquet, JSON or Excel files becomes loads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq

from health_pipeline.contract.closest import closest
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.settings import Settings
from health_pipeline.sources.casts import quote, text_literal
from health_pipeline.sources.delivered import ROW_ORIGIN
from health_pipeline.sources.examination import in_memory_duckdb
from health_pipeline.sources.extract import Extract, LoadMode, TableExtract
from health_pipeline.sources.integrity import BrokenFileError
from health_pipeline.sources.landing import Landing, LoadResult
from health_pipeline.sources.mapping import InputFiles, Mapping, MappingError, SourceMapping, TableMapping, read_mapping
from health_pipeline.sources.readers import find_files, read_input
from health_pipeline.sources.sentences import first_line, told

_ROWS_PER_BATCH = 100_000
_UNKNOWN_COLUMN = re.compile(r'Referenced column "([^"]*)" not found|does not have a column named "([^"]*)"')
_BAD_VALUE = re.compile(
    r"(?:Could not convert string|invalid [a-z ]+ field format:|Failed to parse)[^'\"]*['\"]([^'\"]*)['\"]"
)


def load_files(
    settings: Settings,
    company: CompanyPolicy,
    mapping: Path,
    data: Path,
    loaded_at: datetime,
    historical: bool = False,
    check: bool = False,
) -> list[LoadResult]:
    """Load a user's files through a mapping, one load per source it names.

    Parameters
    ----------
    mapping : the mapping, a YAML file (see `health_pipeline.sources.mapping`)
    data : the folder its file patterns are looked up in
    loaded_at : when the files were delivered, UTC
    historical : the files bring facts of the past, which count from when they happened
    check : say what would come in (status `ready`) and write nothing

    Returns
    -------
    list of LoadResult
        One per source of the mapping, in its order. A broken file refuses every source of the mapping.

    Raises
    ------
    MappingError
        If the mapping can't be used, or does not fit the files: one sentence.
    """
    plan = read_mapping(mapping)
    mode: LoadMode = "historical" if historical else "incremental"
    for source in plan.sources:
        if mode not in source.modes:
            raise MappingError(
                f"{mapping}: {source.kind} of {source.system} is for {' or '.join(source.modes)} loads only, and this "
                f"is a {mode} one ({'leave out' if historical else 'add'} --historical)."
            )
    inputs = {**plan.inputs, **_own_inputs(plan)}
    paths = {name: find_files(files, data) for name, files in inputs.items()}
    landing = Landing(settings.landing, settings.quarantine, settings.duckdb_memory_limit)
    with TemporaryDirectory(prefix="mapping-") as folder:
        try:
            with _reading(plan, inputs, paths, mapping, settings.duckdb_memory_limit, Path(folder)) as con:
                extracts = _extracts(con, plan, mode, mapping, Path(folder))
        except BrokenFileError as error:
            return _refused(landing, plan, mode, error, loaded_at, check)
        results = []
        for source, extract in zip(plan.sources, extracts, strict=True):
            policy = _with_latency(company, source)
            results.append(
                landing.examine(extract, policy, loaded_at) if check else landing.load(extract, policy, loaded_at)
            )
        return results


def _own_inputs(plan: Mapping) -> dict[str, InputFiles]:
    return {
        _input_name(source, table): table.files
        for source in plan.sources
        for table in source.tables
        if table.files is not None
    }


def _input_name(source: SourceMapping, table: TableMapping) -> str:
    return table.from_ or f"{source.kind}/{source.system}/{source.instance}/{table.table}"


@contextmanager
def _reading(
    plan: Mapping,
    inputs: dict[str, InputFiles],
    paths: dict[str, list[Path]],
    mapping: Path,
    memory_limit: str,
    folder: Path,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that holds the inputs and views, and sees nothing else of the machine."""
    con = in_memory_duckdb(memory_limit, folder / "spill")
    try:
        for name, files in inputs.items():
            read_input(con, name, files, paths[name])
        con.execute("set enable_external_access = false")
        con.execute("set lock_configuration = true")
        for name, query in plan.views.items():
            try:
                con.execute(f"create view {quote(name)} as {query}")
            except duckdb.Error as error:
                raise MappingError(f"{mapping}: view {name}: {_explained(con, error)}.") from error
        yield con
    finally:
        con.close()


def _extracts(
    con: duckdb.DuckDBPyConnection, plan: Mapping, mode: LoadMode, mapping: Path, folder: Path
) -> list[Extract]:
    """The extracts of a mapping; what does not fit is told of all its sources at once, a sentence each."""
    extracts, wrong = [], []
    for number, source in enumerate(plan.sources):
        try:
            extracts.append(_extract(con, source, mode, mapping, folder, number))
        except MappingError as error:
            wrong.append(str(error))
    if wrong:
        raise MappingError("\n".join(wrong))
    return extracts


def _extract(
    con: duckdb.DuckDBPyConnection, source: SourceMapping, mode: LoadMode, mapping: Path, folder: Path, number: int
) -> Extract:
    tables = []
    for table in source.tables:
        target = folder / f"{number}-{table.table}.parquet"
        relation = quote(_input_name(source, table))
        query = table.query or _select(con, table, relation)
        try:
            _write(con, query, target)
        except (duckdb.OutOfMemoryException, duckdb.InterruptException):
            raise
        except duckdb.Error as error:
            raise _mapping_error(con, mapping, table, relation, error) from error
        # small tables are handed on as they are; a path is streamed
        rows = pq.read_metadata(target).num_rows
        data = pq.read_table(target) if rows <= _ROWS_PER_BATCH else target
        tables.append(TableExtract(table.table, data, is_complete=table.is_complete))
    return Extract(source.kind, source.system, mode, tuple(tables), source.instance)


def _select(con: duckdb.DuckDBPyConnection, table: TableMapping, relation: str) -> str:
    selected = [f"{expression} as {quote(name)}" for name, expression in (table.select or {}).items()]
    if table.group_by is None and _has_column(con, relation, ROW_ORIGIN):
        selected.append(quote(ROW_ORIGIN))
    where = f" where {table.where}" if table.where else ""
    group = f" group by {table.group_by}" if table.group_by else ""
    return f"select {', '.join(selected)} from {relation}{where}{group}"


def _has_column(con: duckdb.DuckDBPyConnection, relation: str, column: str) -> bool:
    return column in _columns(con, relation)


def _columns(con: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    return [row[0] for row in con.execute(f"describe select * from {relation}").fetchall()]


def _write(con: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    """Write a query's rows batch by batch: the connection itself must not write files."""
    reader = con.execute(query).to_arrow_reader(_ROWS_PER_BATCH)
    with pq.ParquetWriter(target, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _mapping_error(
    con: duckdb.DuckDBPyConnection, mapping: Path, table: TableMapping, relation: str, error: duckdb.Error
) -> MappingError:
    """Name the part of the mapping that fails, by trying each alone."""
    if table.where:
        try:
            con.execute(f"select count(*) from {relation} where {table.where}")
        except duckdb.Error as own:
            return MappingError(
                f"{mapping}: table {table.table}, where ({table.where}): {_explained(con, own, relation)}."
            )
    for name, expression in (table.select or {}).items():
        where = f" where {table.where}" if table.where else ""
        group = f" group by {table.group_by}" if table.group_by else ""
        try:
            con.execute(f"select max(cast(v as varchar)) from (select {expression} as v from {relation}{where}{group})")
        except duckdb.Error as own:
            return MappingError(
                f"{mapping}: table {table.table}, column {name} ({expression}): {_explained(con, own, relation)}."
            )
    return MappingError(f"{mapping}: table {table.table}: {_explained(con, error, relation)}.")


def _explained(con: duckdb.DuckDBPyConnection, error: duckdb.Error, relation: str | None = None) -> str:
    text = str(error)
    unknown = _UNKNOWN_COLUMN.search(text)
    if unknown:
        name = next(group for group in unknown.groups() if group)
        columns = [column for column in (_columns(con, relation) if relation else []) if column != ROW_ORIGIN]
        near = closest(name, columns)
        hint = f"the closest is {near!r}" if near else f"it has {', '.join(columns)}" if columns else first_line(error)
        return f"the file has no column {name!r}; {hint}"
    bad = _BAD_VALUE.search(text)
    if bad:
        place = _place_of(con, bad.group(1))
        what = text[: bad.start(1) - 1].splitlines()[0].rstrip()
        return f"{what} {told(bad.group(1))}{f', at {place}' if place else ''}"
    return first_line(error)


def _place_of(con: duckdb.DuckDBPyConnection, value: str) -> str | None:
    """The first row of an input that holds a value."""
    tables = con.execute("select table_name from duckdb_tables()").fetchall()
    for (name,) in tables:
        for column in _columns(con, quote(name)):
            if column == ROW_ORIGIN:
                continue
            found = con.execute(
                f"select min_by({quote(ROW_ORIGIN)}, rowid) from {quote(name)} "
                f"where cast({quote(column)} as varchar) = {text_literal(value)}"
            ).fetchall()[0][0]
            if found is not None:
                return f"{found} (column {column})"
    return None


def _with_latency(company: CompanyPolicy, source: SourceMapping) -> CompanyPolicy:
    if source.latency_hours is None:
        return company
    policy = company.source(source.kind).model_copy(update={"latency_hours": source.latency_hours})
    return company.model_copy(update={"sources": {**company.sources, source.kind: policy}})


def _refused(
    landing: Landing, plan: Mapping, mode: LoadMode, error: BrokenFileError, loaded_at: datetime, check: bool
) -> list[LoadResult]:
    """Refuse every source of the mapping; the file is kept once, with the first."""
    results = []
    for number, source in enumerate(plan.sources):
        sentence = f"{source.kind} load of {source.system}: file {error}"
        if check:
            results.append(LoadResult("refused", None, source.kind, source.system, 0, (sentence,)))
            continue
        extract = Extract(source.kind, source.system, mode, (), source.instance)
        kept = [error.path] if number == 0 else []
        results.append(landing.refuse_files(extract, kept, loaded_at, sentence))
    return results
