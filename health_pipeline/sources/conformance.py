"""Brings one delivered table to the contract: names, types, required values, vocabularies; or refuses in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.contract.closest import closest
from health_pipeline.contract.landing import DUCKDB_TYPES, Column, LandingTable
from health_pipeline.sources.casts import (
    cast_can_fail,
    cast_expression,
    given_expression,
    quote,
    text_literal,
)
from health_pipeline.sources.delivered import (
    ROW_ORIGIN,
    content_sha256,
    delivered_columns,
    delivered_name,
    is_future,
    one_row_per_key,
    row_text,
)
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.row_rules import broken_rule, rule_predicates
from health_pipeline.sources.sentences import first_line, hint, told, wanted

# Where more of a table than this lies in the future, the source's clock or time zone is wrong, not some rows.
FUTURE_SHARE_REFUSED = 0.5
_DISK_IS_FULL = ("No space left on device", "File too large", "temporary directory", "/spill")
# Up to these rows a typed copy in memory is quicker than casting again.
# A status has as many words; a sentence that slipped into its column has more.
WORDS_OF_A_VOCABULARY = 3
ROWS_KEPT_TYPED = 200_000


class LoadRefusedError(ValueError):
    """A load breaks the contract; the message is one sentence: where, which column, what is wanted.

    `sentences` holds all that was found wrong at that place, the message first.
    """

    def __init__(self, *sentences: str):
        super().__init__(sentences[0])
        self.sentences = sentences


@dataclass(frozen=True)
class ConformedTable:
    """A delivered table as a DuckDB view of contract columns, and what was found in it.

    Attributes
    ----------
    relation : name of the view: contract and source columns with contract types, all delivered rows
    delivered_rows, rows : rows delivered; rows to land (without repeated keys and rows of the future)
    content_sha256 : hash of the delivered content, whatever the order of its rows
    watermark_from, watermark_to : first and last change (or event, where records do not change)
    """

    table: LandingTable
    relation: str
    is_complete: bool
    delivered_rows: int
    rows: int
    future_rows: int
    has_repeated_keys: bool
    content_sha256: str
    watermark_from: datetime | None
    watermark_to: datetime | None
    warnings: tuple[str, ...]


class _Delivery:
    """One delivered table under examination: where it is, what it is called in sentences, its columns."""

    def __init__(self, con: duckdb.DuckDBPyConnection, table: LandingTable, extract: Extract, data: pa.Table | Path):
        self.con = con
        self.table = table
        self.extract = extract
        self.where = f"{extract.source_kind} load of {extract.source_system}, table {table.name}"
        if isinstance(data, Path):
            self.schema = _read_schema(data, self.where)
            self.where += f" ({data.name})"
            self.source = f"read_parquet({text_literal(str(data))})"
        else:
            self.schema = data.schema
            self.source = quote(delivered_name(table.name))
            con.register(delivered_name(table.name), data)

    def refuse(self, *sentences: str) -> LoadRefusedError:
        return LoadRefusedError(*(f"{self.where}: {sentence}" for sentence in sentences))

    def has(self, name: str) -> bool:
        return name in self.schema.names

    def typed(self, column: Column) -> str:
        """The cast of a delivered column to the contract's type."""
        cast = cast_expression(column, self.schema.field(column.name).type)
        if cast is None:
            kind = self.schema.field(column.name).type
            raise self.refuse(f"column {column.name} holds {kind}; the contract wants {wanted(column)} there.")
        return cast.expression

    def check_names(self) -> list[str]:
        """Refuse a missing required column; warn of columns that are not the contract's."""
        names = self.schema.names
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise self.refuse(f"column {min(repeated)} is there twice; name each column once.")
        contract = {column.name for column in delivered_columns(self.table)}
        spare = [name for name in names if name not in contract and name != ROW_ORIGIN]
        missing = []
        for column in self.table.columns:
            if column.is_required and not self.has(column.name):
                near = closest(column.name, spare) or closest(column.name, names)
                hint = f"the closest name there is {near!r}" if near else f"it has {', '.join(names) or 'none'}"
                missing.append(
                    f"column {column.name} is missing; the contract wants it ({wanted(column)}), and {hint}."
                )
        if missing:
            raise self.refuse(*missing)
        warnings = []
        for name in spare:
            near = closest(name, sorted(contract - set(names)))
            hint = f"; did you mean {near!r}" if near else ""
            warnings.append(f"{self.where}: column {name!r} is not in the contract and is left out{hint}.")
        return warnings

    def first_row(self, column: str, predicate: str) -> tuple[str, Any]:
        """Where the first row is for which the predicate on the raw column holds, and the value there."""
        origin = quote(ROW_ORIGIN) if self.has(ROW_ORIGIN) else "cast(null as varchar)"
        row, place, value = self.con.execute(
            f"select row, place, value from (select row_number() over () as row, {origin} as place, "
            f"{quote(column)} as value, ({predicate}) as hit from {self.source}) where hit order by row limit 1"
        ).fetchall()[0]
        return (place or f"row {row}", value)


