"""Overrides of a tier: asked for by one person, set by another, withdrawn; and what forbids each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, get_args

from health_pipeline.policy.review import ReviewPolicy
from health_pipeline.review.cases import Event, TextRef
from health_pipeline.review.database import LedgerError
from health_pipeline.review.permissions import Person, covers

OverrideTier = Literal["at_risk", "watch", "healthy", "expansion_ready"]
TIERS: tuple[str, ...] = get_args(OverrideTier)
REQUESTED, SET, WITHDRAWN = "tier_override_requested", "tier_override_set", "tier_override_withdrawn"
TYPES = (REQUESTED, SET, WITHDRAWN)
OverrideAct = Literal["request_override", "set_override", "withdraw_override"]


class OverrideRefusedError(LedgerError):
    """An override was refused; the refusal is in the ledger, and the sentence says why."""


@dataclass(frozen=True)
class Override:
    """A person's wish that an account is treated as another tier; it holds from `approved_at` until `expires_at`."""

    override_id: str
    account_id: str
    tier: OverrideTier
    reason: TextRef
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Approved, not withdrawn, not expired."""
        return self.approved_at is not None and self.withdrawn_at is None and now < self.expires_at


def fold_overrides(events: Iterable[Event]) -> dict[str, Override]:
    """Every override by id, in the order in which they were asked for."""
    found: dict[str, Override] = {}
    for event in events:
        values = event.payload
        name = values["override_id"] if event.type in TYPES else ""
        if event.type == REQUESTED:
            found[name] = Override(
                override_id=name,
                account_id=values["account_id"],
                tier=values["tier"],
                reason=TextRef(**values["texts"]["reason"]),
                requested_by=event.actor,
                requested_at=event.at,
                expires_at=datetime.fromisoformat(values["expires_at"]),
            )
        elif event.type == SET:
            found[name] = replace(found[name], approved_by=event.actor, approved_at=event.at)
        elif event.type == WITHDRAWN:
            found[name] = replace(found[name], withdrawn_by=event.actor, withdrawn_at=event.at)
    return found


def request_payload(account_id: str, tier: str, reason: str, expires_on: date, now: datetime) -> dict[str, Any]:
    """What the event of a request holds; its reason comes as a text.

    Raises
    ------
    LedgerError
        If the tier is none, the reason is empty, or the end has passed.
    """
    if tier not in TIERS:
        raise LedgerError(f"{tier!r} is no tier to override with; the tiers are {', '.join(TIERS)}.")
    if not reason.strip():
        raise LedgerError("An override says why: its reason is empty.")
    ends = datetime.combine(expires_on + timedelta(days=1), time(), UTC)
    if ends <= now:
        raise LedgerError(f"The override would have ended on {expires_on}; give a day that is to come.")
    return {"account_id": account_id, "tier": tier, "expires_at": ends.isoformat()}


def forbidden(
    act: OverrideAct,
    person: Person | None,
    actor: str,
    owner: Person | None,
    owner_email: str | None,
    override: Override | None,
    policy: ReviewPolicy,
    now: datetime,
) -> tuple[str, str] | None:
    """The stop rule that forbids it, and why in one sentence; None where nothing does.

    Parameters
    ----------
    owner_email : who owns the account's newest case; None where it has none or nobody owns it
    """
    permission = "approve_override" if act == "set_override" else "request_override"
    if not covers(person, permission, owner_email, owner.team if owner else None):
        who = "a lead" if act == "set_override" else "the account's owner or a lead"
        return "not_permitted", f"{actor} may not do that; {who} does."
    if act == "request_override" or override is None:
        return None
    if override.withdrawn_at is not None:
        return "state_forbids", f"The override was withdrawn by {override.withdrawn_by}; ask for another one."
    if act == "withdraw_override":
        return None
    if override.approved_at is not None:
        return "state_forbids", f"The override was set by {override.approved_by} already."
    if override.requested_by == actor:
        return "same_person", "An override is set by another person than the one who asked for it."
    if override.expires_at <= now:
        return "state_forbids", "The override's end has passed; ask for another one."
    if override.expires_at > now + timedelta(days=policy.acceptance_longest_days + 1):
        days = policy.acceptance_longest_days
        return "acceptance_incomplete", f"An override holds for at most {days} days; ask for a shorter one."
    return None
