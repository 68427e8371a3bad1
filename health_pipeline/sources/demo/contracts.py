"""What became of each account's contract: renewals, expansions, contractions, notices and ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.sources.demo.accounts import Accounts
from health_pipeline.sources.demo.calendar import (
    END,
    HISTORY_START,
    NEVER,
    WEEKS,
    days,
    random_stream,
    week_index,
    week_start,
)
from health_pipeline.sources.demo.latent import LatentState
from health_pipeline.sources.demo.stories import Stories
from health_pipeline.sources.demo.story_shapes import SHAPES
from health_pipeline.sources.demo.trials import Trials

# Share of the renewals that fail. Accounts with a story to come are spared in the first year, hence more of the others.
FIRST_RENEWAL_CHURN = 0.17
LATER_RENEWAL_CHURN = 0.12
# A price changed within the year, by agreement and without a change of seats: that share of the accounts in two years.
REPRICED_SHARE = 0.12
# Of those who leave without a word: how many are entered after the fact; and of all who leave: how many come back.
LATE_ENTRY_SHARE, RETURN_SHARE = 0.35, 0.14
_MEANING = np.array([shape.meaning for shape in SHAPES] + ["none"])
NO_REASON, NOT_RENEWED, NOT_PAID = range(3)


@dataclass(frozen=True)
class ContractChanges:
    """Every change of a subscription, in account and time order; each array has shape (changes,)."""

    account: np.ndarray
    at: np.ndarray
    seats: np.ndarray
    arr: np.ndarray
    period_end: np.ndarray


@dataclass(frozen=True)
class Contracts:
    """The life of each account's contract.

    `ended_at` and `notice_at` have shape (accounts,), NaT for never; `is_live` and `seats` (accounts, weeks).
    `end_recorded_at` is when the end was entered, for a few of them weeks after it; `returned_at` when a former
    customer came back. `churn_reason`: NO_REASON, NOT_RENEWED or NOT_PAID. `past_due_at` and `settled_at` frame payment
    trouble, and a late payment that has another reason.
    """

    ended_at: np.ndarray
    end_recorded_at: np.ndarray
    returned_at: np.ndarray
    notice_at: np.ndarray
    churn_reason: np.ndarray
    past_due_at: np.ndarray
    settled_at: np.ndarray
    is_live: np.ndarray
    seats: np.ndarray
    changes: ContractChanges

    def arr_at(self, account: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The yearly price each account paid at each moment; its first price before the first change."""
        place = np.searchsorted(self._keys(self.changes.account, self.changes.at), self._keys(account, at), "right") - 1
        first = np.searchsorted(self.changes.account, account)
        return self.changes.arr[np.maximum(place, first)]

    @staticmethod
    def _keys(account: np.ndarray, at: np.ndarray) -> np.ndarray:
        # Microseconds since 2000 stay below 2**50, so account and time sort as one integer.
        return account.astype(np.int64) * 2**50 + (at - np.datetime64("2000-01-01", "us")).astype(np.int64)


def _intercept(trouble: np.ndarray, rate: float) -> float:
    """The intercept at which the mean of the logistic of `trouble` is `rate`, by bisection."""
    low, high = -15.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        if (1 / (1 + np.exp(-(middle + trouble)))).mean() > rate:
            high = middle
        else:
            low = middle
    return low


