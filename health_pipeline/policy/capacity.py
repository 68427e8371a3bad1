"""Capacity: hours a week each owner has for the plan, and how tiers weigh in the order of the plan."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document
from health_pipeline.policy.playbooks import Tier


class CapacityPolicy(PolicyModel):
    """Hours per owner and week, the hours there are for accounts nobody owns, and the order of the plan.

    Attributes
    ----------
    hours_per_owner_week : float
        Hours of an owner that `owners` does not name.
    unowned_hours_per_week : float
        Hours for all accounts without an owner together; the leader's.
    owners : dict of str to float
        Hours per week by the owner's e-mail address (compared in lower case); 0 is an owner who is away.
    tier_weights : dict of tier to float
        Weight of a tier in the order of the plan: urgency = weight x (100 - score) / 100 x revenue.
    """

    hours_per_owner_week: float = Field(ge=0, le=60)
    unowned_hours_per_week: float = Field(ge=0, le=600)
    owners: dict[str, float] = Field(default_factory=dict)
    tier_weights: dict[Tier, float]

    @field_validator("owners")
    @classmethod
    def _hours_are_hours(cls, owners: dict[str, float]) -> dict[str, float]:
        for owner, hours in owners.items():
            if not 0 <= hours <= 60:
                raise ValueError(f"{owner} has {hours} hours a week; write 0 to 60")
        return {owner.strip().lower(): hours for owner, hours in owners.items()}

    @field_validator("tier_weights")
    @classmethod
    def _each_tier_has_a_weight(cls, weights: dict[Tier, float]) -> dict[Tier, float]:
        expected = {"at_risk", "watch", "healthy", "expansion_ready", "not_scored"}
        if missing := sorted(expected - set(weights)):
            raise ValueError(f"no weight for {', '.join(missing)}; give each tier one")
        if negative := sorted(tier for tier, weight in weights.items() if weight < 0):
            raise ValueError(f"the weight of {', '.join(negative)} is negative; write 0 or more")
        return weights

    def hours_of(self, owner_email: str | None) -> float:
        """Hours a week of that owner; of the pool for unowned accounts where it is None."""
        if owner_email is None:
            return self.unowned_hours_per_week
        return self.owners.get(owner_email.strip().lower(), self.hours_per_owner_week)


def load_capacity(folder: Path | None) -> Document[CapacityPolicy]:
    """Read `capacity.yaml`; PolicyError where it can't be used."""
    return load_document(folder, "capacity", CapacityPolicy)
