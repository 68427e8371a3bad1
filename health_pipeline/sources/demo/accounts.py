"""The customers of the demo company: who they are, when they came, what they pay and who looks after them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.sources.demo.calendar import HISTORY_START, NEVER, WEEKS, days, random_stream

OWNERS = tuple(
    f"{name}@example.com"
    for name in (
        "amara.osei", "ben.castell", "chloe.martin", "daniel.voss",
        "elena.rossi", "farid.nasser", "grace.lindqvist", "hugo.pereira",
    )
)  # fmt: skip
COUNTRIES = ("US", "CA", "GB", "DE", "FR", "NL")
CURRENCIES = ("USD", "EUR", "GBP")
INDUSTRIES = ("Software", "Manufacturing", "Logistics", "Healthcare", "Retail", "Financial Services")
SEGMENTS = ("SMB", "Mid-Market", "Enterprise")
SEGMENT_SHARES = (0.52, 0.34, 0.14)
SEGMENT_SEATS = (6, 24, 90)
_FIRST = (
    "Alder", "Amber", "Aspen", "Birch", "Blue", "Bright", "Cedar", "Clear", "Copper", "Coral", "Crest", "Delta",
    "Ember", "Fern", "Flint", "Forge", "Granite", "Harbor", "Hazel", "Iron", "Juniper", "Lark", "Linden", "Maple",
    "Meadow", "North", "Oak", "Onyx", "Pine", "Quartz", "Raven", "River", "Sable", "Silver", "Stone", "Summit",
    "Tidal", "Vale", "Willow", "Winter",
)  # fmt: skip
_SECOND = (
    "bank", "beam", "bridge", "brook", "castle", "cliff", "dale", "field", "gate", "grove", "haven", "hill", "lake",
    "land", "leaf", "light", "line", "mark", "mill", "path", "peak", "point", "port", "ridge", "root", "shore",
    "spring", "stead", "stream", "ton", "vale", "view", "ward", "water", "way", "well", "wind", "wood", "works",
    "yard",
)  # fmt: skip
_ENDINGS = ("Labs", "Industries", "Freight", "Clinics", "Stores", "Capital", "Group", "Partners")


@dataclass(frozen=True)
class Accounts:
    """Every customer of the two years; each array has shape (accounts,).

    `started_at` is when the first subscription began, `renewal_at` its first renewal after the history's start,
    `owner` and `next_owner` index OWNERS (-1: nobody), `parent` is an account's index or -1.
    """

    name: np.ndarray
    slug: np.ndarray
    country: np.ndarray
    currency: np.ndarray
    industry: np.ndarray
    segment: np.ndarray
    employees: np.ndarray
    annual_revenue: np.ndarray
    seats: np.ndarray
    price_per_seat: np.ndarray
    is_monthly: np.ndarray
    started_at: np.ndarray
    renewal_at: np.ndarray
    created_at: np.ndarray
    owner: np.ndarray
    next_owner: np.ndarray
    owner_changed_at: np.ndarray
    parent: np.ndarray

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.name)

    @property
    def domain(self) -> np.ndarray:
        """Mail and web domain, under the reserved top-level domain `example`."""
        return np.char.add(self.slug.astype(str), ".example")


def account_totals(customers: int) -> tuple[int, int]:
    """How many customers there are at the start, and how many join later, for about that many at any time."""
    return max(1, round(0.96 * customers)), max(1, round(0.27 * customers))


def _names(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct names, slugs and industries."""
    combinations = len(_FIRST) * len(_SECOND) * len(_ENDINGS)
    code = np.concatenate([rng.permutation(combinations) for _ in range(count // combinations + 1)])[:count]
    round_number = np.arange(count) // combinations
    first, rest = np.divmod(code, len(_SECOND) * len(_ENDINGS))
    second, ending = np.divmod(rest, len(_ENDINGS))
    stem = np.char.add(np.array(_FIRST)[first], np.array(_SECOND)[second])
    number = np.where(round_number > 0, (round_number + 1).astype(str), "")
    last = np.array(_ENDINGS)[ending]
    name = np.char.add(np.char.add(np.char.add(stem, number), " "), last)
    slug = np.char.lower(np.char.add(np.char.add(np.char.add(stem, number), "-"), last))
    industry = np.where(ending < len(INDUSTRIES), ending, rng.integers(0, len(INDUSTRIES), count))
    return name, slug, industry


def _starts(rng: np.random.Generator, at_start: int, joining: int) -> tuple[np.ndarray, np.ndarray]:
    """When each account's first subscription began, and its first renewal within or after the two years."""
    tenure_days = np.clip(rng.exponential(2.1 * 365, at_start), 20, 6.5 * 365)
    earlier = HISTORY_START - days(np.floor(tenure_days)) + days(rng.uniform(8, 18, at_start) / 24)
    # One account joins about every week, so that no week is without new customers.
    week = np.linspace(0.5, WEEKS - 2, joining) + rng.uniform(-0.4, 0.4, joining)
    later = HISTORY_START + days(np.floor(week * 7)) + days(rng.uniform(8, 18, joining) / 24)
    started_at = np.concatenate([earlier, later])
    years = np.maximum(np.ceil((HISTORY_START - started_at).astype(float) / days(365).astype(float)), 1)
    return started_at, started_at + days(365 * years)


def make_accounts(seed: int, customers: int) -> Accounts:
    """Draw the company's customers.

    Parameters
    ----------
    seed : of the company
    customers : about how many there are at any time; those who left and those who join come on top

    Returns
    -------
    Accounts
        In random order, so that an account's place says nothing about when it came.
    """
    rng = random_stream(seed, "accounts", customers)
    at_start, joining = account_totals(customers)
    count = at_start + joining
    started_at, renewal_at = _starts(rng, at_start, joining)
    order = rng.permutation(count)
    started_at, renewal_at = started_at[order], renewal_at[order]
    name, slug, industry = _names(rng, count)
    country = rng.choice(len(COUNTRIES), count, p=[0.62, 0.06, 0.12, 0.1, 0.06, 0.04])
    is_local = rng.random(count) < 0.75
    currency = np.where(is_local & (country >= 3), 1, np.where(is_local & (country == 2), 2, 0))
    # Three kinds of customer that really differ in size, so that there are segments to be found.
    segment = rng.choice(len(SEGMENTS), count, p=SEGMENT_SHARES)
    seats = np.clip(np.round(rng.lognormal(np.log(np.array(SEGMENT_SEATS)[segment]), 0.28)), 3, 200).astype(np.int64)
    employees = np.round(seats * rng.lognormal(np.log(14), 0.6, count)).astype(np.int64) + 5
    owner = rng.integers(0, len(OWNERS), count)
    owner[rng.random(count) < 0.035] = -1
    changes = rng.random(count) < 0.22
    next_owner = np.where(changes & (owner >= 0), (owner + rng.integers(1, len(OWNERS), count)) % len(OWNERS), -1)
    changed_at = HISTORY_START + days(rng.uniform(10, 7 * WEEKS - 10, count))
    is_child = rng.random(count) < 0.04
    parent = np.where(is_child, rng.integers(0, count, count), -1)
    # Two levels are enough: a parent is never a child itself.
    parent = np.where((parent >= 0) & (is_child[parent] | (parent == np.arange(count))), -1, parent)
    return Accounts(
        name=name,
        slug=slug,
        country=country,
        currency=currency,
        industry=industry,
        segment=segment,
        employees=employees,
        annual_revenue=np.round(employees * rng.lognormal(np.log(160_000), 0.4, count), -3),
        seats=seats,
        price_per_seat=np.round(rng.lognormal(np.log(1_150), 0.22, count), -1),
        is_monthly=rng.random(count) < np.where(segment == 0, 0.6, 0.3),
        started_at=started_at,
        renewal_at=renewal_at,
        created_at=started_at - days(rng.uniform(30, 120, count)),
        owner=owner,
        next_owner=next_owner,
        owner_changed_at=np.where((next_owner >= 0) & (changed_at > started_at), changed_at, NEVER),
        parent=parent,
    )
