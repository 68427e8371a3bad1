"""How marketing, sales and customer success divide the customers: by rules on features, or by a source's column."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document
from health_pipeline.policy.features import Condition

# Text columns of account_features_weekly that hold a team's own word for an account.
SourceColumn = Literal["crm_segment", "lifecycle_stage"]


class TeamSegment(PolicyModel):
    """A team's segment: an account belongs to it when it meets every condition."""

    when: tuple[Condition, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_features(self) -> TeamSegment:
        if any(condition.feature is None for condition in self.when):
            raise ValueError("a team's segment is defined on features, not on groups of the score")
        return self


class Team(PolicyModel):
    """A team's definition: a column, or rules. Rules that overlap or leave accounts out are what the review reports.

    Attributes
    ----------
    reviewed_on : date
        When the team last looked at its definition.
    """

    owner_email: str = Field(min_length=3)
    reviewed_on: date
    column: SourceColumn | None = None
    segments: dict[str, TeamSegment] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_a_column_or_rules(self) -> Team:
        if (self.column is None) == (not self.segments):
            raise ValueError("a team names either a column or segments with rules, and not both")
        return self


class TeamSegmentsPolicy(PolicyModel):
    """All teams, and from when on a definition is stale."""

    stale_after_days: int = Field(default=365, ge=30)
    teams: dict[str, Team]


def load_team_segments(folder: Path | None) -> Document[TeamSegmentsPolicy]:
    """Read `team_segments.yaml`; PolicyError says in one sentence what can't be used."""
    return load_document(folder, "team_segments", TeamSegmentsPolicy)
