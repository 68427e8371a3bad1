"""The planted stories: what happens to which account, from which week on. Ground truth, never part of an extract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from health_pipeline.sources.demo.accounts import Accounts
from health_pipeline.sources.demo.calendar import WEEKS, random_stream, week_index


@dataclass(frozen=True)
class StoryShape:
    """What a story does to an account's latent state.

    The shifts are reached `ramp_weeks` after the start; the story ends after `lasts_weeks`, leaving `stays` of them.
    """

    name: str
    meaning: Literal["risk", "growth", "lookalike"]
    lasts_weeks: int
    ramp_weeks: int = 1
    stays: float = 1.0
    value: float = 0.0
    sponsorship: float = 0.0
    quality: float = 0.0
    price_pressure: float = 0.0


SHAPES: tuple[StoryShape, ...] = (
    StoryShape("sponsor_leaves", "risk", 26, ramp_weeks=4, value=-0.18, sponsorship=-0.42, price_pressure=0.08),
    StoryShape("value_never_reached", "risk", 60, ramp_weeks=6, value=-0.38, sponsorship=-0.22),
    StoryShape("defect_storm", "risk", 11, ramp_weeks=2, stays=0.5, value=-0.16, quality=-0.45),
    StoryShape("payment_trouble", "risk", 16, ramp_weeks=3, stays=0.4, value=-0.08, price_pressure=0.35),
    StoryShape("competitor_evaluation", "risk", 22, ramp_weeks=5, value=-0.2, sponsorship=-0.15, price_pressure=0.32),
    StoryShape("delivery_slip", "risk", 24, ramp_weeks=8, stays=0.6, value=-0.3, sponsorship=-0.12, quality=-0.05),
    StoryShape("quiet_decline", "risk", 40, ramp_weeks=24, value=-0.42, sponsorship=-0.2),
    StoryShape("expansion_pull", "growth", 40, ramp_weeks=8, value=0.22, sponsorship=0.15),
    StoryShape("seasonal_dip", "lookalike", 8),
    StoryShape("planned_migration", "lookalike", 7),
    StoryShape("holiday", "lookalike", 3),
    StoryShape("automation_burst", "lookalike", 5),
)
STORY_NAMES: tuple[str, ...] = tuple(shape.name for shape in SHAPES)
STORY_SHARE = 0.014


@dataclass(frozen=True)
class Stories:
    """One story or none per account: `kind` indexes SHAPES (-1: none), weeks are simulated weeks."""

    kind: np.ndarray
    start_week: np.ndarray
    end_week: np.ndarray

    def accounts_in(self, name: str) -> np.ndarray:
        """Whether each account has that story; shape (accounts,)."""
        return self.kind == STORY_NAMES.index(name)

    def is_on(self, name: str) -> np.ndarray:
        """Whether the story is on for each account and week; shape (accounts, weeks)."""
        week = np.arange(WEEKS)[None, :]
        on = (week >= self.start_week[:, None]) & (week < self.end_week[:, None])
        return on & self.accounts_in(name)[:, None]

    def intensity(self, name: str) -> np.ndarray:
        """How far the story's shifts are reached, 0 to 1; shape (accounts, weeks)."""
        shape = SHAPES[STORY_NAMES.index(name)]
        since = np.arange(WEEKS)[None, :] - self.start_week[:, None]
        ramp = np.clip((since + 1) / shape.ramp_weeks, 0, 1)
        after = np.arange(WEEKS)[None, :] >= self.end_week[:, None]
        return np.where(after, shape.stays, ramp) * ((since >= 0) & self.accounts_in(name)[:, None])


def stories_of_each_kind(accounts: int) -> int:
    """How many accounts each story is planted in: several, and never more than half of all accounts together."""
    return max(1, min(round(max(STORY_SHARE * accounts, 5)), accounts // (2 * len(SHAPES))))


def plant_stories(seed: int, accounts: Accounts) -> Stories:
    """Choose accounts and dates.

    A story that bears on the decision to renew starts 10 to 24 weeks before a renewal, three in four of them before
    one of the second year; stories of delivery and first value are planted in accounts that joined lately.
    """
    rng = random_stream(seed, "stories", accounts.count)
    count = accounts.count
    kind = np.full(count, -1)
    renewal_week = week_index(accounts.renewal_at)
    joined_week = week_index(accounts.started_at)
    in_second_year = rng.random(count) < 0.75
    renewal = np.where((in_second_year | (renewal_week < 18)) & (renewal_week < 52), renewal_week + 52, renewal_week)
    start = np.clip(renewal - rng.integers(10, 25, count), joined_week + 8, None)
    after_joining = joined_week + rng.integers(4, 9, count)
    is_new = (joined_week >= 8) & (joined_week <= 88)
    for place in rng.permutation(len(SHAPES)):
        wants_new = SHAPES[place].name in ("value_never_reached", "delivery_slip")
        possible = is_new if wants_new else (start >= 4) & (start <= 97)
        free = np.flatnonzero((kind < 0) & possible)
        if len(free) == 0:
            free = np.flatnonzero(kind < 0)
        chosen = rng.permutation(free)[: stories_of_each_kind(count)]
        kind[chosen] = place
        if wants_new:
            start[chosen] = after_joining[chosen]
    # The seasonal accounts dip in the same eight weeks of both years, which is what gives them away.
    seasonal = kind == STORY_NAMES.index("seasonal_dip")
    start[seasonal] = np.where(start[seasonal] < 52, 22, 74)
    start = np.clip(start, 2, WEEKS - 4)
    lasts = np.array([shape.lasts_weeks for shape in SHAPES])[kind]
    return Stories(
        kind=kind,
        start_week=np.where(kind >= 0, start, WEEKS + 1000),
        end_week=np.where(kind >= 0, start + lasts, WEEKS + 1000),
    )
