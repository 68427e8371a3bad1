"""The pilot of the risk review: start, length, sample, owner, thresholds; written down before it starts."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document

SAMPLES = {"all_high_risk": "all high-risk accounts", "top_25": "the first 25 accounts of the queue at its start"}


class PilotPolicy(PolicyModel):
    """The whole document. See `documents/pilot.yaml` for what each key does."""

    start: date | None = None
    owner: str | None = Field(default=None, min_length=3)
    days: int = Field(default=60, ge=14, le=366)
    sample: Literal["all_high_risk", "top_25"] = "all_high_risk"
    thresholds: dict[str, float] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_an_owner(self) -> PilotPolicy:
        if self.start is not None and self.owner is None:
            raise ValueError("a pilot that has a start has an owner; name the person who answers for it")
        if wrong := sorted(name for name, share in self.thresholds.items() if not 0 <= share <= 1):
            raise ValueError(f"the threshold of {', '.join(wrong)} is a share; write 0 to 1")
        return self

    @property
    def is_of_queue(self) -> bool:
        """Whether its sample is the first accounts of the queue, and not all that are at high risk."""
        return self.sample == "top_25"

    @property
    def end(self) -> date | None:
        """The first day after it."""
        return None if self.start is None else self.start + timedelta(days=self.days)


def load_pilot(folder: Path | None) -> Document[PilotPolicy]:
    """Read `pilot.yaml`; PolicyError where it can't be used."""
    return load_document(folder, "pilot", PilotPolicy)