def conform(
    con: duckdb.DuckDBPyConnection,
    table: LandingTable,
    extract: Extract,
    delivered: TableExtract,
    loaded_at: datetime,
) -> ConformedTable:
    """Check one delivered table against the contract and put a typed view over it.

    The data are scanned once, by DuckDB, in a stream: 25 million rows need no memory of their own size.

    Parameters
    ----------
    con : an in-memory connection with `TimeZone` UTC
    loaded_at : when the load was made, naive UTC

    Raises
    ------
    LoadRefusedError
        For a missing or repeated column, a value that can't be cast, a null where the contract requires a value,
        another system's rows, a row count that is not the announced one, an unreadable file, or a source whose
        clock is ahead.
    """
    delivery = _Delivery(con, table, extract, delivered.data)
    warnings = delivery.check_names()
    # small tables are typed once and kept, large ones are streamed through the casts each time
    is_kept = isinstance(delivered.data, pa.Table) and delivered.data.num_rows <= ROWS_KEPT_TYPED
    relation = quote(f"{'typed' if is_kept else 'streamed'}_{table.name}")
    try:
        fallible = _create_relation(delivery, relation, "table" if is_kept else "view")
        found = _scan(delivery, relation, fallible, loaded_at)
    except duckdb.Error as error:
        if _is_of_this_machine(error):
            # A full disk was taken for a broken delivery once, and its system waited for a person to decide.
            raise
        raise delivery.refuse(f"the data can't be read ({first_line(error)}); deliver the file again.") from error
    _check_values(delivery, relation, found, fallible, delivered.announced_rows)
    warnings += _vocabulary_warnings(delivery, found)
    rows, future = found["_rows"], found["_future"]
    if future and future > FUTURE_SHARE_REFUSED * rows:
        raise delivery.refuse(
            f"{future:,} of {rows:,} rows happened or changed after the load was made ({loaded_at} UTC); "
            "timestamps are UTC, so check the source's clock and time zone."
        )
    if future:
        warnings.append(
            f"{delivery.where}: {future:,} of {rows:,} rows happened or changed after the load was made "
            f"({loaded_at} UTC) and are set aside in quarantine."
        )
    rows -= future
    repeated = found["_keys"] < found["_rows"]
    if repeated:
        current = f"(select * from {relation} where not {is_future(table, loaded_at)})"
        kept = con.execute(f"select count(*) from ({one_row_per_key(table, current)})").fetchall()[0][0]
        if kept < rows:
            warnings.append(
                f"{delivery.where}: {rows - kept:,} rows repeat a key ({', '.join(table.key)}); "
                "the row with the last source_updated_at is kept."
            )
        rows = kept
    return ConformedTable(
        table=table,
        relation=relation,
        is_complete=delivered.is_complete,
        delivered_rows=found["_rows"],
        rows=rows,
        future_rows=future,
        has_repeated_keys=repeated,
        content_sha256=content_sha256(table, found["_rows"], int(found["_hash"] or 0)),
        watermark_from=found["_from"],
        watermark_to=found["_to"],
        warnings=tuple(warnings),
    )


