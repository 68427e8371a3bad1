"""The strategies the demo company tried: who was treated, who was held back, and what each strategy really does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.sources.demo.accounts import Accounts
from health_pipeline.sources.demo.calendar import DAY, HISTORY_WEEKS, WEEKS, office_moment, random_stream, week_index

WORKSHOP, ALIGNMENT, HEALTH_CHECK = range(3)
STRATEGIES = ("adoption_workshop", "executive_alignment", "health_check")
# Ground truth, of which no source says a word. The third only looks as if it worked: it is held before renewals, and at
# a renewal the price goes up.
EFFECTS = ("more seats at small customers, nothing at others", "nothing", "nothing; chosen by the date of the renewal")
SMALL = 0
# Of the small customers that had a workshop and have no story: how many buy seats within 3 to 10 weeks because of it.
WORKSHOP_ADDS_SEATS = 0.4
_TRIED_SHARE = (0.85, 0.85, 0.8)
# All within the year under review, early enough for what came of them to be known in it.
_FIRST_WEEK, _LAST_WEEK = HISTORY_WEEKS + 1, HISTORY_WEEKS + 30
# A health check is usually held 15 to 75 days before a renewal, and seldom at another time.
_BEFORE_RENEWAL_DAYS, _HELD_BEFORE_RENEWAL, _HELD_ELSE = (15, 75), 0.8, 0.2


@dataclass(frozen=True)
class Trials:
    """One row per account and strategy tried; each array has shape (trials,) but the last.

    `strategy` indexes STRATEGIES. `grows_in_week` has shape (accounts,): the simulated week in which a workshop brings
    more seats, -1 for never.
    """

    account: np.ndarray
    strategy: np.ndarray
    is_treated: np.ndarray
    is_randomised: np.ndarray
    at: np.ndarray
    grows_in_week: np.ndarray


def draw_trials(seed: int, accounts: Accounts) -> Trials:
    """Draw who was assigned to what, and when; whether they were customers then is for the contracts to say.

    The first two strategies are decided by a coin; the third by the account manager, who looks at the next renewal.
    """
    rng = random_stream(seed, "trials", accounts.count)
    parts = []
    for strategy, share in enumerate(_TRIED_SHARE):
        account = np.flatnonzero(rng.random(accounts.count) < share)
        at = office_moment(rng, rng.integers(_FIRST_WEEK, _LAST_WEEK + 1, len(account)))
        chance = np.full(len(account), 0.5)
        if strategy == HEALTH_CHECK:
            since = ((at - accounts.renewal_at[account]) / DAY) % 365
            is_before = (365 - since >= _BEFORE_RENEWAL_DAYS[0]) & (365 - since <= _BEFORE_RENEWAL_DAYS[1])
            chance = np.where(is_before, _HELD_BEFORE_RENEWAL, _HELD_ELSE)
        is_treated = rng.random(len(account)) < chance
        parts.append((account, np.full(len(account), strategy), is_treated, at))
    account, kinds, is_treated, at = (np.concatenate(column) for column in zip(*parts, strict=True))
    works = is_treated & (kinds == WORKSHOP) & (accounts.segment[account] == SMALL)
    works &= rng.random(len(account)) < WORKSHOP_ADDS_SEATS
    grows_in_week = np.full(accounts.count, -1)
    later = week_index(at) + rng.integers(3, 11, len(account))
    grows_in_week[account[works]] = np.minimum(later, WEEKS - 1)[works]
    return Trials(account, kinds, is_treated, kinds != HEALTH_CHECK, at, grows_in_week)
