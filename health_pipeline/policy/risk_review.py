"""How a risk becomes a packet: words of categories, ratings, severity matrix, escalation, stop rules, readiness."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document
from health_pipeline.policy.playbooks import contact_orders, predictions

Severity = Literal["low", "medium", "high", "critical"]
EscalationLevel = Literal["critical", "high", "medium", "low", "not_assessed"]
StopRuleId = Literal[
    "evidence_missing",
    "evidence_stale",
    "absence_only",
    "assumption_unverified",
    "severity_unconfirmed",
    "needs_higher_permission",
    "no_owner",
    "no_follow_up_date",
]
AssumptionId = Literal[
    "value_whole",
    "value_unknown",
    "absence_is_silence",
    "still_holds",
    "missing_would_agree",
    "one_voice",
    "benign_unchecked",
]
Rating = int
UNDEFINED_CATEGORIES = "risk categories undefined"
NO_APPROVER = "no owner who can approve mitigations"
NO_REVIEW = "no review scheduled"


def _observed(text: str) -> str:
    """Refuse a text that orders a contact or predicts what a customer does."""
    if found := contact_orders(text):
        raise ValueError(f"reads as an order to contact a customer ({found[0]!r}); say what is at stake instead")
    if found := predictions(text):
        raise ValueError(f"predicts what a customer does ({found[0]!r}); say what was observed, or what may follow")
    return text


class LikelihoodPolicy(PolicyModel):
    """Likelihood, 1 to 5, by what fired."""

    low: Rating = Field(ge=1, le=5)
    medium: Rating = Field(ge=1, le=5)
    high: Rating = Field(ge=1, le=5)
    two_medium_in_different_categories: Rating = Field(ge=1, le=5)
    critical: Rating = Field(ge=1, le=5)
    only_absence_at_most: Rating = Field(default=2, ge=1, le=5)

    @model_validator(mode="after")
    def _grows(self) -> LikelihoodPolicy:
        steps = [self.low, self.medium, self.high, self.two_medium_in_different_categories, self.critical]
        if any(low > high for low, high in pairwise(steps)):
            raise ValueError("low, medium, high, two_medium_in_different_categories, critical must not fall")
        if self.two_medium_in_different_categories <= self.high:
            raise ValueError("two medium signals in different categories outrank one high: give them a higher number")
        return self


class ImpactPolicy(PolicyModel):
    """Impact, 1 to 5, by recurring revenue in the reporting currency."""

    revenue_steps: dict[str, Rating]
    overdue_goal_adds: int = Field(default=1, ge=0, le=4)

    @field_validator("revenue_steps")
    @classmethod
    def _steps_rise(cls, steps: dict[str, Rating]) -> dict[str, Rating]:
        amounts = [float(amount) for amount in steps]
        if not amounts or amounts[0] != 0 or any(a >= b for a, b in pairwise(amounts)):
            raise ValueError("amounts begin with 0 and rise")
        ratings = list(steps.values())
        if any(not 1 <= rating <= 5 for rating in ratings) or any(a > b for a, b in pairwise(ratings)):
            raise ValueError("ratings are 1 to 5 and do not fall")
        return steps

    def rating(self, amount: float) -> Rating:
        """The rating of an amount of zero or more."""
        return max(rating for start, rating in self.revenue_steps.items() if amount >= float(start))


class EscalationStep(PolicyModel):
    """Who answers, where, within how many days of the week's end."""

    role: str = Field(pattern="^[a-z][a-z_]*$")
    channel: str = Field(min_length=3)
    respond_within_days: int = Field(ge=0, le=90)


class ReviewSchedule(PolicyModel):
    """When people review packets, in the company's time zone."""

    weekday: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    hour: int = Field(default=10, ge=0, le=23)


class MaterialityPolicy(PolicyModel):
    """What changes a packet's hash."""

    gap_step: float = Field(gt=0)
    value_step: float = Field(gt=0)
    renewal_bands: tuple[int, ...]

    @field_validator("renewal_bands")
    @classmethod
    def _bands_rise(cls, bands: tuple[int, ...]) -> tuple[int, ...]:
        if any(a >= b for a, b in pairwise(bands)):
            raise ValueError("bands rise")
        return bands


class StopRule(PolicyModel):
    """What holds a packet: what it blocks, who may release it, and how that is recorded."""

    says: str = Field(min_length=10)
    blocks: Literal["proposal", "approval"]
    released_by: str = Field(min_length=5)
    recorded_as: str = Field(pattern="^[a-z_]+$")


