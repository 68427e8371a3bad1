"""Invoices, monthly or yearly, with drafts, corrections and voids, and the attempts to pay them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from health_pipeline.sources.demo.accounts import CURRENCIES
from health_pipeline.sources.demo.calendar import END, HISTORY_START, NEVER, WEEKS, days, load_of, week_index
from health_pipeline.sources.demo.columns import (
    Deliveries,
    contract_table,
    ids,
    known_by,
    numbered,
    pick,
    versions_at,
)
from health_pipeline.sources.demo.world import World

_INVOICE_STATUS = ("open", "paid", "uncollectible", "void", "draft")
_PAYMENT_STATUS = ("succeeded", "failed", "pending", "refunded")
_OPEN, _PAID, _LOST, _VOID, _DRAFT = range(5)
_SUCCEEDED, _FAILED, _PENDING, _REFUNDED = range(4)
_FAILURES = ("card_declined", "expired_card", "insufficient_funds", "bank_account_closed")
_BANK_CLOSED = 3
_CORRECTED_SHARE = 0.06
_DUPLICATE_SHARE = 0.006
_DRAFT_SHARE = 0.12
_REFUND_SHARE = 0.008


@dataclass(frozen=True)
class Invoices:
    """Every invoice; arrays of shape (invoices,). What happened when, NaT for never.

    `is_copy` marks an invoice that was issued twice by mistake and is voided; `failed_attempts` counts the attempts to
    pay that fail before the one that does not, `changes_bank` says that they fail for the bank account alone.
    """

    account: np.ndarray
    issued_at: np.ndarray
    released_at: np.ndarray
    total: np.ndarray
    corrected_total: np.ndarray
    corrected_at: np.ndarray
    paid_at: np.ndarray
    written_off_at: np.ndarray
    voided_at: np.ndarray
    failed_attempts: np.ndarray
    changes_bank: np.ndarray
    pays_by_card: np.ndarray


def _issues(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Account, moment and whether it is a copy, of each invoice: on the contract's day, each month or each year."""
    accounts, contracts = world.accounts, world.contracts
    # A year is divided into twelve equal months.
    step = np.where(accounts.is_monthly, 365 / 12, 365.0)
    first = np.ceil(np.maximum(HISTORY_START - accounts.started_at, days(0)) / days(step)).astype(np.int64)
    number = np.maximum(np.ceil((END - accounts.started_at) / days(step)).astype(np.int64) - first, 0)
    account = np.repeat(np.arange(world.count), number)
    place = np.arange(len(account)) - np.repeat(np.cumsum(number) - number, number) + first[account]
    issued_at = accounts.started_at[account] + days(place * step[account]) + days(0.01)
    # Until an end is entered invoices go on; they are voided then.
    goes_on = ~(issued_at >= contracts.end_recorded_at[account] - days(0.5))
    goes_on |= issued_at >= contracts.returned_at[account] + days(0.5)
    back = np.flatnonzero(~np.isnat(contracts.returned_at))
    account = np.concatenate([account[goes_on], back])
    issued_at = np.concatenate([issued_at[goes_on], contracts.returned_at[back] + days(0.01)])
    copied = np.flatnonzero(rng.random(len(account)) < _DUPLICATE_SHARE)
    is_copy = np.arange(len(account) + len(copied)) >= len(account)
    account = np.concatenate([account, account[copied]])
    issued_at = np.concatenate([issued_at, issued_at[copied] + days(0.02)])
    order = np.argsort(issued_at, kind="stable")
    return account[order], issued_at[order], is_copy[order]


