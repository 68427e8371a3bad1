"""Which landed texts were not read yet, and what was read in them: rows of the landing tables of the kind `text`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee

import duckdb
import pyarrow as pa

from health_pipeline.contract.landing import landing_tables, schema_of
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.records import LoadRecord
from health_pipeline.text.readers import Readers
from health_pipeline.text.reading import Reading

# Records taken into memory at once.
BATCH_ROWS = 20_000


@dataclass(frozen=True)
class TextTable:
    """A landing table with texts of, or about, customers.

    Attributes
    ----------
    fields : the text columns; the last one is what a record mainly says
    only : SQL, which rows are read
    """

    record_id: str
    occurred_at: str
    fields: tuple[str, ...]
    only: str = "true"


TEXT_TABLES: dict[str, TextTable] = {
    "support_ticket": TextTable("ticket_id", "created_at", ("subject", "body")),
    # what our own desk writes, and what customers do not see, is no word of theirs
    "support_message": TextTable("message_id", "sent_at", ("body",), "author_kind = 'customer' and is_public"),
    "survey_response": TextTable("response_id", "responded_at", ("comment",)),
    "cs_note": TextTable("note_id", "occurred_at", ("subject", "body")),
}
_READING, _PHRASE = "text_reading", "text_phrase"


@dataclass(frozen=True)
class ReadLoad:
    """What was read in a load: what is to be landed at the load's own `loaded_at`, and how much it is."""

    extract: Extract
    records: int
    phrases: int


def reading_instance(record: LoadRecord, rule_version: str) -> str:
    """Return the `source_instance` of the readings of a system: one stream for each system and version of the rules.

    Loads of a stream come in the order in which the system's own loads came, so that history grows at its end only.
    """
    named = hashlib.sha256(f"{record.source_instance}|{rule_version}".encode()).hexdigest()[:12]
    return f"{record.source_kind}-{named}"


def has_texts(record: LoadRecord) -> bool:
    """Say whether a load brought rows of a table that holds texts."""
    return any(table.table in TEXT_TABLES and table.rows for table in record.tables)


def unread_loads(loads: Sequence[LoadRecord], rule_version: str) -> list[LoadRecord]:
    """Return the committed loads with texts that this version of the rules did not read yet, in their order."""
    read = {(load.source_system, load.source_instance, load.loaded_at) for load in loads if load.source_kind == "text"}
    return [
        load
        for load in loads
        if has_texts(load) and (load.source_system, reading_instance(load, rule_version), load.loaded_at) not in read
    ]


