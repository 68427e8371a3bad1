"""Landed `source_account` rows as a short list of changes in the order in which they could be known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from health_pipeline.contract.landing import SOURCE_KINDS
from health_pipeline.identity.names import normalise_domain

# The kinds a record can become an account by, the strongest first.
ANCHOR_KINDS = ("crm", "billing", "cs", "support")
KIND_RANK = {
    kind: rank
    for rank, kind in enumerate((*ANCHOR_KINDS, *(k for k in SOURCE_KINDS if k not in ANCHOR_KINDS)))
}
# A company is not set up in one load: historical loads made this long after the first count from the start.
SETUP = timedelta(days=7)
ALWAYS = datetime(1, 1, 1)  # noqa: DTZ001 - naive means UTC by contract

ROW_COLUMNS = (
    "source_account_id", "name", "domain", "website", "external_account_id", "source_updated_at",
    "is_deleted", "load_sequence", "available_at", "attributes_available_at",
)  # fmt: skip
LOAD_COLUMNS = (
    "load_sequence", "source_kind", "source_system", "source_instance", "mode", "table_name", "rows",
    "is_complete", "loaded_at",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One system of one kind, and since when its records count towards identity."""

    kind: str
    system: str
    instance: str
    connected_at: datetime


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a record says about which account it is; the domain normalised."""

    external_id: str | None
    domain: str | None
    name: str | None
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Something that became known about a record: that it exists, what it says, or that it is gone.

    `attributes` is None where all that is known is that the record is there; `is_gone` where a complete
    extract no longer holds it.
    """

    at: datetime
    sequence: int
    source: int
    record_id: str
    attributes: Attributes | None = None
    is_gone: bool = False


@dataclass(frozen=True)
class Changes:
    """The sources, strongest kind first, and the changes of their records in time order."""

    sources: tuple[Source, ...]
    changes: tuple[Change, ...]


def read_changes(
    source_accounts: pa.Table, loads: pa.Table, first_known_at: datetime | None = None
) -> Changes:
    """Reduce landed rows to changes; a record repeated unchanged by each complete extract gives one.

    Parameters
    ----------
    source_accounts : landed rows of `source_account`, at least the columns `ROW_COLUMNS`
    loads : the manifest, at least the columns `LOAD_COLUMNS`; only its rows about `source_account` are read
    first_known_at : the first week's `known_at` after the first load, naive UTC. Sources first connected
        until then by an incremental load count as connected together: the order of loads decides nothing.
    """
    own = [
        row for row in loads.select(list(LOAD_COLUMNS)).to_pylist() if row["table_name"] == "source_account"
    ]
    sources = _sources(own, first_known_at)
    number = {(source.kind, source.system, source.instance): place for place, source in enumerate(sources)}
    for row in own:
        row["source"] = number[row["source_kind"], row["source_system"], row["source_instance"]]
    changes: list[Change] = []
    if source_accounts.num_rows:
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            _register(connection, source_accounts, own)
            changes += _of_steady_records(connection)
            changes += _of_changing_records(connection, own)
    late = {
        place: source.connected_at
        for place, source in enumerate(sources)
        if source.kind in ANCHOR_KINDS and source.connected_at != ALWAYS
    }
    if late:
        changes = [_not_before(change, late.get(change.source)) for change in changes]
    changes.sort(key=lambda change: (change.at, change.sequence, change.source, change.record_id))
    return Changes(sources, tuple(changes))


def _not_before(change: Change, at: datetime | None) -> Change:
    if at is None or change.at >= at:
        return change
    return Change(at, change.sequence, change.source, change.record_id, change.attributes, change.is_gone)


def _sources(loads: Sequence[dict[str, Any]], first_known_at: datetime | None) -> tuple[Source, ...]:
    """Say since when each source counts.

    An account keeps its id for good, so an anchor source connected after the set-up must not mint into the
    past: its records count from the day it was connected. During the set-up no order of loads matters.
    """
    holding: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for load in loads:
        holding[load["source_kind"], load["source_system"], load["source_instance"]].append(load)
    historical = [load["loaded_at"] for load in loads if load["mode"] == "historical"]
    sources = []
    for (kind, system, instance), made in holding.items():
        filled = [load for load in made if load["rows"]] or made
        first = min(load["loaded_at"] for load in filled)
        in_setup = any(
            load["mode"] == "historical" and load["loaded_at"] < min(historical) + SETUP for load in filled
        )
        together = first_known_at is not None and first <= first_known_at
        sources.append(Source(kind, system, instance, ALWAYS if in_setup or together else first))
    return tuple(sorted(sources, key=lambda source: (KIND_RANK[source.kind], source.system, source.instance)))


