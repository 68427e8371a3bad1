"""The validation's policy: how many events a figure needs, its intervals, lead times, how a challenger is fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document

Pull = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ChallengerPolicy(PolicyModel):
    """How weights are learnt: what is kept for the comparison, how far they may go from the policy in force."""

    test_weeks: int = Field(ge=1)
    minimum_fit_events: int = Field(ge=5)
    pulls: tuple[Pull, ...] = Field(min_length=1)
    largest_multiple: float = Field(gt=1, le=100)


class ValidationPolicy(PolicyModel):
    """The whole document. See `documents/validation.yaml` for what each key does."""

    confidence: float = Field(gt=0.5, lt=1)
    minimum_events: int = Field(ge=5)
    resamples: int = Field(ge=100)
    seed: int = Field(ge=0)
    top_share: float = Field(gt=0, lt=1)
    lead_lookback_weeks: int = Field(ge=1)
    lead_weeks: tuple[int, ...] = Field(min_length=1)
    challenger: ChallengerPolicy

    @field_validator("lead_weeks")
    @classmethod
    def _weeks_rise(cls, weeks: tuple[int, ...]) -> tuple[int, ...]:
        if list(weeks) != sorted(set(weeks)) or weeks[0] < 0:
            raise ValueError(f"lead_weeks must rise from 0 or more, each once; it says {list(weeks)}")
        return weeks


def load_validation(folder: Path | None) -> Document[ValidationPolicy]:
    """Read `validation.yaml`; PolicyError says in one sentence what can't be used."""
    return load_document(folder, "validation", ValidationPolicy)