class StreamReader:
    """Reads the loads of one system in their order; of records delivered again only those whose words changed.

    Parameters
    ----------
    connection : an in-memory DuckDB; a table of it remembers what was read
    before : paths of the readings that were landed of this stream, in their order
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, before: Sequence[str]) -> None:
        self._connection = connection
        select = (
            "select record_table, record_id, arg_max(record_digest, load_sequence) as record_digest "
            "from read_parquet(?) group by all"
            if before
            else "select '' as record_table, '' as record_id, '' as record_digest where false"
        )
        connection.execute(f"create or replace temp table already_read as {select}", [list(before)] if before else None)

    def extract(self, record: LoadRecord, paths: Mapping[str, str], readers: Readers, rule_version: str) -> ReadLoad:
        """Read a load's texts.

        Parameters
        ----------
        record : the load
        paths : of its landed tables, by name
        readers : of that version of the rules
        """
        readings = [_schema(_READING).empty_table()]
        phrases = [_schema(_PHRASE).empty_table()]
        for table, path in paths.items():
            # read twice, a batch after the other: for its words, and beside what was found for the rest
            mine, words = tee(self._changed(table, path))
            fields = TEXT_TABLES[table].fields
            texts = (list(zip(*(batch[field].to_pylist() for field in fields), strict=True)) for batch in words)
            for batch, found in zip(mine, readers.read(texts, record.rows), strict=True):
                named = _names(record, table, rule_version)
                readings.append(_readings(named, batch, found))
                phrases.append(_phrases(named, batch, found, fields))
        read, said = pa.concat_tables(readings), pa.concat_tables(phrases)
        self._remember(read)
        extract = Extract(
            source_kind="text",
            source_system=record.source_system,
            mode="incremental",
            tables=(TableExtract(_READING, read), TableExtract(_PHRASE, said)),
            source_instance=reading_instance(record, rule_version),
        )
        return ReadLoad(extract, read.num_rows, said.num_rows)

    def _changed(self, name: str, path: str) -> Iterator[pa.RecordBatch]:
        """Records whose words are others than those read before; those without a word only where they had some."""
        table = TEXT_TABLES[name]
        known_from = "attributes_available_at" if landing_tables()[name].is_mutable else "available_at"
        # the words of a deleted record are not read, whether or not they are delivered with the deletion
        words = [f"case when is_gone then null else nullif(trim({field}), '') end" for field in table.fields]
        joined = ", chr(31), ".join(f"coalesce({field}, '')" for field in words)
        main = f"coalesce({', '.join(reversed(words))}, '')"
        query = f"""
            with landed as (
                select *, coalesce(is_deleted, false) as is_gone from read_parquet(?) where {table.only}
            ), digested as (
                select
                    cast({table.record_id} as varchar) as record_id,
                    {table.occurred_at} as occurred_at,
                    {known_from} as text_available_at,
                    is_gone as is_deleted,
                    {", ".join(f"case when is_gone then null else {field} end as {field}" for field in table.fields)},
                    {" + ".join(f"coalesce(length({field}), 0)" for field in words)} as characters,
                    md5(concat({joined}, is_gone)) as record_digest,
                    md5({main}) as text_digest
                from landed
            )
            select digested.* from digested
            left join already_read
                on already_read.record_table = '{name}' and digested.record_id = already_read.record_id
            where digested.record_digest is distinct from already_read.record_digest
                and (digested.characters > 0 or already_read.record_id is not null)
            order by digested.record_id
        """
        yield from self._connection.execute(query, [path]).to_arrow_reader(BATCH_ROWS)

    def _remember(self, readings: pa.Table) -> None:
        self._connection.register("fresh_readings", readings)
        self._connection.execute(
            "delete from already_read where exists (select 1 from fresh_readings as fresh "
            "where fresh.record_table = already_read.record_table and fresh.record_id = already_read.record_id)"
        )
        self._connection.execute(
            "insert into already_read select record_table, record_id, record_digest from fresh_readings"
        )
        self._connection.unregister("fresh_readings")


def _names(record: LoadRecord, table: str, rule_version: str) -> dict[str, str]:
    return {
        "record_table": table,
        "record_kind": record.source_kind,
        "record_system": record.source_system,
        "record_instance": record.source_instance,
        "record_load_id": record.load_id,
        "rule_version": rule_version,
    }


def _readings(named: Mapping[str, str], batch: pa.RecordBatch, found: Sequence[Reading]) -> pa.Table:
    schema = _schema(_READING)
    columns = {
        **{name: pa.repeat(value, batch.num_rows) for name, value in named.items()},
        **{name: batch[name] for name in batch.schema.names if name in schema.names},
        "language": [reading.language for reading in found],
        "sentiment": [reading.sentiment for reading in found],
        "is_scored": [reading.sentiment is not None for reading in found],
    }
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def _phrases(
    named: Mapping[str, str], batch: pa.RecordBatch, found: Sequence[Reading], fields: Sequence[str]
) -> pa.Table:
    moments, ids = batch["occurred_at"].to_pylist(), batch["record_id"].to_pylist()
    rows = [
        {
            **named,
            "record_id": ids[place],
            "occurred_at": moments[place],
            "record_field": field,
            "rule_id": finding.rule_id,
            "span_start": finding.start,
            "span_end": finding.end,
            "category": finding.category,
            "is_negated": finding.is_negated,
            "language": finding.language,
        }
        for place, reading in enumerate(found)
        for field, phrases in zip(fields, reading.phrases, strict=True)
        for finding in phrases
    ]
    return pa.Table.from_pylist(rows, schema=_schema(_PHRASE))


def _schema(name: str) -> pa.Schema:
    own = schema_of(landing_tables()[name].columns)
    return own.append(pa.field("is_deleted", pa.bool_())) if name == _READING else own
