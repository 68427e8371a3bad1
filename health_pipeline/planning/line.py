"""The capacity line: who comes first, what fits into an owner's hours, what would enter with a tenth more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from health_pipeline.policy.capacity import CapacityPolicy

# Where revenue is unknown for every account, the order rests on the tier and the score alone.
_NO_REVENUE_KNOWN = 1.0
_RISK_WITHOUT_SCORE = 0.5


@dataclass(frozen=True)
class Candidate:
    """What the order and the line need to know of an account."""

    account_id: str
    effective_tier: str
    score: float | None
    arr_reporting: float | None
    owner_email: str | None
    hours: float


@dataclass(frozen=True)
class Place:
    """Where an account stands: its rank (1 is first), and on which side of its owner's line."""

    account_id: str
    rank: int
    is_within_capacity: bool
    would_enter_at_plus_10_percent: bool


def urgency(candidate: Candidate, typical_arr: float, capacity: CapacityPolicy) -> float:
    """Weight of the tier x risk x revenue.

    Risk is `(100 - score) / 100`; readiness (`score / 100`) takes its place for an expansion-ready account,
    and one half where there is no score. Unknown revenue counts as the typical one: unknown is not zero.
    """
    if candidate.score is None:
        risk = _RISK_WITHOUT_SCORE
    elif candidate.effective_tier == "expansion_ready":
        risk = candidate.score / 100
    else:
        risk = (100 - candidate.score) / 100
    arr = typical_arr if candidate.arr_reporting is None else candidate.arr_reporting
    weights: dict[str, float] = {str(tier): weight for tier, weight in capacity.tier_weights.items()}
    return weights[candidate.effective_tier] * risk * arr


def draw_line(candidates: Sequence[Candidate], capacity: CapacityPolicy) -> list[Place]:
    """Order the accounts and draw each owner's line.

    Unowned accounts come first, then by urgency, then by account_id. An owner works down his or her accounts
    in that order: the first that does not fit, and all after it, are below the line. Minutes are whole
    numbers, so that the line does not hang on a rounding.

    Parameters
    ----------
    candidates : accounts of one week, one per account_id, in any order
    capacity : hours per owner

    Returns
    -------
    list of Place
        In plan order.
    """
    revenues = [c.arr_reporting for c in candidates if c.arr_reporting is not None]
    typical = median(revenues) if revenues else _NO_REVENUE_KNOWN
    ordered = sorted(
        candidates,
        key=lambda c: (
            c.owner_email is not None,
            -round(urgency(c, typical, capacity), 6),
            c.account_id,
        ),
    )
    used: dict[str | None, int] = {}
    places = []
    for rank, candidate in enumerate(ordered, start=1):
        owner = candidate.owner_email.strip().lower() if candidate.owner_email is not None else None
        available = round(capacity.hours_of(owner) * 60)
        used[owner] = used.get(owner, 0) + round(candidate.hours * 60)
        fits = used[owner] <= available
        fits_with_tenth_more = used[owner] * 10 <= available * 11
        places.append(Place(candidate.account_id, rank, fits, fits_with_tenth_more and not fits))
    return places
