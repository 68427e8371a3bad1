"""The risk register: entries somebody wrote down, some of them weeks after the cause and some without one."""

from __future__ import annotations

import numpy as np

from health_pipeline.sources.demo.accounts import OWNERS
from health_pipeline.sources.demo.calendar import END, NEVER, WEEKS, days, load_of, week_start
from health_pipeline.sources.demo.columns import (
    Deliveries,
    complete,
    contract_table,
    ids,
    known_by,
    pick,
    versions_at,
)
from health_pipeline.sources.demo.story_shapes import SHAPES
from health_pipeline.sources.demo.world import World

_CATEGORIES = {
    "sponsor_leaves": ("Sponsor left", "sponsor_stakeholder"),
    "value_never_reached": ("Little value so far", "value_outcome"),
    "defect_storm": ("Repeated defects", "product_quality"),
    "payment_trouble": ("Open invoices", "commercial_payment"),
    "competitor_evaluation": ("Competitor in evaluation", "competitive"),
    "delivery_slip": ("Go-live late", "delivery"),
    "quiet_decline": ("Use is declining", "adoption"),
}
_OTHER = ("General concern", "engagement_silence")
_NOTICED = {"risk": 0.55, "growth": 0.0, "lookalike": 0.2}
_STATUS = ("open", "mitigating", "closed")
_NEVER_GONE = np.iinfo(np.int64).max


def risk_deliveries(world: World) -> list[Deliveries]:
    """Entries (a whole list each time) and the history of their changes."""
    rng = world.stream("risk register")
    stories = world.stories
    # What only looks like a risk is entered as that risk now and then.
    names = [shape.resembles or shape.name for shape in SHAPES]
    chance = [
        _NOTICED[shape.meaning] if name in _CATEGORIES else 0.0 for shape, name in zip(SHAPES, names, strict=True)
    ]
    seen = np.flatnonzero(rng.random(world.count) < np.array([*chance, 0.0])[stories.kind])
    noticed_week = stories.start_week[seen] + rng.integers(2, 9, len(seen))
    in_time = noticed_week < WEEKS
    seen, noticed_week = seen[in_time], noticed_week[in_time]
    feared, feared_week = np.nonzero(world.contracts.is_live & (rng.random((world.count, WEEKS)) < 0.004))
    account = np.concatenate([seen, feared])
    kind = np.concatenate([stories.kind[seen], np.full(len(feared), -1)])
    identified_at = week_start(np.concatenate([noticed_week, feared_week])) + days(rng.uniform(1.3, 4.7, len(account)))
    kept = world.in_contract(account, identified_at) & world.is_known["risk"][account]
    kept = np.flatnonzero(kept)[np.argsort(identified_at[kept], kind="stable")]
    account, kind, identified_at = account[kept], kind[kept], identified_at[kept]
    count = len(account)
    mitigating_at = identified_at + days(rng.uniform(5, 30, count))
    closed_at = identified_at + days(rng.uniform(50, 160, count))
    mitigating_at = np.where(rng.random(count) < 0.7, mitigating_at, NEVER)
    ended_at = world.contracts.ended_at[account]
    closed_at = np.where(ended_at < closed_at, ended_at, closed_at)
    mitigating_at = np.where(mitigating_at < closed_at, mitigating_at, NEVER)
    record, at = versions_at(identified_at, mitigating_at, closed_at)
    is_closed, is_mitigating = at >= closed_at[record], at >= mitigating_at[record]
    texts = [_CATEGORIES.get(name, _OTHER) for name in names] + [_OTHER]
    has_left = is_closed & (closed_at == ended_at)[record]
    table = contract_table(
        "risk",
        "risk",
        len(record),
        {
            "risk_id": ids("R-", record + 1, 5),
            "source_account_id": world.account_ids("risk", account[record]),
            "title": pick([title for title, _ in texts], kind[record] % len(texts)),
            "category": pick([category for _, category in texts], kind[record] % len(texts)),
            "likelihood": (2 + rng.integers(0, 3, count))[record],
            "impact": (2 + rng.integers(0, 4, count))[record],
            "status": pick(_STATUS, np.where(is_closed, 2, is_mitigating.astype(int))),
            "mitigation": pick(("Plan agreed with the account team.",), np.where(is_mitigating, 0, -1)),
            "owner_email": pick(OWNERS, world.accounts.owner[account[record]]),
            "identified_at": identified_at[record],
            "target_date": identified_at[record] + days(60),
            "closed_at": known_by(closed_at[record], at),
            "close_reason": pick(("resolved", "customer left"), np.where(is_closed, has_left.astype(int), -1)),
            "source_created_at": identified_at[record],
            "source_updated_at": at,
        },
    )
    entries = complete("risk", table, record, load_of(at), np.full(len(record), _NEVER_GONE))
    return [entries, _history(world, account, mitigating_at, closed_at)]


def _history(world: World, account: np.ndarray, mitigating_at: np.ndarray, closed_at: np.ndarray) -> Deliveries:
    rows = np.arange(len(account))
    risk, at = np.tile(rows, 2), np.concatenate([mitigating_at, closed_at])
    to = np.repeat([1, 2], len(rows))
    came_from = np.where((to == 2) & ~np.isnat(mitigating_at[risk]), 1, 0)
    kept = np.flatnonzero(at < END)
    kept = kept[np.lexsort((at[kept], risk[kept]))]
    at = at[kept]
    table = contract_table(
        "risk_history",
        "risk",
        len(kept),
        {
            "risk_id": ids("R-", risk[kept] + 1, 5),
            "changed_at": at,
            "field": "status",
            "old_value": pick(_STATUS, came_from[kept]),
            "new_value": pick(_STATUS, to[kept]),
            "changed_by": pick(OWNERS, world.accounts.owner[account[risk[kept]]]),
            "source_created_at": at,
            "source_updated_at": at,
        },
    )
    return Deliveries("risk_history", table, load_of(at))
