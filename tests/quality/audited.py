"""What the quality tests audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from health_pipeline.contract.clocks import Week
from health_pipeline.publication.candidate import Candidate


@dataclass(frozen=True)
class Audited:
    """A candidate as a weekly run builds it, with a quarter in its base."""

    candidate: Candidate
    weeks: tuple[Week, ...]
    quarters: tuple[date, ...]

    @property
    def restricted(self) -> Path:
        """The store that holds the bodies of its packets; the candidate is <home>/scratch/candidates/<candidate>."""
        return self.candidate.folder.parents[2] / "restricted"
