"""The review's policy: how long approvals hold, what is stale, what is material, what needs four eyes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import Field

from health_pipeline.policy.documents import Document, PolicyModel, load_document

Severity = Literal["critical", "high", "medium", "low"]


class ReviewPolicy(PolicyModel):
    """The whole document. See `documents/review.yaml` for what each key does."""

    approval_valid_days: int = Field(ge=1, le=366)
    acceptance_longest_days: int = Field(ge=1, le=366)
    evidence_stale_after_days: int = Field(ge=7)
    material_value: Decimal = Field(ge=0)
    four_eyes: tuple[Severity, ...]


def load_review(folder: Path | None) -> Document[ReviewPolicy]:
    """Read `review.yaml`; PolicyError says in one sentence what can't be used."""
    return load_document(folder, "review", ReviewPolicy)
