"""What the risk room speaks of: evidence, readings, fired signals, risks. Frozen, without a text or a person's name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

Side = Literal["risk", "expansion"]
Severity = Literal["low", "medium", "high", "critical"]
Direction = Literal["supports", "contradicts"]
EvidenceKind = Literal["measured", "reported", "inferred_from_absence", "model"]
Strength = Literal["low", "medium", "high"]
Pattern = Literal["sudden", "gradual", "renewal_near", "stakeholder", "escalation"]
BenignVerdict = Literal["fits", "does_not_fit", "unknown"]


@dataclass(frozen=True)
class Evidence:
    """One piece of evidence: a landed record and what was read from it, as known at `known_at`.

    Attributes
    ----------
    evidence_id : hash of account, week, subject, record, metric and direction
    subject : the signal, or the benign explanation, that it speaks of
    source_kind, source_system, source_instance, source_table, source_record_id, load_id : the landed record
    metric : a feature's name, or a phrase rule's
    value, baseline, threshold, gap : in the metric's unit; None where there is none, never 0 for it
    observed_at : when it happened, before `as_of_at`
    available_at : when it could first be known, at or before `known_at`
    age_days : whole days from `observed_at` to `as_of_at`
    kind : `inferred_from_absence` never confirms anything
    text_field, span_start, span_end : where a quote stands in the record; its words stay in the restricted store
    query_hash : hash of the compiled model that read it
    """

    evidence_id: str
    account_id: str
    week: date
    subject: str
    source_kind: str
    source_system: str
    source_instance: str
    source_table: str
    source_record_id: str
    load_id: str
    metric: str
    value: float | None
    baseline: float | None
    threshold: float | None
    gap: float | None
    observed_at: datetime
    available_at: datetime
    as_of_at: datetime
    known_at: datetime
    age_days: int
    direction: Direction
    kind: EvidenceKind
    strength: Strength
    text_field: str | None
    span_start: int | None
    span_end: int | None
    query_hash: str


@dataclass(frozen=True)
class Reading:
    """One comparison of a signal, met: the feature's value in the week against its threshold."""

    feature: str
    comparator: str
    threshold: float
    value: float
    baseline: float | None = None


@dataclass(frozen=True)
class BenignCheck:
    """A benign explanation that was looked for: season, migration, automation, late data."""

    explanation: str
    verdict: BenignVerdict
    evidence_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class FiredSignal:
    """A signal whose comparisons are all met in the week; `weeks_fired` in a row, from `first_fired_week` on."""

    signal_id: str
    category: str
    contribution: Severity
    patterns: tuple[Pattern, ...]
    readings: tuple[Reading, ...]
    evidence_ids: tuple[str, ...]
    against_ids: tuple[str, ...]
    benign: tuple[BenignCheck, ...]
    first_fired_week: date
    weeks_fired: int


@dataclass(frozen=True)
class Risk:
    """A risk of one account in one week: what fired together. A signal that fires again is an occurrence of it.

    One account has at most one open risk, and one open expansion, at a time: a person decides on an account's
    situation, and the categories in it are told apart inside the packet.

    Attributes
    ----------
    packet_id : hash of account, side and episode; the same over weeks
    episode : counts from 1; a new one opens when signals fire after the last one was closed by a person
    opened_week, last_fired_week : Mondays
    occurrences : weeks in which something fired
    is_quiet : nothing fired for the policy's number of weeks: proposed for closing, not closed
    signals : what fired in this week, the strongest first; empty in a week of silence
    evidence : every piece the signals and the benign explanations name, by evidence_id
    missing : domains that could not be read, and why; told first
    recent_signals : signals that fired within the policy's days, with the newest week of each: two medium ones of
        different categories among them outrank one high
    """

    packet_id: str
    account_id: str
    week: date
    as_of_at: datetime
    known_at: datetime
    side: Side
    episode: int
    opened_week: date
    last_fired_week: date
    occurrences: int
    is_quiet: bool
    signals: tuple[FiredSignal, ...]
    evidence: tuple[Evidence, ...]
    missing: tuple[tuple[str, str], ...] = field(default=())
    recent_signals: tuple[tuple[str, date], ...] = field(default=())
