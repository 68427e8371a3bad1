"""Turns landed records into pieces of evidence of a signal: value, baseline, threshold, gap, age, kind, strength."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from health_pipeline.policy.record_sets import RECORD_SETS
from health_pipeline.policy.risk_signals import Observation
from health_pipeline.risk.model import Direction, Evidence, EvidenceKind, Reading, Strength
from health_pipeline.risk.signals import compare


@dataclass(frozen=True)
class LandedRecord:
    """A row of int_risk_evidence_weekly: a landed record of a set, as known in the week."""

    account_id: str
    week: date
    record_set: str
    source_kind: str
    source_system: str
    source_instance: str
    source_table: str
    source_record_id: str
    load_id: str
    value: float | None
    observed_at: datetime
    available_at: datetime
    as_of_at: datetime
    known_at: datetime
    text_field: str | None = None
    span_start: int | None = None
    span_end: int | None = None


@dataclass(frozen=True)
class Showing:
    """How records are shown: how many of a set at most, and the hash of the query that found them."""

    per_set: int
    query_hash: str


# By set of records, the most telling first.
RecordsBySet = Mapping[str, Sequence[LandedRecord]]


def evidence_id(account_id: str, week: date, subject: str, record: LandedRecord, metric: str, direction: str) -> str:
    """Hash of account, week, subject, record, its span of text, metric and direction: 32 hexadecimal digits."""
    parts = (
        account_id,
        week.isoformat(),
        subject,
        record.source_kind,
        record.source_system,
        record.source_instance,
        record.source_table,
        record.source_record_id,
        "" if record.span_start is None else f"{record.text_field} {record.span_start} {record.span_end}",
        metric,
        direction,
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def pieces(
    subject: str,
    observation: Observation,
    seen: Sequence[Reading],
    records: RecordsBySet,
    direction: Direction,
    showing: Showing,
) -> tuple[Evidence, ...]:
    """The evidence for an observation: the most telling records of each of its sets.

    Parameters
    ----------
    subject : the signal, counter evidence or benign explanation it speaks of
    seen : the observation's readings in the week
    records : the account's records of the week
    direction : whether they support the risk or contradict it

    Returns
    -------
    tuple of Evidence
        In the order of the sets; empty where none of them has a record. Before a silence only the last record tells,
        and a record whose own value does not meet the comparison is none of its evidence.
    """
    most = 1 if observation.is_absence else showing.per_set
    found = (
        _piece(subject, observation, seen, record, direction, showing.query_hash)
        for name in observation.evidence
        for record in [one for one in records.get(name, ()) if _shows(one, seen)][:most]
    )
    # a record may be in two of the sets: it is one piece
    return tuple({piece.evidence_id: piece for piece in found}.values())


def _shows(record: LandedRecord, seen: Sequence[Reading]) -> bool:
    """Whether the record's own value meets the comparison that it is in the unit of; one without shows the whole's."""
    unit = RECORD_SETS[record.record_set].value_of
    reading = next((reading for reading in seen if reading.feature == unit), None)
    if reading is None or record.value is None:
        return True
    return bool(compare(record.value, reading.comparator, reading.threshold))


def _piece(
    subject: str,
    observation: Observation,
    seen: Sequence[Reading],
    record: LandedRecord,
    direction: Direction,
    query_hash: str,
) -> Evidence:
    record_set = RECORD_SETS[record.record_set]
    reading = next((reading for reading in seen if reading.feature == record_set.value_of), seen[0])
    is_own = record_set.value_of == reading.feature and record.value is not None
    value = record.value if is_own else reading.value
    if value is not None:
        value += 0.0  # a minus before zero is none: a brief says 0, and its verifier would not find it
    kind: EvidenceKind = "inferred_from_absence" if observation.is_absence else record_set.kind
    strength: Strength = "low" if observation.is_absence else record_set.strength
    return Evidence(
        evidence_id=evidence_id(record.account_id, record.week, subject, record, reading.feature, direction),
        account_id=record.account_id,
        week=record.week,
        subject=subject,
        source_kind=record.source_kind,
        source_system=record.source_system,
        source_instance=record.source_instance,
        source_table=record.source_table,
        source_record_id=record.source_record_id,
        load_id=record.load_id,
        metric=reading.feature,
        value=value,
        baseline=reading.baseline,
        threshold=reading.threshold,
        gap=None if value is None else value - reading.threshold,
        observed_at=record.observed_at,
        available_at=record.available_at,
        as_of_at=record.as_of_at,
        known_at=record.known_at,
        age_days=(record.as_of_at - record.observed_at).days,
        direction=direction,
        kind=kind,
        strength=strength,
        text_field=record.text_field,
        span_start=record.span_start,
        span_end=record.span_end,
        query_hash=query_hash,
    )
