"""Billing: subscriptions with seats and yearly price, invoices monthly or yearly, attempts to pay them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from health_pipeline.sources.demo.accounts import CURRENCIES, SEGMENTS
from health_pipeline.sources.demo.calendar import END, HISTORY_START, NEVER, days, load_of, week_index
from health_pipeline.sources.demo.columns import (
    Deliveries,
    contract_table,
    ids,
    known_by,
    last_per_load,
    pick,
    versions_at,
)
from health_pipeline.sources.demo.world import World

_STATUS = ("active", "past_due", "canceled")
_PLANS = ("Starter", "Professional", "Enterprise")
_FAILURES = ("card_declined", "expired_card", "insufficient_funds")
_CORRECTED_SHARE = 0.015
_PREVIOUS_SHARE = 0.08


def billing_deliveries(world: World) -> list[Deliveries]:
    """Subscriptions, invoices and payments."""
    invoices = _draw_invoices(world)
    return [_subscriptions(world), _invoices(world, invoices), _payments(world, invoices)]


def _subscriptions(world: World) -> Deliveries:
    accounts, contracts, changes = world.accounts, world.contracts, world.contracts.changes
    rows = np.arange(world.count)
    # Each change is a version; so are notice, end, falling past due and settling, carrying the contract of the time.
    extra_at = np.concatenate([contracts.notice_at, contracts.ended_at, contracts.past_due_at, contracts.settled_at])
    extra_account = np.tile(rows, 4)
    known = ~np.isnat(extra_at) & ~(extra_at > contracts.ended_at[extra_account])
    account = np.concatenate([changes.account, extra_account[known]])
    at = np.concatenate([changes.at, extra_at[known]])
    order = np.lexsort((at, account))
    is_change = (np.arange(len(account)) < len(changes.at))[order]
    change = np.maximum.accumulate(np.where(is_change, order, -1))
    kept = last_per_load(account[order], at[order])
    account, at, change = account[order][kept], at[order][kept], change[kept]
    ended_at, notice_at = contracts.ended_at[account], contracts.notice_at[account]
    is_past_due = (at >= contracts.past_due_at[account]) & ~(at >= contracts.settled_at[account])
    status = np.where(at >= ended_at, 2, is_past_due.astype(int))
    noticed = at >= notice_at
    current = contract_table(
        "billing_subscription",
        "billing",
        len(account),
        {
            "subscription_id": ids("sub_", account + 1),
            "source_account_id": world.account_ids("billing", account),
            "status": pick(_STATUS, status),
            "plan": pick(_PLANS, accounts.segment[account]),
            "quantity": changes.seats[change],
            "arr": changes.arr[change],
            "currency": pick(CURRENCIES, accounts.currency[account]),
            "started_at": accounts.started_at[account],
            "current_period_end": changes.period_end[change],
            "cancel_at": np.where(noticed, ended_at, NEVER),
            "canceled_at": known_by(ended_at, at),
            "auto_renew": ~noticed & (accounts.segment[account] < len(SEGMENTS) - 1),
            "source_created_at": accounts.started_at[account],
            "source_updated_at": at,
        },
    )
    return _with_previous(world, Deliveries("billing_subscription", current, load_of(at)))


def _with_previous(world: World, current: Deliveries) -> Deliveries:
    """Add earlier subscriptions of long-standing customers, which ended shortly before the current one began."""
    accounts = world.accounts
    rng = world.stream("previous subscriptions")
    is_old = accounts.started_at < HISTORY_START - days(400)
    account = np.flatnonzero(is_old & (rng.random(world.count) < _PREVIOUS_SHARE))
    # Gaps of up to 31 days count as one tenure; every third gap is longer than that.
    gap = np.where(np.arange(len(account)) % 3 == 2, 75, 12)
    ended_at = accounts.started_at[account] - days(gap)
    started_at = ended_at - days(365)
    seats = np.maximum(accounts.seats[account] - 2, 2)
    previous = contract_table(
        "billing_subscription",
        "billing",
        len(account),
        {
            "subscription_id": ids("sub_p", account + 1),
            "source_account_id": world.account_ids("billing", account),
            "status": "canceled",
            "plan": pick(_PLANS, accounts.segment[account]),
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
    rows = pa.concat_tables([previous, current.rows])
    return Deliveries(current.table, rows, np.concatenate([np.zeros(len(account), dtype=np.int64), current.load]))


@dataclass(frozen=True)
class _Invoices:
    account: np.ndarray
    issued_at: np.ndarray
    total: np.ndarray
    corrected_total: np.ndarray
    corrected_at: np.ndarray
    paid_at: np.ndarray
    written_off_at: np.ndarray
    failed_attempts: np.ndarray


def _draw_invoices(world: World) -> _Invoices:
    accounts, contracts = world.accounts, world.contracts
    rng = world.stream("invoices")
    is_monthly = accounts.is_monthly | world.stories.accounts_in("payment_trouble")
    # Monthly and yearly invoices fall on the contract's day; a year is divided into twelve equal months.
    step = np.where(is_monthly, 365 / 12, 365.0)
    first = np.ceil(np.maximum(HISTORY_START - accounts.started_at, days(0)) / days(step)).astype(np.int64)
    number = np.maximum(np.ceil((END - accounts.started_at) / days(step)).astype(np.int64) - first, 0)
    account = np.repeat(np.arange(world.count), number)
    place = np.arange(len(account)) - np.repeat(np.cumsum(number) - number, number) + first[account]
    issued_at = accounts.started_at[account] + days(place * step[account]) + days(0.01)
    kept = ~(issued_at >= contracts.ended_at[account] - days(0.5))
    account, issued_at = account[kept], issued_at[kept]
    price = contracts.arr_at(account, issued_at) * np.where(is_monthly[account], 1 / 12, 1.0)
    total = np.round(price, 2)
    size = len(account)
    week = np.clip(week_index(issued_at), 0, world.state.value.shape[1] - 1)
    pressure = world.state.price_pressure[account, week]
    wait = rng.lognormal(np.log(17), 0.55, size) * np.exp(1.6 * (pressure - 0.35))
    # Cards are charged on the day; transfers come in when they come in.
    pays_by_card = is_monthly[account] & (rng.random(size) < 0.75)
    fails = pays_by_card & (rng.random(size) < 0.03 + 0.08 * np.clip(pressure - 0.3, 0, 1))
    failed_attempts = np.where(fails, rng.integers(1, 3, size), 0)
    wait = np.where(pays_by_card, 0.05 + 3.0 * failed_attempts, wait)
    paid_at = issued_at + days(wait)
    past_due_at, settled_at = contracts.past_due_at[account], contracts.settled_at[account]
    # In payment trouble, what was issued within six weeks before it or during it waits until the trouble ends.
    caught = (issued_at > past_due_at - days(45)) & ~(issued_at >= settled_at)
    failed_attempts = np.where(caught, 4, failed_attempts)
    paid_at = np.where(caught, settled_at + days(rng.uniform(0.1, 2, size)), paid_at)
    ended_at = contracts.ended_at[account]
    unpaid = (paid_at > ended_at + days(45)) | np.isnat(paid_at)
    paid_at = np.where(unpaid, NEVER, paid_at)
    written_off_at = np.where(unpaid, np.maximum(ended_at + days(60), issued_at + days(90)), NEVER)
    is_corrected = ~caught & ~pays_by_card & (rng.random(size) < 4 * _CORRECTED_SHARE)
    corrected_at = np.where(is_corrected, issued_at + days(rng.uniform(7, 12, size)), NEVER)
    paid_at = np.where(is_corrected & (paid_at < corrected_at + days(7)), corrected_at + days(7.2), paid_at)
    corrected = np.where(is_corrected, np.round(total * rng.uniform(0.85, 0.97, size), 2), total)
    return _Invoices(account, issued_at, total, corrected, corrected_at, paid_at, written_off_at, failed_attempts)


def _invoices(world: World, invoices: _Invoices) -> Deliveries:
    record, at = versions_at(invoices.issued_at, invoices.corrected_at, invoices.paid_at, invoices.written_off_at)
    account = invoices.account[record]
    is_paid, is_written_off = at >= invoices.paid_at[record], at >= invoices.written_off_at[record]
    total = np.where(at >= invoices.corrected_at[record], invoices.corrected_total[record], invoices.total[record])
    issued_at = invoices.issued_at[record]
    table = contract_table(
        "billing_invoice",
        "billing",
        len(record),
        {
            "invoice_id": ids("in_", record + 1, 7),
            "source_account_id": world.account_ids("billing", account),
            "subscription_id": ids("sub_", account + 1),
            "number": ids("INV-", record + 1, 7),
            "status": pick(("open", "paid", "uncollectible"), np.where(is_paid, 1, np.where(is_written_off, 2, 0))),
            "currency": pick(CURRENCIES, world.accounts.currency[account]),
            "total": total,
            "amount_due": np.where(is_paid, 0.0, total),
            "amount_paid": np.where(is_paid, total, 0.0),
            "issued_at": issued_at,
            "due_date": issued_at + days(30),
            "paid_at": known_by(invoices.paid_at[record], at),
            "source_created_at": issued_at,
            "source_updated_at": at,
        },
    )
    return Deliveries("billing_invoice", table, load_of(at))


def _payments(world: World, invoices: _Invoices) -> Deliveries:
    rng = world.stream("payments")
    failed = np.repeat(np.arange(len(invoices.account)), invoices.failed_attempts)
    attempt = np.arange(len(failed)) - np.repeat(
        np.cumsum(invoices.failed_attempts) - invoices.failed_attempts, invoices.failed_attempts
    )
    # Attempts in trouble are a week apart from the due date's approach on; ordinary ones follow after three days.
    in_trouble = invoices.failed_attempts[failed] > 2
    failed_at = invoices.issued_at[failed] + days(np.where(in_trouble, 14 + 10 * attempt, 0.02 + 3.0 * attempt))
    ended_at = world.contracts.ended_at[invoices.account[failed]]
    lost = (failed_at >= invoices.paid_at[failed]) | (failed_at >= ended_at)
    failed, failed_at = failed[~lost], failed_at[~lost]
    paid = np.flatnonzero(~np.isnat(invoices.paid_at))
    invoice = np.concatenate([failed, paid])
    at = np.concatenate([failed_at, invoices.paid_at[paid]])
    is_failed = np.arange(len(invoice)) < len(failed)
    kept = np.flatnonzero(at < END)
    kept = kept[np.lexsort((at[kept], invoice[kept]))]
    invoice, at, is_failed = invoice[kept], at[kept], is_failed[kept]
    account = invoices.account[invoice]
    corrected = at >= invoices.corrected_at[invoice]
    table = contract_table(
        "billing_payment",
        "billing",
        len(invoice),
        {
            "payment_id": ids("pay_", np.arange(len(invoice)) + 1, 7),
            "source_account_id": world.account_ids("billing", account),
            "invoice_id": ids("in_", invoice + 1, 7),
            "status": pick(("succeeded", "failed"), is_failed.astype(int)),
            "amount": np.where(corrected, invoices.corrected_total[invoice], invoices.total[invoice]),
            "currency": pick(CURRENCIES, world.accounts.currency[account]),
            "failure_code": pick(_FAILURES, np.where(is_failed, rng.integers(0, 3, len(invoice)), -1)),
            "occurred_at": at,
            "source_created_at": at,
            "source_updated_at": at,
        },
    )
    return Deliveries("billing_payment", table, load_of(at))