def draw_invoices(world: World) -> Invoices:
    """Draw all invoices, oldest first, and what becomes of each."""
    accounts, contracts, rng = world.accounts, world.contracts, world.stream("invoices")
    account, issued_at, is_copy = _issues(world, rng)
    size = len(account)
    price = contracts.arr_at(account, issued_at) * np.where(accounts.is_monthly[account], 1 / 12, 1.0)
    total = np.round(price, 2)
    week = np.clip(week_index(issued_at), 0, WEEKS - 1)
    pressure = world.state.price_pressure[account, week]
    wait = rng.lognormal(np.log(20), 0.58, size) * np.exp(1.6 * (pressure - 0.35))
    # Cards are charged on the day; transfers come in when they come in.
    pays_by_card = accounts.is_monthly[account] & (rng.random(size) < 0.75)
    fails = pays_by_card & (rng.random(size) < 0.03 + 0.08 * np.clip(pressure - 0.3, 0, 1))
    failed_attempts = np.where(fails, rng.integers(1, 3, size), 0)
    wait = np.where(pays_by_card, 0.05 + 3.0 * failed_attempts, wait)
    past_due_at, settled_at = contracts.past_due_at[account], contracts.settled_at[account]
    # In payment trouble, what was issued within six weeks before it or during it waits until the trouble ends; a new
    # bank account holds up what is issued before it is known.
    changes_bank = world.stories.accounts_in("bank_change")[account]
    reach = np.where(changes_bank, days(20), days(45))
    until = np.where(changes_bank, past_due_at + days(12), settled_at)
    caught = (issued_at > past_due_at - reach) & ~(issued_at >= until)
    failed_attempts = np.where(caught, np.where(changes_bank, 2, 4), failed_attempts)
    draft_until = np.where(rng.random(size) < _DRAFT_SHARE, issued_at + days(rng.uniform(0.3, 2.5, size)), issued_at)
    paid_at = np.maximum(issued_at + days(wait), draft_until + days(0.04))
    paid_at = np.where(caught, settled_at + days(rng.uniform(0.1, 2, size)), paid_at)
    # A former customer's last invoices are lost once two months have gone by; those after a return are not.
    ended_at = np.where(issued_at >= contracts.returned_at[account], NEVER, contracts.ended_at[account])
    unpaid = (paid_at > ended_at + days(45)) | np.isnat(paid_at)
    written_off_at = np.where(unpaid, np.maximum(ended_at + days(60), issued_at + days(90)), NEVER)
    voided_at = np.where(is_copy, issued_at + days(rng.uniform(0.2, 9, size)), NEVER)
    after_end = issued_at >= ended_at - days(0.5)
    voided_at = np.where(after_end, contracts.end_recorded_at[account] + days(0.1), voided_at)
    is_void = ~np.isnat(voided_at)
    is_corrected = ~caught & ~pays_by_card & ~is_void & (rng.random(size) < _CORRECTED_SHARE)
    corrected_at = np.where(is_corrected, issued_at + days(rng.uniform(7, 12, size)), NEVER)
    paid_at = np.where(is_corrected & (paid_at < corrected_at + days(7)), corrected_at + days(7.2), paid_at)
    return Invoices(
        account=account,
        issued_at=issued_at,
        released_at=draft_until,
        total=total,
        corrected_total=np.where(is_corrected, np.round(total * rng.uniform(0.85, 0.97, size), 2), total),
        corrected_at=corrected_at,
        paid_at=np.where(unpaid | is_void, NEVER, paid_at),
        written_off_at=np.where(is_void, NEVER, written_off_at),
        voided_at=voided_at,
        failed_attempts=np.where(is_void, 0, failed_attempts),
        changes_bank=caught & changes_bank,
        pays_by_card=pays_by_card,
    )


def invoice_rows(world: World, invoices: Invoices) -> Deliveries:
    """The invoices as they stood at each load."""
    record, at = versions_at(
        invoices.issued_at,
        np.where(invoices.released_at > invoices.issued_at, invoices.released_at, NEVER),
        invoices.corrected_at,
        invoices.paid_at,
        invoices.written_off_at,
        invoices.voided_at,
    )
    account = invoices.account[record]
    status = np.where(at < invoices.released_at[record], _DRAFT, _OPEN)
    status = np.where(at >= invoices.paid_at[record], _PAID, status)
    status = np.where(at >= invoices.written_off_at[record], _LOST, status)
    status = np.where(at >= invoices.voided_at[record], _VOID, status)
    total = np.where(at >= invoices.corrected_at[record], invoices.corrected_total[record], invoices.total[record])
    issued_at = invoices.issued_at[record]
    # What comes after a return belongs to the new subscription.
    is_back = issued_at >= world.contracts.returned_at[account]
    subscription = np.where(is_back, world.count + account, account)
    every = np.arange(world.count) + 1
    table = contract_table(
        "billing_invoice",
        "billing",
        len(record),
        {
            "invoice_id": ids("in_", record + 1, 7),
            "source_account_id": world.account_ids("billing", account),
            "subscription_id": pick(pa.concat_arrays([ids("sub_", every), ids("sub_r", every)]), subscription),
            "number": ids("INV-", record + 1, 7),
            "status": pick(_INVOICE_STATUS, status),
            "currency": pick(CURRENCIES, world.accounts.currency[account]),
            "total": total,
            "amount_due": np.where(np.isin(status, (_PAID, _VOID)), 0.0, total),
            "amount_paid": np.where(status == _PAID, total, 0.0),
            "issued_at": issued_at,
            "due_date": issued_at + days(30),
            "paid_at": known_by(invoices.paid_at[record], at),
            "source_created_at": issued_at,
            "source_updated_at": at,
        },
    )
    return Deliveries("billing_invoice", table, load_of(at))


