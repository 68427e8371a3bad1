"""Who adopted which segment model, from when on: append-only rows in the ledger database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Column, Connection, Date, DateTime, MetaData, String, Table, create_engine, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from health_pipeline.contract.clocks import Quarter, Week, naive_utc, week_of
from health_pipeline.contract.mart import mart_tables
from health_pipeline.segmentation.model import SegmentModel

FIRST_AUTOMATIC = "policy:first_automatic"

_metadata = MetaData()
segment_adoption = Table(
    "segment_adoption",
    _metadata,
    # One adoption of a model from a day on is one row, whoever asks how often: the key is made of the two.
    Column("adoption_id", String(64), primary_key=True),
    Column("segment_model_id", String(64), nullable=False),
    Column("quarter", Date, nullable=False),
    Column("effective_from", Date, nullable=False),
    Column("adopted_by", String(255), nullable=False),
    Column("reason", String(2000), nullable=False),
    Column("adopted_at", DateTime, nullable=False),
)


@dataclass(frozen=True)
class Adoption:
    """A person (or the policy) put a model in force from a Monday on. `adopted_at` is UTC."""

    segment_model_id: str
    quarter: date
    effective_from: date
    adopted_by: str
    reason: str
    adopted_at: datetime


def first_monday_after(moment: datetime) -> date:
    """The first Monday after an adoption, in UTC: a week that has begun keeps its segments."""
    return week_of(moment).shift(1).monday


def review_due_at(quarter: Quarter) -> datetime:
    """When a quarter's review is due, the 8th of the month after it: stands in for the adoption in a backfill."""
    end = quarter.next.first_day
    return datetime(end.year, end.month, 8, tzinfo=UTC)


def adopt(
    ledger_url: str,
    segment_model_id: str,
    quarter: date,
    effective_from: date,
    adopted_by: str,
    reason: str,
    adopted_at: datetime,
) -> Adoption:
    """Record an adoption; one of the same model from the same day is there already: nothing is added.

    Parameters
    ----------
    ledger_url : SQLAlchemy URL; the folder of a SQLite file is created
    segment_model_id, quarter : the model and the first day of the quarter it was fitted on
    effective_from : the first Monday it is in force
    adopted_by, reason : who, and why
    adopted_at : when, with its time zone

    Returns
    -------
    Adoption
        The one that counts: this one, or the one recorded before.

    Raises
    ------
    ValueError
        If effective_from is not a Monday, adopted_at has no time zone, or who or why is empty.
    """
    Week(effective_from)
    if adopted_at.tzinfo is None:
        raise ValueError(f"adopted_at {adopted_at} has no time zone; give it in UTC")
    if not adopted_by.strip() or not reason.strip():
        raise ValueError("an adoption names who adopted the model and why; neither may be empty")
    row = {
        "adoption_id": _adoption_id(segment_model_id, effective_from),
        "segment_model_id": segment_model_id,
        "quarter": quarter,
        "effective_from": effective_from,
        "adopted_by": adopted_by,
        "reason": reason,
        "adopted_at": naive_utc(adopted_at),
    }
    with _connected(ledger_url) as connection:
        _metadata.create_all(connection)
        known = select(segment_adoption).where(segment_adoption.c.adoption_id == row["adoption_id"])
        if connection.execute(known).first() is None:
            try:
                with connection.begin_nested():
                    connection.execute(segment_adoption.insert().values(**row))
            except IntegrityError:
                # Somebody else recorded the same adoption between the question and the answer.
                if connection.execute(known).first() is None:
                    raise
        return _adoption(connection.execute(known).one()._mapping)


