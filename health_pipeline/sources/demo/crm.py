"""The CRM: contacts with their roles and leaving, and deals: new business, renewals, expansions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from health_pipeline.sources.demo.accounts import CURRENCIES, OWNERS
from health_pipeline.sources.demo.calendar import END, HISTORY_START, NEVER, WEEK, days, load_of, week_index, week_start
from health_pipeline.sources.demo.columns import (
    Deliveries,
    contract_table,
    ids,
    joined,
    known_by,
    last_per_load,
    numbered,
    pick,
)
from health_pipeline.sources.demo.contracts import NOT_RENEWED
from health_pipeline.sources.demo.people import ROLES, TITLES, People
from health_pipeline.sources.demo.world import World

_STAGES = ("qualification", "proposal", "negotiation", "closed_won", "closed_lost")
_FORECAST = ("pipeline", "best_case", "commit", "closed", "omitted")
_CHANCES = (0.3, 0.5, 0.75, 1.0, 0.0)
_LOSSES = ("no budget", "chose a competitor", "no value seen", "missing features")
_WON, _LOST = 3, 4
_WITHOUT_ADDRESS_SHARE = 0.04
# Who was named as the other vendor; now and then without any evaluation behind it.
_COMPETITORS = ("Northlight", "Tallyworks", "Brightdesk")
_NAMED_SHARE, _NAMED_BY_CHANCE_SHARE = 0.75, 0.03


def crm_deliveries(world: World, people: People) -> list[Deliveries]:
    """Contacts and opportunities."""
    return [_contacts(world, people), _opportunities(world)]


def _contacts(world: World, people: People) -> Deliveries:
    rng = world.stream("contact activity")
    rows = np.arange(len(people.account))
    # The CRM notes a contact's last activity about every six weeks while the account is a customer.
    number = rng.poisson(104 / 6, len(rows))
    contact = np.repeat(rows, number)
    active_at = HISTORY_START + days(rng.uniform(0, 104 * 7, len(contact)))
    seen = people.is_there(contact, active_at) & world.in_contract(people.account[contact], active_at)
    contact, active_at = contact[seen], active_at[seen]
    record = np.concatenate([rows, rows, rows, rows, contact])
    # Somebody writes a leaving down a few days after it, and a leave as well.
    noted_at = people.left_at + days(rng.uniform(0.5, 6, len(rows)))
    away_at = people.away_from + days(rng.uniform(0.5, 6, len(rows)))
    at = np.concatenate([people.joined_at, noted_at, away_at, people.away_until, active_at])
    is_activity = np.arange(len(record)) >= 4 * len(rows)
    order = np.lexsort((at, record))
    order = order[~np.isnat(at[order])]
    record, at, is_activity = record[order], at[order], is_activity[order]
    place = np.arange(len(record))
    last = np.maximum.accumulate(np.where(is_activity, place, -1))
    last_activity = np.where((last >= 0) & (record[last] == record), at[last], NEVER)
    kept = last_per_load(record, at)
    record, at, last_activity = record[kept], at[kept], last_activity[kept]
    has_left = at >= noted_at[record]
    is_away = (at >= away_at[record]) & ~(at >= people.away_until[record])
    lacks_address = (rng.random(len(rows)) < _WITHOUT_ADDRESS_SHARE)[record]
    table = contract_table(
        "crm_contact",
        "crm",
        len(record),
        {
            "contact_id": ids("con-", numbered(people.joined_at)[record]),
            "source_account_id": world.account_ids("crm", people.account[record]),
            "full_name": people.full_name.take(pa.array(record)),
            "email": pick(people.email, np.where(lacks_address, -1, record)),
            "title": pick(TITLES, np.where(record % 9 == 4, -1, people.role[record])),
            "role": pick(ROLES, people.role[record]),
            "is_primary": record == people.first[people.account[record]],
            "is_active": ~has_left & ~is_away,
            "left_at": np.where(has_left, people.left_at[record], NEVER),
            "last_activity_at": last_activity,
            "source_created_at": people.joined_at[record],
            "source_updated_at": at,
        },
    )
    return Deliveries("crm_contact", table, load_of(at))


def _renewals(world: World) -> dict[str, np.ndarray]:
    accounts, contracts = world.accounts, world.contracts
    account = np.tile(np.arange(world.count), 3)
    renewal_at = accounts.renewal_at[account] + days(365.0 * np.repeat(np.arange(3), world.count))
    ended_at = contracts.ended_at[account]
    expected = ~(ended_at < renewal_at - days(1)) & (renewal_at - days(120) < END)
    account, renewal_at, ended_at = account[expected], renewal_at[expected], ended_at[expected]
    is_lost = (contracts.churn_reason[account] == NOT_RENEWED) & (np.abs(ended_at - renewal_at) < days(1))
    lost_at = contracts.notice_at[account]
    lost_at = np.where(np.isnat(lost_at), contracts.end_recorded_at[account], lost_at)
    rng = world.stream("renewal deals")
    won_at = renewal_at - days(rng.uniform(1, 18, len(account)))
    closed_at = np.where(is_lost, lost_at, won_at)
    week = np.clip(week_index(renewal_at - days(30)), 0, world.state.value.shape[1] - 1)
    asks_others = np.logical_or(
        *(
            world.stories.accounts_in(name)[account]
            & (np.abs(week_index(renewal_at) - world.stories.start_week[account] - 17) < 14)
            for name in ("competitor_evaluation", "competitive_renewal_won")
        )
    )
    names_other = rng.random(len(account)) < np.where(asks_others, _NAMED_SHARE, _NAMED_BY_CHANCE_SHARE)
    # Where price or value is in question, the close date is pushed shortly before it.
    is_pushed = rng.random(len(account)) < 0.05 + 0.25 * (world.state.trouble()[account, week] > 1.6)
    return {
        "account": account,
        "created_at": renewal_at - days(rng.uniform(112, 120, len(account))),
        "proposed_at": renewal_at - days(rng.uniform(55, 75, len(account))),
        "negotiated_at": renewal_at - days(rng.uniform(20, 40, len(account))),
        "pushed_at": np.where(is_pushed, renewal_at - days(rng.uniform(19, 20, len(account))), NEVER),
        "closed_at": closed_at,
        "is_won": ~is_lost,
        "planned_at": renewal_at - days(7),
        "renewal_at": renewal_at,
        "amount": contracts.arr_at(account, renewal_at - days(90)),
        "type": np.zeros(len(account), dtype=np.int64),
        "competitor": np.where(names_other, rng.integers(0, len(_COMPETITORS), len(account)), -1),
    }


def _growth(world: World) -> dict[str, np.ndarray]:
    """New business, won expansions (a change of price within the year) and those that came to nothing."""
    accounts, changes, returned_at = world.accounts, world.contracts.changes, world.contracts.returned_at
    rng = world.stream("growth deals")
    is_first = np.append(True, changes.account[1:] != changes.account[:-1])
    is_first |= changes.at >= returned_at[changes.account]
    before = np.roll(changes.seats, 1)
    grown = np.flatnonzero(~is_first & (changes.seats > before) & (changes.at >= HISTORY_START))
    added = (changes.arr - np.roll(changes.arr, 1))[grown]
    joined, back = np.flatnonzero(accounts.started_at >= HISTORY_START), np.flatnonzero(~np.isnat(returned_at))
    new, begun_at = np.append(joined, back), np.append(accounts.started_at[joined], returned_at[back])
    lost_account, lost_week = world.happenings(rng, np.full((1, 1), 0.0025), "crm")
    account = np.concatenate([changes.account[grown], new, lost_account])
    closed_at = np.concatenate(
        [changes.at[grown], begun_at, week_start(lost_week) + days(rng.uniform(1, 5, len(lost_week)))]
    )
    is_won = np.arange(len(account)) < len(grown) + len(new)
    cycle = days(rng.uniform(30, 70, len(account)))
    is_new = (np.arange(len(account)) >= len(grown)) & is_won
    created_at = np.maximum(closed_at - cycle, accounts.created_at[account] + days(1))
    span = closed_at - created_at
    amount = np.concatenate(
        [
            added,
            world.contracts.arr_at(new, begun_at),
            world.contracts.arr_at(lost_account, closed_at[~is_won]) * 0.2,
        ]
    )
    return {
        "account": account,
        "created_at": created_at,
        "proposed_at": created_at + span // 3,
        "negotiated_at": created_at + span // 3 * 2,
        "pushed_at": np.full(len(account), NEVER),
        "closed_at": closed_at,
        "is_won": is_won,
        "planned_at": closed_at + days(rng.uniform(-10, 10, len(account))),
        "renewal_at": np.full(len(account), NEVER),
        "amount": np.maximum(amount, 0),
        "type": np.where(is_new, 2, 1),
        "competitor": np.where(rng.random(len(account)) < 0.05, rng.integers(0, 3, len(account)), -1),
    }


def _opportunities(world: World) -> Deliveries:
    parts = [_renewals(world), _growth(world)]
    deals = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # Oldest first, so that neither a deal's id nor its place says what kind of deal it is or how it ends.
    order = np.argsort(deals["created_at"], kind="stable")
    deals = {name: values[order] for name, values in deals.items()}
    rows = np.arange(len(deals["account"]))
    moments = [deals[name] for name in ("created_at", "proposed_at", "negotiated_at", "pushed_at", "closed_at")]
    # A deal that is closed early skips the stages that would have come later.
    moments = [np.where(moment <= deals["closed_at"], moment, NEVER) for moment in moments]
    moments[0] = np.where(deals["created_at"] < deals["closed_at"], deals["created_at"], deals["closed_at"] - WEEK)
    record, at = np.tile(rows, len(moments)), np.concatenate(moments)
    kept = last_per_load(record, at)
    record, at = record[kept], at[kept]
    account = deals["account"][record]
    is_closed = at >= deals["closed_at"][record]
    stage = (at >= moments[1][record]).astype(int) + (at >= moments[2][record])
    stage = np.where(is_closed, np.where(deals["is_won"][record], _WON, _LOST), stage)
    is_pushed = at >= moments[3][record]
    close_date = deals["planned_at"][record] + np.where(is_pushed, days(30), days(0))
    close_date = np.where(is_closed, deals["closed_at"][record], close_date)
    kind = deals["type"][record]
    name = joined(pa.array(world.accounts.name[account]), pick((" renewal", " more seats", " first contract"), kind))
    table = contract_table(
        "crm_opportunity",
        "crm",
        len(record),
        {
            "opportunity_id": ids("opp-", record + 1),
            "source_account_id": world.account_ids("crm", account),
            "name": name,
            "type": pick(("renewal", "expansion", "new"), kind),
            "stage": pick(_STAGES, stage),
            "is_closed": is_closed,
            "is_won": is_closed & deals["is_won"][record],
            "amount": deals["amount"][record],
            "currency": pick(CURRENCIES, world.accounts.currency[account]),
            "close_date": close_date,
            "renewal_date": deals["renewal_at"][record],
            "probability": np.array(_CHANCES)[stage],
            "forecast_category": pick(_FORECAST, stage),
            "owner_email": pick(OWNERS, world.accounts.owner[account]),
            "custom": pick(
                [f'{{"competitor":"{name}"}}' for name in _COMPETITORS],
                np.where(at >= moments[1][record], deals["competitor"][record], -1),
            ),
            "loss_reason": pick(_LOSSES, np.where(stage == _LOST, record % len(_LOSSES), -1)),
            "closed_at": known_by(deals["closed_at"][record], at),
            "source_created_at": moments[0][record],
            "source_updated_at": at,
        },
    )
    return Deliveries("crm_opportunity", table, load_of(at))
