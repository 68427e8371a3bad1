"""The planted stories: what happens to which account, from which week on. Ground truth, never part of an extract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from health_pipeline.contract.landing import SourceKind
from health_pipeline.sources.demo.accounts import Accounts
from health_pipeline.sources.demo.calendar import HISTORY_WEEKS, WEEKS, random_stream, week_index
from health_pipeline.sources.demo.story_shapes import SHAPES, STORY_NAMES, stories_of_each_kind

_NO_WEEK = WEEKS + 1000
# A project's date is moved only while there is one, and the story before a renewal leaves time to tell it.
_EARLIEST, _LATEST = 4, WEEKS - 7
# Invoices by card or transfer each month show payment stories in weeks; a yearly invoice would show them in a year.
_MONTHLY = ("payment_trouble", "bank_change")


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


def plant_stories(
    seed: int, accounts: Accounts, is_known: Mapping[SourceKind, np.ndarray], has_product: bool = True
) -> Stories:
    """Choose accounts and dates.

    A story that bears on the decision to renew starts 10 to 24 weeks before a renewal, three in four of them before
    one of the second year; stories of delivery and first value are planted in accounts that joined lately; most
    lookalikes start in the year under review, in settled accounts. At most half of the accounts have a story.

    Parameters
    ----------
    is_known : by kind, which accounts that kind's system has, each of shape (accounts,)
    has_product : without a product, stories that take product use are not told
    """
    rng = random_stream(seed, "stories", accounts.count)
    count = accounts.count
    kind, start = np.full(count, -1), np.full(count, _NO_WEEK)
    starts = _possible_starts(rng, accounts)
    told = [place for place, shape in enumerate(SHAPES) if has_product or not shape.is_of_product]
    for place in rng.permutation(told):
        shape = SHAPES[place]
        week, is_possible = starts[shape.timing]
        is_possible = is_possible & (kind < 0) & np.isin(place, told)
        for system in shape.needs:
            is_possible &= is_known[system] | (system == "usage" and not has_product)
        if shape.name in _MONTHLY:
            is_possible &= accounts.is_monthly
        number = min(stories_of_each_kind(count, shape.meaning), count // 2 - (kind >= 0).sum())
        chosen = rng.permutation(np.flatnonzero(is_possible))[: max(number, 0)]
        kind[chosen], start[chosen] = place, week[chosen]
    lasts = np.array([shape.lasts_weeks for shape in SHAPES])[kind]
    return Stories(kind=kind, start_week=start, end_week=np.where(kind >= 0, start + lasts, _NO_WEEK))


def _possible_starts(rng: np.random.Generator, accounts: Accounts) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By timing: the week in which each account's story would start, and whether that can be."""
    count = accounts.count
    renewal, joined = week_index(accounts.renewal_at), week_index(accounts.started_at)
    in_second_year = rng.random(count) < 0.75
    renewal = np.where((in_second_year | (renewal < 18)) & (renewal < 52), renewal + 52, renewal)
    before = np.maximum(renewal - rng.integers(10, 25, count), joined + 8)
    after = joined + rng.integers(4, 9, count)
    # Long enough a customer for the same weeks of the year before to be seen, and some weeks left to see the end.
    reviewed = rng.integers(HISTORY_WEEKS + 3, WEEKS - 8, count)
    return {
        "before_renewal": (before, (before >= _EARLIEST) & (before <= _LATEST)),
        "after_joining": (after, (joined >= 8) & (joined <= 88)),
        "under_review": (reviewed, joined < 0),
    }
