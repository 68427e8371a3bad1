"""Overrides of a tier as a page shows them: how each stands, why it was asked for, what this person may do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from health_pipeline.review.cases import Case
from health_pipeline.review.desk.history import ERASED, HIDDEN
from health_pipeline.review.desk.visits import Desk, Visit
from health_pipeline.review.overrides import Override

WAITS, HOLDS = "waits for a lead", "holds"


@dataclass(frozen=True)
class ShownOverride:
    """One override; `why` is its reason, or what stands instead of it for this reader.

    Attributes
    ----------
    may : the acts that this person may ask for now
    """

    override: Override
    state: str
    account_name: str
    why: str
    may: tuple[str, ...] = ()

    @property
    def place(self) -> int:
        """In a list: what waits for somebody first, then what holds, then what is over."""
        return {WAITS: 0, HOLDS: 1}.get(self.state, 2)


def shown_overrides(desk: Desk, visit: Visit, cases: Sequence[Case]) -> list[ShownOverride]:
    """The overrides of accounts that the person may see, in the order in which they were asked for.

    Parameters
    ----------
    cases : of any accounts, in the queue's order: who owns an account is known from its first case
    """
    owner_of: dict[str, str | None] = {}
    for case in cases:
        owner_of.setdefault(case.account_id, case.owner_email)
    there = [
        one
        for one in desk.ledger.overrides()
        if one.account_id in owner_of and visit.may("view", owner_of[one.account_id])
    ]
    texts = desk.ledger.texts([one.reason for one in there]) if there else {}
    return [
        ShownOverride(
            one,
            state_of(one, visit.now),
            desk.published.name(one.account_id),
            (texts.get(one.reason.text_id) or ERASED) if visit.may("read_notes", owner_of[one.account_id]) else HIDDEN,
            _may(visit, one, owner_of[one.account_id]),
        )
        for one in there
    ]


def state_of(one: Override, now: datetime) -> str:
    """How an override stands, in words."""
    if one.withdrawn_at is not None:
        return "withdrawn"
    if now >= one.expires_at:
        return "ended"
    return WAITS if one.approved_at is None else HOLDS


def _may(visit: Visit, one: Override, owner_email: str | None) -> tuple[str, ...]:
    """What is offered; the ledger judges it again when it is asked for."""
    state = state_of(one, visit.now)
    found = []
    if state == WAITS and visit.may("approve_override", owner_email) and one.requested_by != visit.me.email:
        found.append("set_override")
    if state in {WAITS, HOLDS} and visit.may("request_override", owner_email):
        found.append("withdraw_override")
    return tuple(found)
