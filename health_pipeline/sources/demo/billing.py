"""Billing: subscriptions with seats and yearly price, as they stood at each load; invoices are in `invoices`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from health_pipeline.sources.demo.accounts import CURRENCIES, SEGMENTS
from health_pipeline.sources.demo.calendar import HISTORY_START, NEVER, days, load_of
from health_pipeline.sources.demo.columns import Deliveries, contract_table, ids, last_per_load, pick
from health_pipeline.sources.demo.invoices import draw_invoices, invoice_rows, payments
from health_pipeline.sources.demo.world import World

_STATUS = ("active", "past_due", "canceled")
_PREVIOUS_SHARE = 0.08


def billing_deliveries(world: World) -> list[Deliveries]:
    """Subscriptions, invoices and payments."""
    invoices = draw_invoices(world)
    return [_subscriptions(world), invoice_rows(world, invoices), payments(world, invoices)]


def _subscriptions(world: World) -> Deliveries:
    """Current subscriptions, those of customers who came back, and earlier ones of long-standing customers."""
    accounts, contracts, changes = world.accounts, world.contracts, world.contracts.changes
    rows = np.arange(world.count)
    returned = changes.at >= contracts.returned_at[changes.account]
    first = np.flatnonzero(~returned)
    # Each change is a version; so are notice, end, falling past due and settling, carrying the contract of the time.
    moments = (contracts.notice_at, contracts.end_recorded_at, contracts.past_due_at, contracts.settled_at)
    extra_at, extra_account = np.concatenate(moments), np.tile(rows, len(moments))
    known = ~np.isnat(extra_at) & ~(extra_at > contracts.end_recorded_at[extra_account])
    account = np.concatenate([changes.account[first], extra_account[known]])
    at = np.concatenate([changes.at[first], extra_at[known]])
    order = np.lexsort((at, account))
    is_change = (np.arange(len(account)) < len(first))[order]
    change = first[np.maximum.accumulate(np.where(is_change, order, -1))]
    kept = last_per_load(account[order], at[order])
    account, at, change = account[order][kept], at[order][kept], change[kept]
    ended_at, notice_at = contracts.ended_at[account], contracts.notice_at[account]
    has_ended, noticed = at >= contracts.end_recorded_at[account], at >= notice_at
    is_past_due = (at >= contracts.past_due_at[account]) & ~(at >= contracts.settled_at[account])
    # Past due is what a payment processor says after its own retries; a late transfer alone is not.
    is_past_due &= world.stories.accounts_in("payment_trouble")[account]
    current = contract_table(
        "billing_subscription",
        "billing",
        len(account),
        {
            **_terms(world, account, change),
            "subscription_id": ids("sub_", account + 1),
            "status": pick(_STATUS, np.where(has_ended, 2, is_past_due.astype(int))),
            "started_at": accounts.started_at[account],
            "cancel_at": np.where(noticed, ended_at, NEVER),
            "canceled_at": np.where(has_ended, ended_at, NEVER),
            "auto_renew": ~noticed & (accounts.segment[account] < len(SEGMENTS) - 1),
            "source_created_at": accounts.started_at[account],
            "source_updated_at": at,
        },
    )
    again = np.flatnonzero(returned)
    account = changes.account[again]
    back = contract_table(
        "billing_subscription",
        "billing",
        len(again),
        {
            **_terms(world, account, again),
            "subscription_id": ids("sub_r", account + 1),
            "status": "active",
            "started_at": changes.at[again],
            "auto_renew": True,
            "source_created_at": changes.at[again],
            "source_updated_at": changes.at[again],
        },
    )
    previous = _previous(world)
    rows_of_all = pa.concat_tables([previous, current, back])
    loads = [np.zeros(previous.num_rows, dtype=np.int64), load_of(at), load_of(changes.at[again])]
    return Deliveries("billing_subscription", rows_of_all, np.concatenate(loads))


def _terms(world: World, account: np.ndarray, change: np.ndarray) -> dict[str, np.ndarray | pa.Array]:
    changes = world.contracts.changes
    return {
        "source_account_id": world.account_ids("billing", account),
        "plan": pick(world.profile.plans, world.accounts.segment[account]),
        "quantity": changes.seats[change],
        "arr": changes.arr[change],
        "currency": pick(CURRENCIES, world.accounts.currency[account]),
        "current_period_end": changes.period_end[change],
    }


def _previous(world: World) -> pa.Table:
    """Earlier subscriptions of long-standing customers, which ended shortly before the current one began."""
    accounts = world.accounts
    rng = world.stream("previous subscriptions")
    is_old = accounts.started_at < HISTORY_START - days(400)
    account = np.flatnonzero(is_old & (rng.random(world.count) < _PREVIOUS_SHARE))
    # Gaps of up to 31 days count as one tenure; every third gap is longer than that.
    gap = np.where(np.arange(len(account)) % 3 == 2, 75, 12)
    ended_at = accounts.started_at[account] - days(gap)
    started_at = ended_at - days(365)
    seats = np.maximum(accounts.seats[account] - 2, 2)
    return contract_table(
        "billing_subscription",
        "billing",
        len(account),
        {
            "subscription_id": ids("sub_p", account + 1),
            "source_account_id": world.account_ids("billing", account),
            "status": "canceled",
            "plan": pick(world.profile.plans, accounts.segment[account]),
            "quantity": seats,
            "arr": seats * accounts.price_per_seat[account],
            "currency": pick(CURRENCIES, accounts.currency[account]),
            "started_at": started_at,
            "current_period_end": ended_at,
            "canceled_at": ended_at,
            "auto_renew": False,
            "source_created_at": started_at,
            "source_updated_at": ended_at,
        },
    )
