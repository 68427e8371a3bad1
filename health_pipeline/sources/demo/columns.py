"""Columns and record versions: numpy arrays become contract tables, and each version finds its load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.landing import ARROW_TYPES, SOURCE_COLUMNS, SourceKind, landing_tables, schema_of
from health_pipeline.sources.demo.calendar import END, NEVER, load_of
from health_pipeline.sources.extract import TableExtract

Values: TypeAlias = np.ndarray | pa.Array | pa.ChunkedArray | str | bool | int | float | None


def source_schema(table: str) -> pa.Schema:
    """The schema an extract of that table has: the contract's own columns, then the source columns."""
    return schema_of((*landing_tables()[table].columns, *SOURCE_COLUMNS))


def _as_array(values: Values, rows: int, kind: pa.DataType) -> pa.Array:
    if values is None:
        return pa.nulls(rows, kind)
    if isinstance(values, str | bool | int | float):
        return pa.repeat(pa.scalar(values, kind), rows)
    if isinstance(values, np.ndarray):
        return _from_numpy(values, kind)
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return array if array.type == kind else array.cast(kind)


def _from_numpy(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(kind):
        return money(values)
    nothing = np.isnan(values) if values.dtype.kind == "f" else None
    if pa.types.is_integer(kind) and nothing is not None:
        return pa.array(np.where(nothing, 0, values).astype(np.int64), mask=nothing)
    if values.dtype.kind == "M" and pa.types.is_date(kind):
        values = values.astype("datetime64[D]")
    array = pa.array(values, mask=nothing)
    return array if array.type == kind else array.cast(kind)


def contract_table(table: str, kind: SourceKind, rows: int, columns: Mapping[str, Values]) -> pa.Table:
    """A table with exactly the contract's own columns and the source columns; what is not given is null.

    Raises
    ------
    KeyError
        If a column is given that the contract does not have.
    """
    schema = source_schema(table)
    unknown = set(columns) - set(schema.names)
    if unknown:
        raise KeyError(f"{table} has no columns {sorted(unknown)}")
    given = {"source_system": f"demo_{kind}", "source_instance": "default", "is_deleted": False, **columns}
    return pa.table([_as_array(given.get(field.name), rows, field.type) for field in schema], schema=schema)


def money(amount: np.ndarray) -> pa.Array:
    """Amounts as decimal(18,2); NaN becomes null."""
    nothing = np.isnan(amount)
    return pa.array(np.where(nothing, 0.0, np.round(amount, 2)), mask=nothing).cast(ARROW_TYPES["decimal"])


def ids(prefix: str, numbers: np.ndarray, width: int = 6) -> pa.Array:
    """Record ids: the prefix and the number, padded with zeros."""
    digits = pc.utf8_lpad(pa.array(np.asarray(numbers, dtype=np.int64)).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")


def numbered(created_at: np.ndarray) -> np.ndarray:
    """Running numbers from 1 in order of creation, so that an id tells no more than when its record was made."""
    number = np.empty(len(created_at), dtype=np.int64)
    number[np.argsort(created_at, kind="stable")] = np.arange(len(created_at)) + 1
    return number


def pick(choices: Sequence[str | None] | pa.Array, codes: np.ndarray) -> pa.Array:
    """The choice each code stands for; a negative code gives null."""
    codes = np.asarray(codes, dtype=np.int64)
    indices = pa.array(np.maximum(codes, 0), mask=codes < 0)
    return (choices if isinstance(choices, pa.Array) else pa.array(choices, pa.string())).take(indices)


def joined(*parts: pa.Array | str) -> pa.Array:
    """Texts put together row by row; null where any part is null."""
    scalars = [pa.scalar(part) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*scalars, "")


def known_by(moment: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The moments that had passed at `at`; never where they lie after it."""
    return np.where(moment <= at, moment, NEVER)


def last_per_load(record: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Indices of the versions an extract shows: the newest of each record and load, in record order.

    Parameters
    ----------
    record : shape (versions,), the record each version belongs to
    at : shape (versions,), datetime64[us], when the version came to be; NaT and what lies after the end drop out
    """
    alive = np.flatnonzero(~np.isnat(at) & (at < END))
    order = alive[np.lexsort((at[alive], record[alive]))]
    load = load_of(at[order])
    same_as_next = (record[order][1:] == record[order][:-1]) & (load[1:] == load[:-1])
    return order[np.append(~same_as_next, np.ones(min(1, len(order)), dtype=bool))]


def versions_at(*moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Versions of records that change at given moments, the first of which creates them.

    Parameters
    ----------
    *moments : each of shape (records,), datetime64[us], NaT for never

    Returns
    -------
    record, at : shape (versions,) each; the newest version of each record and load
    """
    count = len(moments[0])
    at = np.concatenate(moments)
    record = np.tile(np.arange(count), len(moments))
    at = np.where(at >= moments[0][record], at, NEVER)
    kept = last_per_load(record, at)
    return record[kept], at[kept]


@dataclass(frozen=True)
class Deliveries:
    """One table's rows with the load that delivers each of them.

    A complete table (`until` given) is delivered whole each time: a row from its load on until another version takes
    its place or the record is gone. Any other table delivers a row once.
    """

    table: str
    rows: pa.Table
    load: np.ndarray
    until: np.ndarray | None = None

    def of_load(self, number: int) -> TableExtract:
        """What load `number` delivers of this table, records in the order of their ids' creation."""
        if self.until is None:
            data = self.rows.take(pa.array(np.flatnonzero(self.load == number)))
            return TableExtract(self.table, data)
        shown = (self.load <= number) & (number < self.until)
        data = self.rows.take(pa.array(np.flatnonzero(shown)))
        return TableExtract(self.table, data, is_complete=True, announced_rows=data.num_rows)


def complete(table: str, rows: pa.Table, record: np.ndarray, load: np.ndarray, gone: np.ndarray) -> Deliveries:
    """Deliveries of a table whose every extract is complete.

    Parameters
    ----------
    record : shape (versions,), sorted, as `versions_at` gives them
    load : shape (versions,), the load from which each version is shown
    gone : shape (versions,), the load from which the version's record is missing
    """
    until = np.full(len(record), np.iinfo(np.int64).max)
    replaced = record[1:] == record[:-1]
    until[:-1][replaced] = load[1:][replaced]
    return Deliveries(table, rows, load, np.minimum(until, gone))
