"""Counts of what people made of risks, and the share they refuted: the two reports on thresholds count alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from health_pipeline.policy.wording import percent
from health_pipeline.segmentation.methods.intervals import Interval, wilson

# Fewer decided risks than this say nothing about a threshold; their counts are shown, their share is not.
ENOUGH = 20


@dataclass(frozen=True)
class Judged:
    """Risks by what people made of them: confirmed, refuted, or not decided yet."""

    confirmed: int
    refuted: int
    undecided: int

    @classmethod
    def of(cls, statuses: Iterable[str | None]) -> Judged:
        """Count values of `risk_status`; others than confirmed, refuted and unconfirmed are left out."""
        found = Counter(statuses)
        return cls(found["confirmed"], found["refuted"], found["unconfirmed"])

    @property
    def decided(self) -> int:
        """Confirmed or refuted by a person."""
        return self.confirmed + self.refuted

    @property
    def refuted_share(self) -> Interval | None:
        """Of the decided ones, with Wilson's interval at 95 %; None where fewer than `ENOUGH` are decided."""
        return wilson(self.refuted, self.decided) if self.decided >= ENOUGH else None


def share_words(found: Interval | None) -> str:
    """Write a share with its interval, `5 % (1 % to 24 %)`."""
    if found is None:
        return "not enough decisions"
    return f"{percent(found.value)} ({percent(found.low)} to {percent(found.high)})"
