"""The page of an account drawn at random: what every signal read in that week, for who says what was missed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from health_pipeline.policy.features import KNOWN_STATUSES, feature
from health_pipeline.policy.risk_signals import EXPANSION, Comparison, RiskSignal, load_risk_signals
from health_pipeline.policy.wording import describe, readable
from health_pipeline.review.cases import Case
from health_pipeline.review.desk.published_packets import AccountWeek
from health_pipeline.review.desk.score_line import ScoreLine, score_line
from health_pipeline.review.desk.visits import Desk
from health_pipeline.review.forms import NO_SIGNAL
from health_pipeline.risk.phrasing import amount
from health_pipeline.risk.signals import compare

# How a line is said; what is equal is said by its value alone.
_COMPARED = {">=": "at least", ">": "above", "<=": "at most", "<": "below", "==": "", "!=": "other than"}
NEAREST = 8


@dataclass(frozen=True)
class SignalReading:
    """One comparison of a signal in the week.

    Attributes
    ----------
    is_met : None where the value was not known
    distance : from the value to its line, by the line: 0 where it is met, infinite where the value was not known
    """

    says: str
    line: str
    is_met: bool | None
    distance: float = 0.0


@dataclass(frozen=True)
class SignalRead:
    """A signal and what it read."""

    signal_id: str
    title: str
    category: str
    readings: tuple[SignalReading, ...]

    @property
    def distance(self) -> float:
        """How far it was from firing: by the comparison that was farthest from its line."""
        return max(one.distance for one in self.readings)


@dataclass(frozen=True)
class AuditView:
    """Everything the page says of an account drawn at random, apart from the forms.

    Attributes
    ----------
    is_published : False where the newest release does not have the account's week
    signals : those nearest to firing first
    drawn_of : how many accounts one drawn one stands for
    """

    account_name: str
    is_published: bool
    drawn_of: int
    weeks: tuple[AccountWeek, ...] = ()
    line: ScoreLine | None = None
    signals: tuple[SignalRead, ...] = ()


def audited_signals(desk: Desk) -> list[RiskSignal]:
    """The policy's signals of risks: what nobody flagged, none of these saw."""
    policy = load_risk_signals(desk.published.settings.policy).model
    return [one for one in policy.signals if one.category != EXPANSION]


def audit_view(desk: Desk, case: Case, signals: Sequence[RiskSignal]) -> AuditView:
    """What is shown of an account drawn at random; figures of its week alone, nothing that came later."""
    assert case.audit is not None
    name, stands_for = desk.published.name(case.account_id), round(1 / case.audit.inclusion_share)
    row = desk.published.features(case.account_id, case.week)
    weeks = tuple(one for one in desk.published.weeks(case.account_id) if one.week <= case.week)
    if row is None:
        return AuditView(name, False, stands_for, weeks, score_line(weeks))
    read = [_read(signal, row) for signal in signals]
    ordered = sorted(read, key=lambda one: (one.distance, one.category, one.signal_id))
    return AuditView(name, True, stands_for, weeks, score_line(weeks), tuple(ordered))


def signal_choices(signals: Sequence[RiskSignal]) -> tuple[tuple[str, str], ...]:
    """What may be named as the signal that should have fired: those of the policy, and that there is none for it."""
    known = tuple((one.id, f"{one.category.replace('_', ' ')}: {one.title}") for one in signals)
    return ((NO_SIGNAL, "none that we have"), *sorted(known, key=lambda one: one[1]))


def _read(signal: RiskSignal, row: Mapping[str, Any]) -> SignalRead:
    return SignalRead(
        signal.id, signal.title, signal.category, tuple(_reading(signal, one, row) for one in signal.when)
    )


def _reading(signal: RiskSignal, comparison: Comparison, row: Mapping[str, Any]) -> SignalReading:
    name, value = comparison.feature, row.get(comparison.feature)
    known = (*KNOWN_STATUSES, "stale") if signal.is_known_when_stale else KNOWN_STATUSES
    line = f"{_COMPARED[comparison.comparator]} {amount(name, comparison.threshold)}".strip()
    if value is None or row.get(feature(name).status_column) not in known:
        return SignalReading(f"{readable(name)} not known", line, None, math.inf)
    is_met = bool(compare(float(value), comparison.comparator, comparison.threshold))
    gap = abs(float(value) - comparison.threshold) / (abs(comparison.threshold) or 1.0)
    return SignalReading(describe(name, float(value)), line, is_met, 0.0 if is_met else gap)