def adopt_first(
    ledger_url: str,
    models: pa.Table,
    adoption: Literal["manual", "first_automatic"],
    adopted_at: datetime,
    not_before: date = date.min,
) -> Adoption | None:
    """Adopt the earliest quarter's model where the policy says so and nothing was ever adopted.

    Parameters
    ----------
    ledger_url : SQLAlchemy URL
    models : rows of segment_models
    adoption : the company's `segment_adoption`
    adopted_at : when, with its time zone; `review_due_at(quarter)` in a backfill
    not_before : the first Monday that is not published yet: a published week keeps its segments

    Returns
    -------
    Adoption or None
        None where a person has to adopt, a model is adopted already, or there is no model.
    """
    if adoption == "manual" or models.num_rows == 0 or adoptions(ledger_url):
        return None
    rows = recommended_models(models).select(["quarter", "segment_model_id"]).to_pylist()
    first = min(rows, key=lambda row: (row["quarter"], row["segment_model_id"]))
    return adopt(
        ledger_url,
        first["segment_model_id"],
        first["quarter"],
        max(first_monday_after(adopted_at), not_before),
        FIRST_AUTOMATIC,
        "first model; the policy adopts it without a person",
        adopted_at,
    )


def recommended_models(models: pa.Table) -> pa.Table:
    """Rows of segment_models that their quarter's review recommends; null counts: from before there were several."""
    return models.filter(pc.fill_null(models["is_recommended"], True))


def model_of_quarter(models: pa.Table, assignments: pa.Table) -> SegmentModel | None:
    """The model that put a quarter's accounts into segments; None where none did.

    A restated quarter has more than one model in the registry, so the assignments say which counts.

    Parameters
    ----------
    models : segment_models
    assignments : segment_assignments_quarterly of that quarter
    """
    ids = set(assignments["segment_model_id"].to_pylist()) - {None}
    rows = [row for row in models.to_pylist() if row["segment_model_id"] in ids]
    return SegmentModel.from_json(rows[0]["parameters"]) if rows else None


def adoptions(ledger_url: str) -> list[Adoption]:
    """Every adoption, by effective_from and then by when it was recorded; none where there is no ledger yet."""
    path = _sqlite_path(ledger_url)
    if path is not None and not path.exists():
        return []
    with _connected(ledger_url) as connection:
        if not inspect(connection).has_table(segment_adoption.name):
            return []
        order = (segment_adoption.c.effective_from, segment_adoption.c.adopted_at, segment_adoption.c.adoption_id)
        return [_adoption(row._mapping) for row in connection.execute(select(segment_adoption).order_by(*order))]


def models_with_adoptions(models: pa.Table, adopted: Iterable[Adoption]) -> pa.Table:
    """Put status and adoption on the registry's rows, by the ledger alone.

    The model with the newest `effective_from` is adopted, those adopted before it are retired, the others candidates. A
    model adopted twice is in force from the newer day on.

    Parameters
    ----------
    models : rows of segment_models
    adopted : as `adoptions` gives them

    Returns
    -------
    Table in the types of segment_models, ordered by quarter and model
    """
    newest: dict[str, Adoption] = {adoption.segment_model_id: adoption for adoption in adopted}
    known = set(models["segment_model_id"].to_pylist())
    in_registry = [adoption for adoption in newest.values() if adoption.segment_model_id in known]
    current = max(in_registry, key=lambda a: (a.effective_from, a.adopted_at), default=None)
    schema = mart_tables()["segment_models"].arrow_schema
    rows = []
    for row in models.select(schema.names).to_pylist():
        adoption = newest.get(row["segment_model_id"])
        row["status"] = "candidate" if adoption is None else "adopted" if adoption is current else "retired"
        row["effective_from"] = adoption.effective_from if adoption else None
        row["adopted_by"] = adoption.adopted_by if adoption else None
        row["adoption_reason"] = adoption.reason if adoption else None
        rows.append(row)
    table = pa.Table.from_pylist(rows, schema=schema)
    return table.take(pc.sort_indices(table, sort_keys=[("quarter", "ascending"), ("segment_model_id", "ascending")]))


@contextmanager
def _connected(ledger_url: str) -> Iterator[Connection]:
    path = _sqlite_path(ledger_url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(ledger_url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _sqlite_path(ledger_url: str) -> Path | None:
    url = make_url(ledger_url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def _adoption_id(segment_model_id: str, effective_from: date) -> str:
    return hashlib.sha256(f"{segment_model_id}|{effective_from}".encode()).hexdigest()


def _adoption(row: object) -> Adoption:
    values = dict(row)  # type: ignore[call-overload]
    del values["adoption_id"]
    return Adoption(**{**values, "adopted_at": values["adopted_at"].replace(tzinfo=UTC)})
