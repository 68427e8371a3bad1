"""What the quarterly review asks of the segments: outcomes, strategies, new dimensions, and what serving costs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document
from health_pipeline.policy.features import feature

Outcome = Literal["churned", "contracted", "expanded"]
Scale = Literal["risk_difference", "log_odds"]


class StrategyOutcome(PolicyModel):
    """What a strategy is to bring about within 13 weeks; `by` is the least change of ARR that counts, as a share."""

    outcome: Outcome = "expanded"
    by: float = Field(default=0.0, ge=0, lt=1)


class StrategyPolicy(PolicyModel):
    """How strategies are judged. The scale is fixed here, before anybody looks: the two can disagree."""

    scale: Scale = "risk_difference"
    default: StrategyOutcome = StrategyOutcome()
    strategies: dict[str, StrategyOutcome] = Field(default_factory=dict)
    # Known before the assignment; what is adjusted for where nobody randomised.
    covariates: tuple[str, ...] = Field(min_length=1)
    significance: float = Field(default=0.05, gt=0, lt=0.5)

    @field_validator("covariates")
    @classmethod
    def _covariates_are_features(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            feature(name)
        return names

    def outcome_of(self, strategy: str) -> StrategyOutcome:
        """What is looked at for that strategy."""
        return self.strategies.get(strategy, self.default)


class CostPolicy(PolicyModel):
    """Hours and rates behind the cost to serve, in the reporting currency."""

    support_hours_per_ticket: float = Field(ge=0)
    csm_hours_per_meeting: float = Field(ge=0)
    support_rate_per_hour: float = Field(ge=0)
    csm_rate_per_hour: float = Field(ge=0)
    gross_margin: float = Field(ge=0, le=1)
    # Hours of one treatment; a strategy that is not named takes `default_hours`.
    strategy_hours: dict[str, float] = Field(default_factory=dict)
    default_hours: float = Field(default=4.0, ge=0)

    def hours_of(self, strategy: str) -> float:
        """CSM hours of one treatment by that strategy."""
        return self.strategy_hours.get(strategy, self.default_hours)


class SegmentReviewPolicy(PolicyModel):
    """The whole document. See `documents/segment_review.yaml` for what each key does."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    bootstrap_resamples: int = Field(default=2000, ge=200)
    cross_validation_folds: int = Field(default=5, ge=2)
    cross_validation_repeats: int = Field(default=10, ge=2)
    seed: int = Field(default=7, ge=0)
    individual_features: tuple[str, ...] = Field(min_length=1)
    new_dimensions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    strategies: StrategyPolicy
    cost: CostPolicy

    @model_validator(mode="after")
    def _features_are_known(self) -> SegmentReviewPolicy:
        for name in self.individual_features:
            feature(name)
        for dimension, names in self.new_dimensions.items():
            if not names:
                raise ValueError(f"the new dimension {dimension} names no feature")
            for name in names:
                feature(name)
        return self


def load_segment_review(folder: Path | None) -> Document[SegmentReviewPolicy]:
    """Read `segment_review.yaml`; PolicyError says in one sentence what can't be used."""
    return load_document(folder, "segment_review", SegmentReviewPolicy)
