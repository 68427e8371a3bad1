"""What happened to a case that ended, out of its events: what was approved and done, how the customer answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from health_pipeline.review.cases import Case, Event


@dataclass(frozen=True)
class DoneAction:
    """One action that a person recorded."""

    mitigation: str
    channel: str
    done_on: date


@dataclass(frozen=True)
class Happened:
    """A case's life since it was detected, or reopened last.

    Attributes
    ----------
    decision : mitigate or accept, of the newest approval; None where nothing was approved
    responses : how the customer answered, in order
    """

    ended_by: str
    ended_on: date
    decision: str | None = None
    mitigations: tuple[str, ...] = ()
    approved_by: str | None = None
    approved_on: date | None = None
    actions: tuple[DoneAction, ...] = ()
    responses: tuple[str, ...] = ()


def what_happened(case: Case, events: Sequence[Event]) -> Happened | None:
    """What happened to a case; None while it is open.

    Parameters
    ----------
    events : all of the case's, in order
    """
    if not case.has_ended:
        return None
    again = max((place for place, one in enumerate(events) if one.type == "reopened"), default=-1)
    life = events[again + 1 :]
    ending = next(one for one in reversed(events) if one.payload.get("state") == case.state)
    approved = next((one for one in reversed(life) if one.type == "approved"), None)
    of_approval = approved.payload["proposal_event_id"] if approved else None
    proposed = _proposal(life, of_approval)
    return Happened(
        ended_by=ending.actor,
        ended_on=ending.at.date(),
        decision=proposed.payload["decision"] if proposed else None,
        mitigations=tuple(proposed.payload.get("mitigations", ())) if proposed else (),
        approved_by=approved.actor if approved else None,
        approved_on=approved.at.date() if approved else None,
        actions=tuple(_done(one) for one in life if one.type == "action_taken"),
        responses=tuple(one.payload["response"] for one in life if one.type == "response_recorded"),
    )


def _proposal(life: Sequence[Event], event_id: str | None) -> Event | None:
    """What was proposed before what was approved: a message written later goes with the same proposal."""
    place = next((n for n, one in enumerate(life) if one.event_id == event_id), None)
    if place is None:
        return None
    return next((one for one in reversed(life[: place + 1]) if one.type == "proposed"), None)


def _done(event: Event) -> DoneAction:
    given = event.payload.get("done_on")
    done_on = date.fromisoformat(given) if given else event.at.date()
    return DoneAction(event.payload["mitigation"], event.payload["channel"], done_on)
