"""Accounts as each system knows them: ids carried for each other, domains, gaps, a duplicate pair, vanished records."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.landing import SourceKind
from health_pipeline.sources.demo.accounts import COUNTRIES, INDUSTRIES, OWNERS, SEGMENTS
from health_pipeline.sources.demo.calendar import NEVER, days, load_of, week_start
from health_pipeline.sources.demo.columns import (
    Deliveries,
    complete,
    contract_table,
    joined,
    known_by,
    pick,
    versions_at,
)
from health_pipeline.sources.demo.world import World

# Loads from which a CRM record is missing: a duplicate that was merged away, and a former customer that was erased.
MERGED_AWAY_LOAD = 28
ERASED_LOAD = 36
# Load in which accounts without an id of the CRM get one.
MAPPED_LATER_LOAD = 18
DUPLICATE_PAIRS = 2
_FREEMAIL = "gmail.com"
_DOMAIN_ONLY_SHARE = 0.12
_UNMAPPED: dict[SourceKind, int] = {"billing": 2, "support": 3, "usage": 3}
_FREEMAIL_ACCOUNTS = 2
_MAPPED_LATER_ACCOUNTS = 3
_GONE_NEVER = np.iinfo(np.int64).max


def source_accounts(world: World, kind: SourceKind) -> Deliveries:
    """The `source_account` rows of one kind's system; the CRM's extracts are complete, as are two small systems'."""
    return _crm_accounts(world) if kind == "crm" else _other_accounts(world, kind)


def ordinary_accounts(world: World) -> np.ndarray:
    """Accounts without a story that stay, so that a gap in their mapping hides no story; by index."""
    calm = (world.stories.kind < 0) & np.isnat(world.contracts.ended_at)
    return np.flatnonzero(calm & (load_of(world.accounts.started_at) == 0))


def _crm_accounts(world: World) -> Deliveries:
    accounts, contracts = world.accounts, world.contracts
    # A duplicate is a second record of the same company that somebody created by mistake; nothing refers to it.
    originals = ordinary_accounts(world)[-DUPLICATE_PAIRS:]
    rows = np.concatenate([np.arange(world.count), originals])
    is_duplicate = np.arange(len(rows)) >= world.count
    created_at = accounts.created_at[rows] + np.where(is_duplicate, days(40), days(0))
    started_at = np.where(is_duplicate, NEVER, accounts.started_at[rows])
    settled_at = started_at + days(90)
    ended_at = np.where(is_duplicate, NEVER, contracts.end_recorded_at[rows])
    returned_at = np.where(is_duplicate, NEVER, contracts.returned_at[rows])
    settled_at = np.where(settled_at >= ended_at, NEVER, settled_at)
    changed_at = np.where(is_duplicate, NEVER, accounts.owner_changed_at[rows])
    record, at = versions_at(created_at, started_at, settled_at, ended_at, returned_at, changed_at)
    account = rows[record]
    stage = np.where(at >= started_at[record], 1, 0)
    stage = np.where(at >= settled_at[record], 2, stage)
    stage = np.where(at >= ended_at[record], 3, stage)
    stage = np.where(at >= returned_at[record], 2, stage)
    lacks_industry, lacks_size = (world.stream("crm fields").random((2, len(rows))) < 0.06)[:, record]
    crm_ids = pa.concat_arrays([world.source_ids["crm"], joined(world.account_ids("crm", originals), "-2")])
    name = np.where(is_duplicate, np.char.add(accounts.name[rows], " Inc."), accounts.name[rows])[record]
    has_parent = (accounts.parent[account] >= 0) & ~is_duplicate[record]
    owner = np.where(at >= changed_at[record], accounts.next_owner[account], accounts.owner[account])
    table = contract_table(
        "source_account",
        "crm",
        len(record),
        {
            "source_account_id": crm_ids.take(pa.array(record)),
            "name": name,
            "domain": accounts.domain[account],
            "website": np.char.add("https://www.", accounts.domain[account]),
            "parent_source_account_id": pick(
                world.source_ids["crm"], np.where(has_parent, accounts.parent[account], -1)
            ),
            "country": pick(COUNTRIES, accounts.country[account]),
            "industry": pick(INDUSTRIES, np.where(lacks_industry, -1, accounts.industry[account])),
            "employee_count": np.where(lacks_size, np.nan, accounts.employees[account]),
            "annual_revenue": accounts.annual_revenue[account],
            "segment": pick(SEGMENTS, accounts.segment[account]),
            "lifecycle_stage": pick(("prospect", "onboarding", "customer", "former_customer"), stage),
            "customer_since": known_by(started_at[record], at),
            "owner_email": pick(OWNERS, owner),
            "source_created_at": created_at[record],
            "source_updated_at": at,
        },
    )
    gone = np.full(len(record), _GONE_NEVER)
    gone[record == world.count] = MERGED_AWAY_LOAD
    gone[record == _erased(world)] = ERASED_LOAD
    return complete("source_account", table, record, load_of(at), gone)


def _erased(world: World) -> int:
    """The former customer whose CRM record is erased; -1 where nobody left early enough."""
    is_gone = np.isnat(world.contracts.returned_at)
    left = np.flatnonzero((load_of(world.contracts.end_recorded_at) < ERASED_LOAD - 4) & is_gone)
    return int(left[0]) if len(left) else -1


