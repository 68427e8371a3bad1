"""The exception queue: which category stands in which queue, who is sampled at random, how many reviews fit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, field_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document
from health_pipeline.policy.risk_signals import Category

Queue = Literal["behaviour_change", "support_friction", "value_risk"]
QUEUES: tuple[Queue, ...] = get_args(Queue)
OTHER = "other"
RANDOM_AUDIT = "random_audit"


class RandomAudit(PolicyModel):
    """The weekly sample of accounts that nothing flagged.

    Attributes
    ----------
    accounts_per_week : how many; 0 draws none
    seed : the key of the hashes
    """

    accounts_per_week: int = Field(ge=0, le=100)
    seed: str = Field(min_length=1)


class ReviewCapacity(PolicyModel):
    """Hours for reviews. Without `hours_per_owner_week` no capacity is stated, and no line is drawn."""

    hours_per_review: float = Field(gt=0, le=8)
    hours_per_owner_week: float | None = Field(default=None, ge=0, le=60)
    unowned_hours_per_week: float = Field(default=0, ge=0, le=600)


class ExceptionQueuePolicy(PolicyModel):
    """The whole document. See `documents/exception_queue.yaml` for what each key does."""

    queues: dict[Queue, tuple[Category, ...]]
    watermelon_queues: dict[str, Queue] = Field(default_factory=dict)
    renewal_near_days: int = Field(ge=7, le=365)
    random_audit: RandomAudit
    review_capacity: ReviewCapacity

    @field_validator("queues")
    @classmethod
    def _each_category_once(cls, queues: dict[Queue, tuple[Category, ...]]) -> dict[Queue, tuple[Category, ...]]:
        named = [category for categories in queues.values() for category in categories]
        if twice := sorted({category for category in named if named.count(category) > 1}):
            raise ValueError(f"{', '.join(twice)} stands in two queues; name each category once")
        return queues

    def queue_of(self, category: str | None) -> str:
        """The queue of a category; `other` where none names it."""
        return next((queue for queue, named in self.queues.items() if category in named), OTHER)

    def queue_of_watermelon(self, reasons: tuple[str, ...]) -> str:
        """The queue of an account that is weak inside, by the first reason in the policy's order that it has."""
        return next((queue for reason, queue in self.watermelon_queues.items() if reason in reasons), OTHER)


def load_exception_queue(folder: Path | None) -> Document[ExceptionQueuePolicy]:
    """Read `exception_queue.yaml`; PolicyError where it can't be used."""
    return load_document(folder, "exception_queue", ExceptionQueuePolicy)
