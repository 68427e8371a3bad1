"""How much signals weigh together: two medium ones of different categories outrank one high, and a critical all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from health_pipeline.risk.model import FiredSignal, Severity

LEVELS: tuple[Severity, ...] = ("low", "medium", "high", "critical")
# Of one category only the strongest counts. 3 + 3 is more than 5, 3 + 1 is less, and lows alone never reach a medium.
POINTS: dict[Severity, float] = {"low": 1, "medium": 3, "high": 5, "critical": 100}
MOST_OF_LOWS = 2.0


class Weighed(NamedTuple):
    """What signals weigh, to be compared as a tuple: the strongest one's level, and the points of all categories."""

    points: float
    strongest: Severity | None


def weigh(contributions: Iterable[tuple[str, Severity]]) -> Weighed:
    """Weigh signals given as category and contribution; the strongest of each category counts.

    Examples
    --------
    >>> weigh([("support", "medium"), ("adoption", "medium")]) > weigh([("support", "high")])
    True
    >>> weigh([("support", "medium"), ("support", "medium")]) > weigh([("support", "high")])
    False
    """
    strongest: dict[str, Severity] = {}
    for category, contribution in contributions:
        if category not in strongest or LEVELS.index(contribution) > LEVELS.index(strongest[category]):
            strongest[category] = contribution
    if not strongest:
        return Weighed(0.0, None)
    lows = sum(POINTS[level] for level in strongest.values() if level == "low")
    others = sum(POINTS[level] for level in strongest.values() if level != "low")
    of_lows = min(lows, MOST_OF_LOWS) * (0.25 if others else 1)
    return Weighed(others + of_lows, max(strongest.values(), key=LEVELS.index))


def ranked_categories(signals: Sequence[FiredSignal]) -> tuple[str, ...]:
    """The categories of fired signals: the one with the most points first, then the longest fired, then by name."""
    points: dict[str, float] = defaultdict(float)
    weeks: dict[str, int] = defaultdict(int)
    for signal in signals:
        points[signal.category] += POINTS[signal.contribution]
        weeks[signal.category] = max(weeks[signal.category], signal.weeks_fired)
    return tuple(sorted(points, key=lambda category: (-points[category], -weeks[category], category)))


def strongest_first(signals: Iterable[FiredSignal]) -> tuple[FiredSignal, ...]:
    """Signals in order: by contribution, then the longest fired, then by id."""
    return tuple(sorted(signals, key=lambda one: (-LEVELS.index(one.contribution), -one.weeks_fired, one.signal_id)))