def _attempts(world: World, invoices: Invoices) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Invoice, moment and status of each attempt to pay; of a slow transfer also that it was under way."""
    failed = np.repeat(np.arange(len(invoices.account)), invoices.failed_attempts)
    attempt = np.arange(len(failed)) - np.repeat(
        np.cumsum(invoices.failed_attempts) - invoices.failed_attempts, invoices.failed_attempts
    )
    # Attempts in trouble are a week apart from the due date's approach on; ordinary ones follow after three days.
    in_trouble = invoices.failed_attempts[failed] > 2
    wait = np.where(
        in_trouble, 14 + 10 * attempt, np.where(invoices.changes_bank[failed], 8 + 12 * attempt, 3.0 * attempt)
    )
    failed_at = np.maximum(invoices.issued_at[failed] + days(wait), invoices.released_at[failed]) + days(0.02)
    ended_at = world.contracts.ended_at[invoices.account[failed]]
    is_of_return = invoices.issued_at[failed] >= world.contracts.returned_at[invoices.account[failed]]
    lost = (failed_at >= invoices.paid_at[failed]) | ((failed_at >= ended_at) & ~is_of_return)
    failed, failed_at = failed[~lost], failed_at[~lost]
    rng = world.stream("payments")
    paid = np.flatnonzero(~np.isnat(invoices.paid_at))
    # A debit from a bank is under way for some days before it counts.
    days_open = (invoices.paid_at - invoices.issued_at)[paid] / days(1)
    slow = paid[
        (~invoices.pays_by_card[paid] | invoices.changes_bank[paid]) & (days_open > 8) & (rng.random(len(paid)) < 0.3)
    ]
    pending_at = invoices.paid_at[slow] - days(rng.uniform(2, 6, len(slow)))
    refunded = paid[rng.random(len(paid)) < _REFUND_SHARE]
    refunded_at = invoices.paid_at[refunded] + days(rng.uniform(1, 25, len(refunded)))
    parts = (
        (failed, failed_at, _FAILED),
        (paid, invoices.paid_at[paid], _SUCCEEDED),
        (slow, pending_at, _PENDING),
        (refunded, refunded_at, _REFUNDED),
    )
    status = np.repeat([code for *_, code in parts], [len(invoice) for invoice, *_ in parts])
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]), status


def payments(world: World, invoices: Invoices) -> Deliveries:
    """Every attempt to pay, oldest first."""
    invoice, at, status = _attempts(world, invoices)
    kept = np.flatnonzero(at < END)
    kept = kept[np.argsort(at[kept], kind="stable")]
    invoice, at, status = invoice[kept], at[kept], status[kept]
    account = invoices.account[invoice]
    rng = world.stream("payment failures")
    # Money that comes back is a part of what was paid; a bank account is now and then closed without any story.
    share = np.where(status == _REFUNDED, np.round(rng.uniform(0.1, 0.5, len(invoice)), 2), 1.0)
    failure = rng.choice(4, len(invoice), p=[0.45, 0.25, 0.22, 0.08])
    failure = np.where(invoices.changes_bank[invoice], _BANK_CLOSED, failure)
    is_corrected = at >= invoices.corrected_at[invoice]
    total = np.where(is_corrected, invoices.corrected_total[invoice], invoices.total[invoice])
    table = contract_table(
        "billing_payment",
        "billing",
        len(invoice),
        {
            "payment_id": ids("pay_", numbered(at), 7),
            "source_account_id": world.account_ids("billing", account),
            "invoice_id": ids("in_", invoice + 1, 7),
            "status": pick(_PAYMENT_STATUS, status),
            "amount": total * share,
            "currency": pick(CURRENCIES, world.accounts.currency[account]),
            "failure_code": pick(_FAILURES, np.where(status == _FAILED, failure, -1)),
            "occurred_at": at,
            "source_created_at": at,
            "source_updated_at": at,
        },
    )
    return Deliveries("billing_payment", table, load_of(at))