def _register(
    connection: duckdb.DuckDBPyConnection, source_accounts: pa.Table, loads: Sequence[dict[str, Any]]
) -> None:
    connection.register(
        "load",
        pa.table(
            {
                "load_sequence": pa.array([load["load_sequence"] for load in loads], pa.int64()),
                "source": pa.array([load["source"] for load in loads], pa.int32()),
                "is_complete": pa.array([load["is_complete"] for load in loads], pa.bool_()),
                "loaded_at": pa.array([load["loaded_at"] for load in loads], pa.timestamp("us")),
            }
        ),
    )
    connection.register("landed", source_accounts.select(list(ROW_COLUMNS)))
    # The hash stands for what identity reads of a record; most rows repeat it from load to load.
    connection.execute("""
        create temp table seen as
        select
            load.source, landed.source_account_id as record_id, landed.load_sequence, load.is_complete,
            load.loaded_at, landed.available_at, landed.attributes_available_at, landed.source_updated_at,
            landed.external_account_id, landed.name, coalesce(landed.is_deleted, false) as is_deleted,
            coalesce(nullif(trim(landed.domain), ''), landed.website) as domain,
            hash(
                landed.external_account_id, landed.domain, landed.website, landed.name,
                coalesce(landed.is_deleted, false)
            ) as content
        from landed inner join load on landed.load_sequence = load.load_sequence
    """)
    connection.execute("""
        create temp table record as
        select
            source, record_id, min(available_at) as known_at, min(attributes_available_at) as attributes_at,
            min(load_sequence) as first_sequence, min(content) = max(content) as is_same,
            count(distinct case when is_complete then load_sequence end) as complete_rows,
            any_value(external_account_id) as external_id, any_value(domain) as domain,
            any_value(name) as name, bool_and(is_deleted) as is_deleted
        from seen group by source, record_id
    """)
    connection.execute("""
        create temp table steady as
        select record.source, record.record_id
        from record
        left join load
            on record.source = load.source and load.is_complete
            and load.load_sequence >= record.first_sequence
        group by record.source, record.record_id, record.is_same, record.complete_rows
        having record.is_same and count(load.load_sequence) = record.complete_rows
    """)


def _attributes(
    external_id: str | None, domain: str | None, name: str | None, is_deleted: bool
) -> Attributes:
    external = external_id.strip() if external_id else None
    return Attributes(external or None, normalise_domain(domain), name, is_deleted)


def _of_steady_records(connection: duckdb.DuckDBPyConnection) -> Iterable[Change]:
    rows = connection.execute("""
        select
            source, record_id, known_at, attributes_at, first_sequence, external_id, domain, name, is_deleted
        from record semi join steady using (source, record_id)
    """).fetchall()
    for source, record_id, known_at, attributes_at, sequence, external_id, domain, name, is_deleted in rows:
        attributes = _attributes(external_id, domain, name, is_deleted)
        if known_at < attributes_at:
            yield Change(known_at, sequence, source, record_id)
        yield Change(attributes_at, sequence, source, record_id, attributes)


def _of_changing_records(
    connection: duckdb.DuckDBPyConnection, loads: Sequence[dict[str, Any]]
) -> Iterable[Change]:
    rows = connection.execute("""
        select
            source, record_id, load_sequence, loaded_at, available_at, attributes_available_at,
            external_account_id, domain, name, is_deleted, content
        from seen anti join steady using (source, record_id)
        order by
            source, record_id, attributes_available_at, load_sequence, source_updated_at nulls first, content
    """).fetchall()
    complete: dict[int, list[tuple[int, datetime]]] = defaultdict(list)
    for load in loads:
        if load["is_complete"]:
            complete[load["source"]].append((load["load_sequence"], load["loaded_at"]))
    start = 0
    while start < len(rows):
        end = start
        while end < len(rows) and rows[end][:2] == rows[start][:2]:
            end += 1
        yield from _of_one_record(rows[start:end], complete[rows[start][0]])
        start = end


def _of_one_record(
    rows: Sequence[tuple[Any, ...]], complete: Sequence[tuple[int, datetime]]
) -> Iterable[Change]:
    source, record_id = rows[0][:2]
    sequences = {row[2] for row in rows}
    first = min(sequences)
    gone = [(sequence, at) for sequence, at in complete if sequence > first and sequence not in sequences]
    yield Change(min(row[4] for row in rows), first, source, record_id)
    content = None
    for _, _, sequence, loaded_at, _, attributes_at, external_id, domain, name, is_deleted, hashed in rows:
        # where the record came and went, each time it was seen counts
        if hashed == content and not gone:
            continue
        content = hashed
        attributes = _attributes(external_id, domain, name, is_deleted)
        yield Change(attributes_at, sequence, source, record_id, attributes)
        if gone and attributes_at < loaded_at and not is_deleted:
            yield Change(loaded_at, sequence, source, record_id)
    for sequence, at in gone:
        yield Change(at, sequence, source, record_id, is_gone=True)
