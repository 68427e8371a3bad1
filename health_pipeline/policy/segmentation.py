"""The segmentation's policy: dimensions and their features, transforms, how many segments there may be."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document
from health_pipeline.policy.features import feature

Transform = Literal["none", "log1p"]
# declared: each feature as `dimensions` says; the others: every feature so.
Tried = Literal["declared", "none", "log1p"]


class Dimension(PolicyModel):
    """Features that say the same kind of thing about an account; every dimension weighs the same."""

    features: dict[str, Transform] = Field(min_length=1)


class SegmentationPolicy(PolicyModel):
    """The whole document. See `documents/segmentation.yaml` for what each key does."""

    dimensions: dict[str, Dimension] = Field(min_length=1)
    revenue_dimension: str
    winsorise: tuple[float, float]
    minimum_accounts: int = Field(ge=10)
    minimum_coverage: float = Field(gt=0, le=1)
    minimum_known_share: float = Field(gt=0, le=1)
    minimum_segment_share: float = Field(gt=0, le=0.5)
    most_segments: int = Field(ge=1, le=15)
    # The library's default of one start makes quarters differ by optimiser noise.
    n_init: int = Field(ge=20)
    seed: int = Field(ge=0)
    gap_references: int = Field(ge=10)
    gap_n_init: int = Field(ge=1)
    gap_accounts: int = Field(ge=100)
    minimum_prediction_strength: float = Field(ge=0, le=1)
    prediction_splits: int = Field(ge=2)
    name_from: float = Field(gt=0)
    transforms_tried: tuple[Tried, ...] = ("declared", "none", "log1p")
    solutions_shown: int = Field(default=4, ge=1, le=8)
    minimum_jaccard: float = Field(default=0.75, ge=0, le=1)
    stability_resamples: int = Field(default=100, ge=2)
    stability_n_init: int = Field(default=5, ge=1)
    stability_accounts: int = Field(default=20_000, ge=100)

    @field_validator("transforms_tried")
    @classmethod
    def _declared_is_tried(cls, tried: tuple[Tried, ...]) -> tuple[Tried, ...]:
        if "declared" not in tried or len(set(tried)) < len(tried):
            raise ValueError("transforms_tried must hold declared, and each of none and log1p at most once")
        return tried

    @model_validator(mode="after")
    def _features_are_known_and_named_once(self) -> SegmentationPolicy:
        seen: dict[str, str] = {}
        for name, dimension in self.dimensions.items():
            for column in dimension.features:
                feature(column)
                if column in seen:
                    raise ValueError(f"{column} is in the dimensions {seen[column]} and {name}; keep one of them")
                seen[column] = name
        if self.revenue_dimension not in self.dimensions:
            raise ValueError(
                f"revenue_dimension is {self.revenue_dimension!r}; it must be one of {', '.join(self.dimensions)}"
            )
        return self

    @model_validator(mode="after")
    def _quantiles_are_ordered(self) -> SegmentationPolicy:
        low, high = self.winsorise
        if not 0 <= low < high <= 1:
            raise ValueError(f"winsorise must be [low, high] with 0 <= low < high <= 1, got [{low:g}, {high:g}]")
        return self

    def with_transform(self, tried: Tried) -> SegmentationPolicy:
        """The same policy with every feature transformed that way; itself where it is `declared`."""
        if tried == "declared":
            return self
        dimensions = {
            name: Dimension(features=dict.fromkeys(dimension.features, tried))
            for name, dimension in self.dimensions.items()
        }
        return self.model_copy(update={"dimensions": dimensions})

    @property
    def transforms(self) -> dict[str, tuple[str, Transform]]:
        """Dimension and transform by feature, in the document's order."""
        return {
            column: (name, transform)
            for name, dimension in self.dimensions.items()
            for column, transform in dimension.features.items()
        }


def load_segmentation(folder: Path | None) -> Document[SegmentationPolicy]:
    """Read `segmentation.yaml`; PolicyError says in one sentence what can't be used."""
    return load_document(folder, "segmentation", SegmentationPolicy)
