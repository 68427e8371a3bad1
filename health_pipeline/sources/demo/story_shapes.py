"""The planted stories as a catalogue: what each does to the latent state, how long it lasts, what it resembles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from health_pipeline.contract.landing import SourceKind

Meaning = Literal["risk", "growth", "lookalike"]
Timing = Literal["before_renewal", "after_joining", "under_review"]


@dataclass(frozen=True)
class StoryShape:
    """What a story does to an account's latent state, and in which accounts it can be told.

    The shifts are reached `ramp_weeks` after the start; the story ends after `lasts_weeks`, leaving `stays` of them.
    A lookalike shifts nothing: it only looks like the story it `resembles`. `needs` are the systems that must know the
    account for the story to be seen at all; `timing` says when it starts: 10 to 24 weeks before a renewal, 4 to 8
    after joining, or in any week of the second year; `is_of_product` whether it takes product use to tell it.
    """

    name: str
    meaning: Meaning
    lasts_weeks: int
    ramp_weeks: int = 1
    stays: float = 1.0
    value: float = 0.0
    sponsorship: float = 0.0
    quality: float = 0.0
    price_pressure: float = 0.0
    resembles: str = ""
    needs: tuple[SourceKind, ...] = ()
    timing: Timing = "before_renewal"
    is_of_product: bool = False


SHAPES: tuple[StoryShape, ...] = (
    StoryShape(
        "sponsor_leaves", "risk", 26, ramp_weeks=4, value=-0.18, sponsorship=-0.42, price_pressure=0.08, needs=("cs",)
    ),
    StoryShape(
        "value_never_reached",
        "risk",
        60,
        ramp_weeks=6,
        value=-0.38,
        sponsorship=-0.22,
        needs=("cs", "support"),
        timing="after_joining",
    ),
    StoryShape("defect_storm", "risk", 11, ramp_weeks=2, stays=0.5, value=-0.16, quality=-0.45, needs=("support",)),
    StoryShape("payment_trouble", "risk", 16, ramp_weeks=3, stays=0.4, value=-0.08, price_pressure=0.35),
    StoryShape(
        "competitor_evaluation",
        "risk",
        22,
        ramp_weeks=5,
        value=-0.2,
        sponsorship=-0.15,
        price_pressure=0.32,
        needs=("cs", "support"),
    ),
    StoryShape(
        "delivery_slip",
        "risk",
        24,
        ramp_weeks=8,
        stays=0.6,
        value=-0.3,
        sponsorship=-0.12,
        quality=-0.05,
        needs=("cs",),
        timing="after_joining",
    ),
    StoryShape("quiet_decline", "risk", 40, ramp_weeks=24, value=-0.42, sponsorship=-0.2, needs=("engagement",)),
    StoryShape("expansion_pull", "growth", 40, ramp_weeks=8, value=0.22, sponsorship=0.15, needs=("cs",)),
    StoryShape(
        "seasonal_dip",
        "lookalike",
        8,
        resembles="quiet_decline",
        needs=("usage",),
        timing="under_review",
        is_of_product=True,
    ),
    StoryShape(
        "planned_migration",
        "lookalike",
        7,
        resembles="quiet_decline",
        needs=("usage", "cs"),
        timing="under_review",
        is_of_product=True,
    ),
    StoryShape(
        "holiday",
        "lookalike",
        3,
        resembles="quiet_decline",
        needs=("usage", "cs"),
        timing="under_review",
        is_of_product=True,
    ),
    StoryShape(
        "automation_burst",
        "lookalike",
        5,
        resembles="expansion_pull",
        needs=("usage",),
        timing="under_review",
        is_of_product=True,
    ),
    StoryShape(
        "automation_replaces_logins",
        "lookalike",
        30,
        resembles="quiet_decline",
        needs=("usage", "cs"),
        timing="under_review",
        is_of_product=True,
    ),
    StoryShape(
        "champion_on_leave",
        "lookalike",
        14,
        resembles="sponsor_leaves",
        needs=("cs", "engagement"),
        timing="under_review",
    ),
    StoryShape(
        "rollout_questions",
        "lookalike",
        7,
        resembles="defect_storm",
        needs=("support", "cs"),
        timing="under_review",
    ),
    StoryShape("bank_change", "lookalike", 12, resembles="payment_trouble", needs=("cs",), timing="under_review"),
    StoryShape(
        "competitive_renewal_won", "lookalike", 16, resembles="competitor_evaluation", needs=("cs",)
    ),
    StoryShape(
        "agreed_delay", "lookalike", 16, resembles="delivery_slip", needs=("cs",), timing="under_review"
    ),
    StoryShape(
        "narrow_use",
        "lookalike",
        40,
        resembles="value_never_reached",
        needs=("usage", "cs", "support"),
        timing="under_review",
        is_of_product=True,
    ),
    StoryShape(
        "late_data",
        "lookalike",
        3,
        resembles="quiet_decline",
        needs=("usage",),
        timing="under_review",
        is_of_product=True,
    ),
)  # fmt: skip
STORY_NAMES: tuple[str, ...] = tuple(shape.name for shape in SHAPES)
# Of all accounts that ever were: with it about 7 accounts have each story at 400 customers, and 5 each lookalike.
SHARES: dict[Meaning, float] = {"risk": 0.014, "growth": 0.014, "lookalike": 0.010}


def stories_of_each_kind(accounts: int, meaning: Meaning) -> int:
    """How many accounts a story of that meaning is planted in: several, where the company is large enough."""
    return max(1, round(SHARES[meaning] * accounts))
