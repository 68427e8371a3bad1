"""Records what people ask for about overrides of a tier: one transaction, one event, or a refusal with its reason."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from health_pipeline.policy.review import ReviewPolicy
from health_pipeline.review.cases import Event
from health_pipeline.review.decisions import REFUSED
from health_pipeline.review.events import Draft, append, event_of_key, read_events
from health_pipeline.review.overrides import (
    REQUESTED,
    SET,
    TYPES,
    WITHDRAWN,
    Override,
    OverrideAct,
    OverrideRefusedError,
    fold_overrides,
    forbidden,
    request_payload,
)
from health_pipeline.review.people import find_person
from health_pipeline.review.projection import CaseFilter, query_cases
from health_pipeline.review.texts import store_texts

EVENTS: dict[OverrideAct, str] = {"request_override": REQUESTED, "set_override": SET, "withdraw_override": WITHDRAWN}


@dataclass(frozen=True)
class OverrideRequest:
    """What somebody asks for: a new override of an account, or the setting or withdrawing of one that was asked for."""

    act: OverrideAct
    actor: str
    idempotency_key: str
    account_id: str = ""
    tier: str = ""
    expires_on: date | None = None
    reason: str = ""
    override_id: str = ""


def record(
    connection: Connection, key: bytes, policy: ReviewPolicy, asked: OverrideRequest, now: datetime
) -> tuple[Event, Override | None]:
    """Append the event; the override is None where it was refused. A repeated key gives the first event again.

    Raises
    ------
    LedgerError
        If what is asked for can't be read, or there is no such override.
    """
    first = event_of_key(connection, asked.idempotency_key)
    if first is None:
        first = _append(connection, key, policy, asked, now)
    if first.type == REFUSED:
        return first, None
    known = fold_overrides(read_events(connection, types=TYPES, up_to_seq=first.seq))
    return first, known[first.payload["override_id"]]


def _append(connection: Connection, key: bytes, policy: ReviewPolicy, asked: OverrideRequest, now: datetime) -> Event:
    override: Override | None = None
    payload: dict[str, Any] = {}
    if asked.act == "request_override":
        payload = request_payload(asked.account_id, asked.tier, asked.reason, asked.expires_on or date.min, now)
        payload["override_id"] = f"o-{uuid.uuid4().hex}"
    else:
        override = fold_overrides(read_events(connection, types=TYPES)).get(asked.override_id)
        if override is None:
            raise OverrideRefusedError(f"There is no override {asked.override_id!r}; ask for one first.")
        payload = dict(_of(override))
    account_id = payload["account_id"]
    owners = [one.owner_email for one in query_cases(connection, CaseFilter(account_ids=[account_id]))]
    owner_email = owners[0] if owners else None
    person, owner = find_person(connection, asked.actor), find_person(connection, owner_email)
    # Without a case nobody owns the account here: a lead asks, and another one sets.
    stopped = forbidden(asked.act, person, asked.actor, owner, owner_email, override, policy, now)
    if stopped is not None:
        rule_id, reason = stopped
        payload = {
            "action": asked.act,
            **payload,
            "rules": [{"rule_id": rule_id, "reason": reason, "released_by": "a lead of the account's team"}],
        }
        return append(connection, [Draft(REFUSED, asked.actor, now, payload, idempotency_key=asked.idempotency_key)])[0]
    if asked.reason.strip():
        payload = {**payload, "texts": store_texts(connection, key, None, {"reason": asked.reason.strip()})}
    draft = Draft(EVENTS[asked.act], asked.actor, now, payload, idempotency_key=asked.idempotency_key)
    return append(connection, [draft])[0]


def _of(override: Override) -> Mapping[str, Any]:
    """The event that sets or withdraws says all of it again, so that it can be read alone."""
    return {
        "override_id": override.override_id,
        "account_id": override.account_id,
        "tier": override.tier,
        "requested_by": override.requested_by,
        "expires_at": override.expires_at.isoformat(),
    }
