"""Landed `source_account` rows as a short list of changes in the order in which they could be known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from health_pipeline.contract.landing import SOURCE_KINDS
from health_pipeline.identity.landed_rows import Loads, rows_that_matter
from health_pipeline.identity.names import normalise_domain

# The kinds a record can become an account by, the strongest first.
ANCHOR_KINDS = ("crm", "billing", "cs", "support")
KIND_RANK = {
    kind: rank for rank, kind in enumerate((*ANCHOR_KINDS, *(k for k in SOURCE_KINDS if k not in ANCHOR_KINDS)))
}
# A company is not set up in one load: historical loads made this long after the first count from the start.
SETUP = timedelta(days=7)
ALWAYS = datetime(1, 1, 1)  # noqa: DTZ001 - naive means UTC by contract

NEVER = datetime(9999, 1, 1)  # noqa: DTZ001

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


def read_changes(source_accounts: pa.Table, loads: pa.Table, first_known_at: datetime | None = None) -> Changes:
    """Reduce landed rows to changes; a record repeated unchanged by each complete extract gives one.

    Parameters
    ----------
    source_accounts : landed rows of `source_account`, at least the columns `ROW_COLUMNS`
    loads : the manifest, at least the columns `LOAD_COLUMNS`; only its rows about `source_account` are read
    first_known_at : the first week's `known_at` after the first load, naive UTC. Sources first connected
        until then by an incremental load count as connected together: the order of loads decides nothing.
    """
    own = [row for row in loads.select(list(LOAD_COLUMNS)).to_pylist() if row["table_name"] == "source_account"]
    sources = _sources(own, first_known_at)
    number = {(source.kind, source.system, source.instance): place for place, source in enumerate(sources)}
    for row in own:
        row["source"] = number[row["source_kind"], row["source_system"], row["source_instance"]]
    changes = list(_changes(source_accounts, own)) if own and source_accounts.num_rows else []
    late = {
        place: source.connected_at
        for place, source in enumerate(sources)
        if source.kind in ANCHOR_KINDS and source.connected_at != ALWAYS
    }
    if late:
        changes = [_not_before(change, late.get(change.source)) for change in changes]
    changes.sort(key=lambda change: (change.at, change.sequence, change.source, change.record_id))
    return Changes(sources, tuple(_that_say_something_new(changes)))


def _that_say_something_new(changes: Iterable[Change]) -> Iterable[Change]:
    """Leave out what a record's changes before say already.

    A record that is missing from a complete extract comes with all its rows: most repeat what the row before said.
    """
    said: dict[tuple[int, str], tuple[bool, Attributes | None]] = {}
    for change in changes:
        record = (change.source, change.record_id)
        before = said.get(record)
        attributes = change.attributes or (before[1] if before else None)
        is_there = not (change.is_gone or (change.attributes is not None and change.attributes.is_deleted))
        if before != (is_there, attributes):
            said[record] = (is_there, attributes)
            yield change


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
        # a source that never delivered a record is connected to nothing: it must not keep others from making accounts
        filled = [load for load in made if load["rows"]]
        first = min((load["loaded_at"] for load in filled), default=NEVER)
        in_setup = any(load["mode"] == "historical" and load["loaded_at"] < min(historical) + SETUP for load in filled)
        together = first_known_at is not None and first <= first_known_at
        sources.append(Source(kind, system, instance, ALWAYS if in_setup or together else first))
    return tuple(sorted(sources, key=lambda source: (KIND_RANK[source.kind], source.system, source.instance)))


def _changes(source_accounts: pa.Table, loads: Sequence[dict[str, Any]]) -> Iterable[Change]:
    compact = Loads(
        sequence=np.array([load["load_sequence"] for load in loads], dtype=np.int64),
        source=np.array([load["source"] for load in loads], dtype=np.int64),
        is_complete=np.array([bool(load["is_complete"]) for load in loads], dtype=bool),
    )
    made = {load["load_sequence"]: (load["source"], load["loaded_at"]) for load in loads}
    complete: dict[int, list[tuple[int, datetime]]] = defaultdict(list)
    for load in loads:
        if load["is_complete"]:
            complete[load["source"]].append((load["load_sequence"], load["loaded_at"]))
    kept = rows_that_matter(source_accounts, compact)
    columns = source_accounts.select(list(ROW_COLUMNS)).take(pa.array(kept.places))
    rows = list(zip(*(columns[name].to_pylist() for name in ROW_COLUMNS), strict=True))
    known_at = kept.known_at.astype("datetime64[us]").tolist()
    for start, end, comes_and_goes in zip(
        kept.starts.tolist(), [*kept.starts.tolist()[1:], len(rows)], kept.comes_and_goes.tolist(), strict=True
    ):
        source = made[rows[start][_SEQUENCE]][0]
        gaps = complete[source] if comes_and_goes else []
        yield from _of_one_record(source, known_at[start], rows[start:end], gaps, made)


_SEQUENCE = ROW_COLUMNS.index("load_sequence")


def _of_one_record(
    source: int,
    known_at: datetime,
    rows: Sequence[tuple[Any, ...]],
    complete: Sequence[tuple[int, datetime]],
    made: Mapping[int, tuple[int, datetime]],
) -> Iterable[Change]:
    """Yield one record's changes; `complete` are the extracts it may be missing from, its rows are in time order."""
    record_id = rows[0][0]
    sequences = {row[_SEQUENCE] for row in rows}
    first = min(sequences)
    gone = [(sequence, at) for sequence, at in complete if sequence > first and sequence not in sequences]
    if known_at < min(row[-1] for row in rows):
        yield Change(known_at, first, source, record_id)
    for _, name, domain, website, external_id, _, is_deleted, sequence, _, attributes_at in rows:
        external = external_id.strip() if external_id else None
        attributes = Attributes(
            external or None, normalise_domain(domain) or normalise_domain(website), name, bool(is_deleted)
        )
        yield Change(attributes_at, sequence, source, record_id, attributes)
        # an older state, delivered after the record had gone: it is there again from that load on
        is_back = any(earlier < sequence for earlier, _ in gone)
        if is_back and attributes_at < made[sequence][1] and not is_deleted:
            yield Change(made[sequence][1], sequence, source, record_id)
    for sequence, at in gone:
        yield Change(at, sequence, source, record_id, is_gone=True)