def _is_of_this_machine(error: duckdb.Error) -> bool:
    """Memory or disk ran out, or somebody interrupted: nothing that another delivery would mend."""
    if isinstance(error, (duckdb.OutOfMemoryException, duckdb.InterruptException)):
        return True
    return isinstance(error, duckdb.IOException) and any(word in str(error) for word in _DISK_IS_FULL)


def _create_relation(delivery: _Delivery, relation: str, kind: Literal["table", "view"]) -> list[Column]:
    """Create the typed relation; return the columns whose cast may fail."""
    parts, fallible = [], []
    defaults = {
        "source_system": text_literal(delivery.extract.source_system),
        "source_instance": text_literal(delivery.extract.source_instance),
        "is_deleted": "false",
    }
    for column in delivered_columns(delivery.table):
        name = quote(column.name)
        default = defaults.get(column.name)
        if not delivery.has(column.name):
            parts.append(f"cast({default or 'null'} as {DUCKDB_TYPES[column.type]}) as {name}")
            continue
        typed = delivery.typed(column)
        given = given_expression(column, delivery.schema.field(column.name).type)
        value = f"case when {given} is null then {default} else {typed} end" if default else typed
        parts.append(f"{value} as {name}")
        can_fail = cast_can_fail(column, delivery.schema.field(column.name).type)
        if can_fail or column.vocabulary:
            parts.append(f"{given} as {quote('_raw_' + column.name)}")
        if can_fail:
            fallible.append(column)
    delivery.con.execute(
        f"create or replace temp {kind} {relation} as select {', '.join(parts)} from {delivery.source}"
    )
    return fallible


def _scan(delivery: _Delivery, relation: str, fallible: list[Column], loaded_at: datetime) -> dict[str, Any]:
    table = delivery.table
    mark = "source_updated_at" if table.is_mutable else table.event_time
    keys = ", ".join(quote(name) for name in table.key)
    measures = {
        "_rows": "count(*)",
        # the hash of a key stands for it: a collision only means a needless look for repeated keys
        "_keys": f"count(distinct hash({keys}))",
        "_hash": f"sum(md5_number_lower({row_text(table)}))",
        "_future": f"count(*) filter (where {is_future(table, loaded_at)})",
        "_from": f"min(cast({quote(mark or 'source_updated_at')} as timestamp))",
        "_to": f"max(cast({quote(mark or 'source_updated_at')} as timestamp))",
        "_system": f"max(source_system) filter (where source_system <> {text_literal(delivery.extract.source_system)})",
        "_instance": f"max(source_instance) filter (where source_instance <> "
        f"{text_literal(delivery.extract.source_instance)})",
    }
    problems = _problems(delivery, fallible)
    if problems:
        # one look for all of them: a count of each is only asked for where there is something to count
        measures["_problems"] = f"count(*) filter (where {' or '.join(problems.values())})"
    found = _measure(delivery, relation, measures)
    if found.get("_problems"):
        details = {name: f"count(*) filter (where {predicate})" for name, predicate in problems.items()}
        for column in table.columns:
            if f"unknown {column.name}" in problems:
                raw = f"cast({quote('_raw_' + column.name)} as varchar)"
                details[f"word {column.name}"] = f"min({raw}) filter (where {problems[f'unknown {column.name}']})"
        found |= _measure(delivery, relation, details)
    return found


def _measure(delivery: _Delivery, relation: str, measures: dict[str, str]) -> dict[str, Any]:
    selected = ", ".join(f"{measure} as {quote(name)}" for name, measure in measures.items())
    row = delivery.con.execute(f"select {selected} from {relation}").fetchall()[0]
    return dict(zip(measures, row, strict=True))