def _decide(
    seed: int, accounts: Accounts, state: LatentState, stories: Stories
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When each account ends, when it gave notice, and why."""
    rng = random_stream(seed, "renewals", accounts.count)
    count = accounts.count
    ended_at, notice_at = np.full(count, NEVER), np.full(count, NEVER)
    reason = np.full(count, NO_REASON)
    sums = np.cumsum(state.trouble(), axis=1)
    recent = (sums - np.pad(sums, ((0, 0), (8, 0)))[:, :WEEKS]) / np.minimum(np.arange(WEEKS) + 1, 8)
    rows = np.arange(count)
    first_week = week_index(accounts.renewal_at)
    before_first = recent[rows, np.clip(first_week - 4, 0, WEEKS - 1)]
    intercepts = [_intercept(before_first, rate) for rate in (FIRST_RENEWAL_CHURN, *2 * [LATER_RENEWAL_CHURN])]
    meaning = _MEANING[stories.kind]
    for renewal in range(3):
        renewal_at = accounts.renewal_at + days(365.0 * renewal)
        lead = rng.integers(14, 75, count)
        decided_at = renewal_at - days(lead + rng.uniform(0.4, 0.6, count))
        decided = np.clip(week_index(decided_at), 0, WEEKS - 1)
        chance = 1 / (1 + np.exp(-(intercepts[renewal] + recent[rows, decided])))
        # A story is told to its end: its account does not leave before it starts, nor amid a lookalike.
        spared = (stories.kind >= 0) & (decided < stories.start_week)
        spared |= (meaning == "lookalike") & (decided < stories.end_week + 20)
        leaves = (rng.random(count) < chance) & ~spared & np.isnat(ended_at) & (decided_at < END)
        says_so = rng.random(count) < 0.8
        ended_at[leaves] = renewal_at[leaves]
        notice_at[leaves] = np.where(says_so, decided_at, renewal_at - days(1.5))[leaves]
        reason[leaves] = NOT_RENEWED
    return ended_at, notice_at, reason


def _payment_trouble(
    seed: int, accounts: Accounts, state: LatentState, stories: Stories, ended_at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When an account fell past due, when it settled, and when it was cancelled for it."""
    rng = random_stream(seed, "past due", accounts.count)
    count = accounts.count
    in_trouble, changes_bank = (stories.accounts_in(name) for name in ("payment_trouble", "bank_change"))
    has_begun = in_trouble | changes_bank
    start_week = np.where(has_begun, stories.start_week, 0)
    begins = week_start(start_week) + days(rng.uniform(8, 20, count))
    past_due_at = np.where(has_begun & ~(begins > ended_at), begins, NEVER)
    # Who sees little value in it lets it go; a new bank account is only a matter of weeks.
    trouble = state.trouble()[np.arange(count), np.clip(start_week + 8, 0, WEEKS - 1)]
    never_pays = in_trouble & (rng.random(count) < 1 / (1 + np.exp(-0.6 * (trouble - 3.6))))
    cancelled_at = np.where(never_pays, past_due_at + days(rng.uniform(75, 100, count)), NEVER)
    wait = np.where(changes_bank, rng.uniform(48, 60, count), rng.uniform(60, 90, count))
    settled_at = np.where(never_pays, NEVER, past_due_at + days(wait))
    return past_due_at, settled_at, cancelled_at


def _late_entries(
    rng: np.random.Generator, ended_at: np.ndarray, notice_at: np.ndarray, reason: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """When each end was entered, and the notices: of a few who said nothing the end is entered weeks after it."""
    count = len(ended_at)
    said_late = (reason == NOT_RENEWED) & (notice_at > ended_at - days(2))
    is_late = said_late & (rng.random(count) < LATE_ENTRY_SHARE)
    recorded_at = np.where(is_late, ended_at + days(rng.uniform(9, 40, count)), ended_at)
    return recorded_at, np.where(is_late, NEVER, notice_at)


def _returns(rng: np.random.Generator, recorded_at: np.ndarray, reason: np.ndarray) -> np.ndarray:
    """When former customers come back: some of those who did not renew, two to seven months later."""
    count = len(recorded_at)
    comes = (reason == NOT_RENEWED) & (rng.random(count) < RETURN_SHARE)
    returned_at = recorded_at + days(np.round(rng.uniform(60, 220, count)) + 0.4)
    return np.where(comes & (returned_at < END - days(21)), returned_at, NEVER)


def _change_events(
    seed: int,
    accounts: Accounts,
    state: LatentState,
    stories: Stories,
    trials: Trials,
    notice_at: np.ndarray,
    ended_at: np.ndarray,
) -> ContractChanges:
    """The changes, week by week: the contract's start, seats added within the year or by a trial, and each renewal."""
    rng = random_stream(seed, "changes", accounts.count)
    count = accounts.count
    seats, arr = accounts.seats.copy(), accounts.seats * accounts.price_per_seat
    period_end = accounts.renewal_at.copy()
    last_expansion = np.full(count, -100)
    trouble, pulled = state.trouble(), stories.accounts_in("expansion_pull")
    repriced_at = HISTORY_START + days(rng.uniform(0, 7 * WEEKS / REPRICED_SHARE, count))
    first_at = np.where(accounts.started_at < HISTORY_START, period_end - days(365.0), accounts.started_at)
    events = [(np.arange(count), first_at, seats.copy(), arr.copy(), period_end.copy())]
    for week in range(WEEKS):
        begin, end = week_start(week), week_start(week + 1)
        stays = ~(notice_at < end) & ~(ended_at < end) & (accounts.started_at < begin - days(56))
        renews = (period_end >= begin) & (period_end < end) & ~(ended_at < end) & (accounts.started_at < begin)
        eager = 0.0028 * np.exp(5 * (state.value[:, week] - 0.62) + 2 * (state.sponsorship[:, week] - 0.64))
        # A pull makes more seats likely from its second month on, and promises nothing.
        is_pulled = pulled & (week >= stories.start_week + 8) & (week < stories.end_week)
        grows = rng.random(count) < np.where(is_pulled, 8 * eager, eager)
        grows = (grows & (week - last_expansion > 26)) | ((trials.grows_in_week == week) & (stories.kind < 0))
        grows &= stays & ~renews
        grown = np.maximum(np.round(seats * rng.uniform(1.15, 1.6, count)), seats + 1).astype(np.int64)
        reluctance = 1 / (1 + np.exp(-0.9 * (trouble[:, week] - 2.0)))
        # Fewer seats are mostly a matter of the renewal; sometimes they are agreed within the year.
        shrinks = (rng.random(count) < np.where(renews, 0.55, 0.004) * reluctance) & (renews | (stays & ~grows))
        shrunk = np.maximum(np.round(seats * rng.uniform(0.7, 0.92, count)), 2).astype(np.int64)
        repriced = stays & ~renews & (repriced_at >= begin) & (repriced_at < end)
        uplift = np.where(renews | repriced, rng.uniform(1.0, 1.05, count), 1.0)
        new_seats = np.where(grows, grown, np.where(shrinks, shrunk, seats))
        arr = np.round(arr / seats * new_seats * uplift, 2)
        seats = new_seats
        last_expansion[grows] = week
        at = np.where(renews, period_end, begin + days(rng.uniform(1.3, 3.7, count)))
        period_end = np.where(renews, period_end + days(365.0), period_end)
        changed = np.flatnonzero(grows | renews | shrinks | repriced)
        events.append((changed, at[changed], seats[changed], arr[changed], period_end[changed]))
    columns = [np.concatenate(column) for column in zip(*events, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    return ContractChanges(*(column[order] for column in columns))


def simulate_contracts(
    seed: int, accounts: Accounts, state: LatentState, stories: Stories, trials: Trials
) -> Contracts:
    """Let each account decide at its renewals, from its latent state and chance.

    The chance to leave is a logistic of `LatentState.trouble` over the eight weeks before the decision, its
    intercept set so that about the stated share of the renewals fails.
    """
    ended_at, notice_at, reason = _decide(seed, accounts, state, stories)
    past_due_at, settled_at, cancelled_at = _payment_trouble(seed, accounts, state, stories, ended_at)
    is_cancelled = ~np.isnat(cancelled_at) & ~(ended_at <= cancelled_at)
    ended_at = np.where(is_cancelled, cancelled_at, ended_at)
    notice_at = np.where(is_cancelled, NEVER, notice_at)
    reason = np.where(is_cancelled, NOT_PAID, reason)
    rng = random_stream(seed, "ends", accounts.count)
    recorded_at, notice_at = _late_entries(rng, ended_at, notice_at, reason)
    returned_at = _returns(rng, recorded_at, reason)
    changes = _change_events(seed, accounts, state, stories, trials, notice_at, ended_at)
    changes = _with_returns(changes, ended_at, returned_at)
    begin, end = week_start(np.arange(WEEKS)), week_start(np.arange(WEEKS) + 1)
    is_live = (accounts.started_at[:, None] < end) & ~(ended_at[:, None] <= begin)
    is_live |= returned_at[:, None] < end
    seats = np.zeros((accounts.count, WEEKS), dtype=np.int64)
    # Seats of a week are those at its end; the changes come in time order, so later ones overwrite.
    seats[:] = accounts.seats[:, None]
    for place in np.argsort(changes.at, kind="stable"):
        seats[changes.account[place], max(int(week_index(changes.at[place])), 0) :] = changes.seats[place]
    seats = np.where(is_live, seats, 0)
    return Contracts(
        ended_at, recorded_at, returned_at, notice_at, reason, past_due_at, settled_at, is_live, seats, changes
    )


def _with_returns(changes: ContractChanges, ended_at: np.ndarray, returned_at: np.ndarray) -> ContractChanges:
    """The changes until each end, and a smaller contract for those who come back."""
    kept = ~(changes.at >= ended_at[changes.account])
    columns = {name: getattr(changes, name)[kept] for name in ContractChanges.__dataclass_fields__}
    back = np.flatnonzero(~np.isnat(returned_at))
    last = np.searchsorted(columns["account"], back, "right") - 1
    seats = np.maximum(columns["seats"][last] * 7 // 10, 2)
    added = {
        "account": back,
        "at": returned_at[back],
        "seats": seats,
        "arr": np.round(columns["arr"][last] / columns["seats"][last] * seats, 2),
        "period_end": returned_at[back] + days(365.0),
    }
    both = {name: np.concatenate([columns[name], added[name]]) for name in columns}
    order = np.lexsort((both["at"], both["account"]))
    return ContractChanges(**{name: column[order] for name, column in both.items()})