class CategoryWords(PolicyModel):
    """Three of the four parts of an event of that category; the first is what was observed."""

    affecting: str = Field(min_length=5)
    possibility: str = Field(min_length=5)
    resulting_in: str = Field(min_length=5)

    @field_validator("affecting", "possibility", "resulting_in")
    @classmethod
    def _observes(cls, text: str) -> str:
        return _observed(text)


class CauseWords(PolicyModel):
    """A cause that is looked into: what it would explain, and where its traces would be seen."""

    says: str = Field(min_length=10)
    explains: tuple[str, ...] = Field(min_length=1)
    seen_in: tuple[str, ...] = ()
    benign: tuple[str, ...] = ()

    @field_validator("says")
    @classmethod
    def _observes(cls, text: str) -> str:
        return _observed(text)


class RiskReviewPolicy(PolicyModel):
    """Everything a packet is rated, worded and held by.

    Attributes
    ----------
    severity_matrix : rows are likelihood 1 to 5, columns impact 1 to 5; never falling along either
    mitigation_approver_roles, review_schedule, categories : without them packets are withheld
    """

    severity_matrix: tuple[tuple[Severity, ...], ...]
    likelihood: LikelihoodPolicy
    impact: ImpactPolicy
    escalation: dict[EscalationLevel, EscalationStep]
    mitigation_approver_roles: tuple[str, ...] = ()
    review_schedule: ReviewSchedule | None = None
    stale_evidence_days: int = Field(default=45, ge=1)
    sentiment_weeks: int = Field(default=13, ge=2, le=52)
    materiality: MaterialityPolicy
    stop_rules: dict[StopRuleId, StopRule]
    assumptions: dict[AssumptionId, str]
    categories: dict[str, CategoryWords] = Field(default_factory=dict)
    causes: dict[str, CauseWords] = Field(default_factory=dict)

    @field_validator("severity_matrix")
    @classmethod
    def _matrix_rises(cls, matrix: tuple[tuple[Severity, ...], ...]) -> tuple[tuple[Severity, ...], ...]:
        if len(matrix) != 5 or any(len(row) != 5 for row in matrix):
            raise ValueError("the matrix has five rows (likelihood) of five columns (impact)")
        order = get_args(Severity)
        places = [[order.index(cell) for cell in row] for row in matrix]
        lines = [*places, *zip(*places, strict=True)]
        if any(a > b for line in lines for a, b in pairwise(line)):
            raise ValueError("a higher likelihood or impact never gives a lower severity")
        return matrix

    @model_validator(mode="after")
    def _is_complete(self) -> RiskReviewPolicy:
        for name, given, expected in (
            ("escalation", self.escalation, get_args(EscalationLevel)),
            ("stop_rules", self.stop_rules, get_args(StopRuleId)),
            ("assumptions", self.assumptions, get_args(AssumptionId)),
        ):
            if missing := sorted(set(expected) - given.keys()):
                raise ValueError(f"{name} has no {', '.join(missing)}")
        for cause_id, cause in self.causes.items():
            if unknown := sorted({*cause.explains, *cause.seen_in} - self.categories.keys()):
                raise ValueError(f"causes.{cause_id} names {', '.join(unknown)}, which is no category of this document")
        return self

    def severity(self, likelihood: Rating, impact: Rating) -> Severity | None:
        """The matrix' cell; None where either is 0, not assessed."""
        return self.severity_matrix[likelihood - 1][impact - 1] if likelihood and impact else None

    def not_ready(self, fired_categories: set[str] | frozenset[str] = frozenset()) -> tuple[str, ...]:
        """Why packets are withheld; empty where they are not.

        Parameters
        ----------
        fired_categories : categories of the risk signals in force
        """
        reasons = []
        if undefined := sorted(fired_categories - self.categories.keys()):
            reasons.append(f"{UNDEFINED_CATEGORIES}: {', '.join(undefined)}")
        elif not self.categories:
            reasons.append(UNDEFINED_CATEGORIES)
        if not self.mitigation_approver_roles:
            reasons.append(NO_APPROVER)
        if self.review_schedule is None:
            reasons.append(NO_REVIEW)
        return tuple(reasons)


def load_risk_review(folder: Path | None) -> Document[RiskReviewPolicy]:
    """Read `risk_review.yaml`; PolicyError where it can't be used."""
    return load_document(folder, "risk_review", RiskReviewPolicy)