def gaps(world: World, kind: SourceKind) -> dict[str, np.ndarray]:
    """Which accounts a system does not tell by the CRM's id.

    Returns
    -------
    dict
        Of boolean arrays of shape (accounts,): `unmapped` (neither id nor domain), `freemail` (the domain of a free
        mail host), `mapped_later` (neither, until an id is entered), `domain_only`.
    """
    rng = world.stream(f"gaps {kind}")
    ordinary = ordinary_accounts(world)
    order = rng.permutation(ordinary[: max(0, len(ordinary) - DUPLICATE_PAIRS)])
    sizes = {
        "unmapped": _UNMAPPED.get(kind, 0),
        "freemail": _FREEMAIL_ACCOUNTS if kind == "support" else 0,
        "mapped_later": _MAPPED_LATER_ACCOUNTS if kind == "support" else 0,
    }
    masks, begin = {}, 0
    for name, size in sizes.items():
        masks[name] = np.isin(np.arange(world.count), order[begin : begin + size])
        begin += size
    taken = masks["unmapped"] | masks["freemail"] | masks["mapped_later"]
    masks["domain_only"] = (rng.random(world.count) < _DOMAIN_ONLY_SHARE) & ~taken
    return masks


def _other_accounts(world: World, kind: SourceKind) -> Deliveries:
    accounts, contracts = world.accounts, world.contracts
    rows = np.flatnonzero(world.is_known[kind])
    masks = {name: mask[rows] for name, mask in gaps(world, kind).items()}
    rng = world.stream(f"{kind} accounts")
    # A system meets an account within its first days; billing on the first one.
    started_at = accounts.started_at[rows]
    created_at = started_at + (days(0) if kind == "billing" else days(rng.uniform(0.05, 3, len(rows))))
    mapped_at = np.where(
        masks["mapped_later"], np.datetime64("2025-11-17", "us") + days(7 * MAPPED_LATER_LOAD - 2.4), NEVER
    )
    ended_at = contracts.end_recorded_at[rows]
    ended_at = np.where(ended_at > created_at, ended_at, NEVER)
    returned_at = contracts.returned_at[rows]
    record, at = versions_at(created_at, mapped_at, ended_at, returned_at)
    account = rows[record]
    knows_id = ~(masks["unmapped"] | masks["freemail"] | masks["domain_only"])[record]
    knows_id &= ~masks["mapped_later"][record] | (at >= mapped_at[record])
    knows_domain = ~(masks["unmapped"] | masks["mapped_later"])[record]
    domain = np.where(masks["freemail"][record], _FREEMAIL, accounts.domain[account])
    has_ended = (at >= ended_at[record]) & ~(at >= returned_at[record])
    is_unnamed = masks["unmapped"][record]
    name = np.where(is_unnamed, np.char.add("Account ", account.astype(str)), accounts.name[account])
    owner = pick(OWNERS, accounts.owner[account]) if kind == "cs" else None
    table = contract_table(
        "source_account",
        kind,
        len(record),
        {
            "source_account_id": world.account_ids(kind, account),
            "name": name,
            "domain": pc.if_else(pa.array(knows_domain), pa.array(domain), pa.scalar(None, pa.string())),
            "external_account_id": pick(world.source_ids["crm"], np.where(knows_id, account, -1)),
            "country": pick(COUNTRIES, accounts.country[account]),
            "lifecycle_stage": pick(("active", "inactive"), has_ended.astype(int)),
            "customer_since": started_at[record] if kind == "billing" else None,
            "owner_email": owner,
            "source_created_at": created_at[record],
            "source_updated_at": at,
        },
    )
    if kind in ("projects", "risk"):
        return complete("source_account", table, record, load_of(at), np.full(len(record), _GONE_NEVER))
    if kind == "usage":
        moved, load = _moved_workspaces(world)
        return Deliveries("source_account", pa.concat_tables([table, moved]), np.concatenate([load_of(at), load]))
    return Deliveries("source_account", table, load_of(at))


def _moved_workspaces(world: World) -> tuple[pa.Table, np.ndarray]:
    """The new workspaces of accounts that are moved: unknown to everybody until somebody enters the CRM's id."""
    moved = np.flatnonzero(world.stories.accounts_in("planned_migration"))
    rng = world.stream("moved workspaces")
    created_at = week_start(world.stories.start_week[moved]) - days(rng.uniform(0.5, 3, len(moved)))
    mapped_at = created_at + days(rng.uniform(21, 34, len(moved)))
    record, at = versions_at(created_at, mapped_at)
    account = moved[record]
    table = contract_table(
        "source_account",
        "usage",
        len(record),
        {
            "source_account_id": world.new_workspace(account),
            "name": np.char.add(world.accounts.name[account], " (2)"),
            "external_account_id": pick(world.source_ids["crm"], np.where(at >= mapped_at[record], account, -1)),
            "lifecycle_stage": "active",
            "source_created_at": created_at[record],
            "source_updated_at": at,
        },
    )
    return table, load_of(at)
