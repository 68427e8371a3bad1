"""Finds the landed rows that say something new, among the millions that repeat the extract of the week before."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Loads:
    """The loads of `source_account` as parallel arrays: sequence, number of the source, completeness."""

    sequence: Integers
    source: Integers
    is_complete: Flags


@dataclass(frozen=True)
class Rows:
    """The rows that matter, record by record, each record's rows in the order in which its attributes became available.

    Attributes
    ----------
    places : (n,) positions in the landed table
    starts : (records,) where each record's rows start in `places`
    comes_and_goes : (records,) the record is missing from a complete extract made after it was first seen; all its
        rows are kept
    known_at : (n,) microseconds since 1970: when the row's record was first known, over all its rows
    """

    places: Integers
    starts: Integers
    comes_and_goes: Flags
    known_at: Integers


def rows_that_matter(landed: pa.Table, loads: Loads) -> Rows:
    """Leave out rows whose record says the same as before.

    Parameters
    ----------
    landed : rows of `source_account` as landed, in any order; rows of a load that `loads` does not name are left out
    loads : at least one load
    """
    by_sequence = np.argsort(loads.sequence)
    known_sequences = loads.sequence[by_sequence]
    sequence = landed["load_sequence"].to_numpy()
    load = np.searchsorted(known_sequences, sequence).clip(max=len(known_sequences) - 1)
    places = np.flatnonzero(known_sequences[load] == sequence)
    load = by_sequence[load[places]]
    # each record as one number; numbers compare faster than texts
    ids = landed["source_account_id"].combine_chunks().dictionary_encode()
    record = loads.source[load] * (len(ids.dictionary) + 1) + ids.indices.to_numpy()[places]
    attributes_at = _microseconds(landed, "attributes_available_at")[places]
    updated_at = _microseconds(landed, "source_updated_at")[places]
    content = _contents(landed)[places]
    # the last keys are the first to sort by; the content only makes the order total
    order = _order(record, attributes_at, loads.sequence[load], updated_at, content)
    places, load, record, content = places[order], load[order], record[order], content[order]
    if not len(places):
        nothing = np.array([], dtype=np.int64)
        return Rows(nothing, nothing, nothing.astype(bool), nothing)
    is_first = np.r_[True, record[1:] != record[:-1]]
    number = np.cumsum(is_first) - 1
    gaps = _comes_and_goes(number, load, loads)
    keep = is_first | np.r_[True, content[1:] != content[:-1]] | gaps[number]
    known_at = np.minimum.reduceat(_microseconds(landed, "available_at")[places], np.flatnonzero(is_first))
    return Rows(places[keep], np.flatnonzero(is_first[keep]), gaps, known_at[number[keep]])


def _microseconds(landed: pa.Table, name: str) -> Integers:
    earliest = pa.scalar(np.iinfo(np.int64).min + 1, pa.int64())
    values: Integers = landed[name].cast(pa.int64()).fill_null(earliest).to_numpy()
    return values


def _contents(landed: pa.Table) -> npt.NDArray[np.uint64]:
    """What identity reads of each row, as one number."""
    read = landed.select(["external_account_id", "domain", "website", "name", "is_deleted"])
    with duckdb.connect() as connection:
        connection.register("landed", read)
        hashed: npt.NDArray[np.uint64] = np.asarray(
            connection.execute(
                "select hash(external_account_id, domain, website, name, coalesce(is_deleted, false)) as content"
                " from landed"
            ).fetchnumpy()["content"]
        )
    return hashed


def _order(
    record: Integers, attributes_at: Integers, sequence: Integers, updated_at: Integers, content: npt.NDArray[np.uint64]
) -> Integers:
    in_load_order = np.arange(len(record))
    if np.any(np.diff(sequence) < 0):
        in_load_order = np.argsort(sequence, kind="stable")
    order = in_load_order[np.argsort(record[in_load_order], kind="stable")]
    # loads come in time order and hold a record once, as a rule; only what breaks the rule needs the full sort
    same = record[order][1:] == record[order][:-1]
    step = np.diff(attributes_at[order])
    if np.any(same & ((step < 0) | ((step == 0) & (np.diff(sequence[order]) == 0)))):
        return np.lexsort((content, updated_at, sequence, attributes_at, record))
    return order


def _comes_and_goes(number: Integers, load: Integers, loads: Loads) -> Flags:
    """Say of each record whether a complete extract of its source, made after it was first seen, does not hold it."""
    records = int(number[-1]) + 1
    first = np.full(records, np.iinfo(np.int64).max)
    np.minimum.at(first, number, loads.sequence[load])
    complete = loads.is_complete[load]
    # sorting and comparing neighbours: much faster here than numpy's hash-based unique
    pairs = np.sort(number[complete] * len(loads.sequence) + load[complete])
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    held = np.bincount(pairs // len(loads.sequence), minlength=records)
    source = np.zeros(records, dtype=np.int64)
    source[number] = loads.source[load]
    expected = np.zeros(records, dtype=np.int64)
    for of_source in np.unique(loads.source):
        made = np.sort(loads.sequence[(loads.source == of_source) & loads.is_complete])
        mine = source == of_source
        expected[mine] = len(made) - np.searchsorted(made, first[mine])
    return held < expected