def _problems(delivery: _Delivery, fallible: list[Column]) -> dict[str, str]:
    """What may be wrong with a row, each as a SQL predicate over the typed relation."""
    problems = {}
    for column in fallible:
        name, raw = quote(column.name), quote("_raw_" + column.name)
        problems[f"bad {column.name}"] = f"({raw} is not null and {name} is null)"
    for column in delivery.table.columns:
        if column.is_required:
            problems[f"null {column.name}"] = f"{quote(column.name)} is null"
        if column.vocabulary and delivery.has(column.name):
            problems[f"unknown {column.name}"] = _unknown_word(column)
    return problems | rule_predicates(delivery.table)


def _unknown_word(column: Column) -> str:
    raw = f"lower(trim(cast({quote('_raw_' + column.name)} as varchar)))"
    words = ", ".join(text_literal(word) for word in (*column.vocabulary, "other", ""))
    return f"{raw} not in ({words})"


def _check_values(
    delivery: _Delivery, relation: str, found: dict[str, Any], fallible: list[Column], announced: int | None
) -> None:
    if announced is not None and announced != found["_rows"]:
        raise delivery.refuse(
            f"{found['_rows']:,} rows arrived where the source announced {announced:,}; deliver the file again."
        )
    for name, expected in (
        ("_system", delivery.extract.source_system),
        ("_instance", delivery.extract.source_instance),
    ):
        if found[name] is not None:
            raise delivery.refuse(
                f"column source{name} says {told(found[name])} where the load is of {expected!r}; "
                "load each system and instance on its own."
            )
    wrong = []
    for column in fallible:
        if found.get(f"bad {column.name}"):
            given = given_expression(column, delivery.schema.field(column.name).type)
            place, value = delivery.first_row(
                column.name, f"{given} is not null and ({delivery.typed(column)}) is null"
            )
            wrong.append(
                f"column {column.name}, {place}: {told(value)} is not {wanted(column)}"
                f"{hint(column, value)} ({found[f'bad {column.name}']:,} such rows)."
            )
    for column in delivery.table.columns:
        empty = found.get(f"null {column.name}", 0)
        if empty and not found.get(f"bad {column.name}"):
            place, _ = delivery.first_row(column.name, f"({delivery.typed(column)}) is null")
            wrong.append(
                f"column {column.name} is empty on {empty:,} of {found['_rows']:,} rows, first at {place}; "
                f"the contract requires {wanted(column)} there."
            )
    if wrong:
        raise delivery.refuse(*wrong)
    if sentence := broken_rule(delivery.con, delivery.table, relation, found):
        raise delivery.refuse(sentence)


def _vocabulary_warnings(delivery: _Delivery, found: dict[str, Any]) -> list[str]:
    warnings = []
    for column in delivery.table.columns:
        count = found.get(f"unknown {column.name}", 0)
        if count:
            becomes = "other" if column.is_required or "other" in column.vocabulary else "null"
            near = closest(str(found[f"word {column.name}"]), column.vocabulary)
            hint = f", closest is {near!r}" if near else ""
            word = told(found[f"word {column.name}"], WORDS_OF_A_VOCABULARY)
            warnings.append(
                f"{delivery.where}: {count:,} rows of column {column.name} hold words the contract does not know, such "
                f"as {word} (it knows {', '.join(column.vocabulary)}{hint}); they became {becomes}."
            )
    return warnings


def _read_schema(path: Path, where: str) -> pa.Schema:
    def sentence(text: str) -> str:
        return f"{where}: file {path.name} {text}; deliver it again."

    if not path.is_file():
        raise LoadRefusedError(sentence("is not there"))
    if path.stat().st_size == 0:
        raise LoadRefusedError(sentence("has no bytes"))
    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise LoadRefusedError(sentence(f"is not a whole Parquet file ({first_line(error)})")) from error
