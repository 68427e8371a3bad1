"""Approved actions that hold, for other systems to pull: who approved what on which packet. It sends nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from health_pipeline.contract.case_states import EFFECTIVE
from health_pipeline.policy.review import ReviewPolicy
from health_pipeline.review import people
from health_pipeline.review.cases import Approval, Case, Proposal, approval_holds
from health_pipeline.review.database import in_parts
from health_pipeline.review.events import Draft, append, event_of_key, head, read_events
from health_pipeline.review.fold import fold
from health_pipeline.review.forms import ReadForm
from health_pipeline.review.people import FOUR_EYES_SET, USER_SET
from health_pipeline.review.permissions import Person
from health_pipeline.review.projection import CaseFilter, find_cases, query_cases, save_cases
from health_pipeline.review.schema import EVENT
from health_pipeline.review.states import BY_ACTION
from health_pipeline.review.stop_rules import Question, stopped_by_rules
from health_pipeline.review.tokens import DeskToken

HANDED_OUT = "action_handed_out"
# Looking changes nothing that an action rests on.
_LOOKING = ("packet_viewed", "evidence_opened", HANDED_OUT)


@dataclass(frozen=True)
class ApprovedAction:
    """One option of an approved proposal, with its approval.

    Attributes
    ----------
    action_id : the same as long as the approval is the same one; to be done once
    seq : the newest event of the ledger that could have brought it (back) into the queue
    approval_seq, approval_hash : where the approval stands in the ledger's chain
    """

    action_id: str
    seq: int
    mitigation: str
    case: Case
    proposal: Proposal
    approval: Approval
    approval_seq: int
    approval_hash: str


@dataclass(frozen=True)
class Withheld:
    """A case with an approval whose actions are not in the queue now, and why."""

    case: Case
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ActionQueue:
    """The queue at one instant, in the order of `seq`; `head_seq` is the ledger's newest event then."""

    actions: tuple[ApprovedAction, ...]
    withheld: tuple[Withheld, ...]
    head_seq: int
    checked_at: datetime

    def page(self, after: int, size: int) -> tuple[tuple[ApprovedAction, ...], int, bool]:
        """What came after a number: some of it, the number to go on from, and whether that was all.

        Time alone only takes actions away; what brings one back is an event, and `seq` is that event's number. So who
        goes on from the number of the page before misses nothing, and may get an action twice. What came with one
        event is never split, so that a page may be longer than `size`.
        """
        found = [one for one in self.actions if one.seq > after]
        if len(found) <= size:
            return tuple(found), max(after, self.head_seq), True
        last = found[size - 1].seq
        return tuple(one for one in found if one.seq <= last), last, found[-1].seq <= last


def action_id(approval: Approval, mitigation: str) -> str:
    """The id of one option under one approval."""
    return f"act_{hashlib.sha256(f'{approval.event_id}:{mitigation}'.encode()).hexdigest()[:32]}"


def withheld_because(
    case: Case,
    everybody: Mapping[str, Person],
    policy: ReviewPolicy,
    is_four_eyes_on: bool,
    now: datetime,
) -> tuple[str, ...]:
    """Why a case's approved actions may not leave; nothing where they may.

    The approval must hold, and whoever gave it could give it today: every stop rule of approving is asked again, with
    them as the actor. Nobody stands between this queue and who acts on it, so it is stricter than the desk.
    """
    if not approval_holds(case, now):
        return ("No approval holds: it has expired, or what it was given for has changed.",)
    approval, proposal = case.approval, case.proposal
    assert approval is not None and proposal is not None  # it holds
    if proposal.decision == "accept":
        return ("The risk was accepted; no action was approved.",)
    owner = everybody.get(case.owner_email or "")
    question = Question(
        case,
        BY_ACTION["approve"],
        ReadForm({}, {}),
        approval.approved_by,
        everybody.get(approval.approved_by),
        owner.team if owner else None,
        policy,
        is_four_eyes_on,
        now,
    )
    return tuple(rule.reason for rule in stopped_by_rules(question, ("not_permitted", *question.transition.guards)))


def read_action_queue(
    connection: Connection, policy: ReviewPolicy, options: Collection[str], now: datetime
) -> ActionQueue:
    """The queue as it is, from one state of the ledger.

    Parameters
    ----------
    connection : in a transaction that sees one state: `database.reading` or `database.writing`
    options : ids of the playbooks; what is none of them stays, for it could be words that somebody typed
    """
    newest = head(connection)
    effective = query_cases(connection, CaseFilter(states=EFFECTIVE))
    cases = [one for one in effective if one.approval and one.proposal and one.proposal.decision == "mitigate"]
    everybody = {person.email: person for person in people.list_people(connection)}
    is_four_eyes_on = people.is_four_eyes_on(connection)
    ids = [one.case_id for one in cases]
    changed = _changed(connection, ids)
    of_person = _changed_people(connection)
    given, done = _given_and_done(connection, ids)
    actions: list[ApprovedAction] = []
    withheld: list[Withheld] = []
    for case in cases:
        reasons = withheld_because(case, everybody, policy, is_four_eyes_on, now)
        if reasons:
            withheld.append(Withheld(case, reasons))
            continue
        approval, proposal = case.approval, case.proposal
        assert approval is not None and proposal is not None  # nothing withholds it
        concerned = {approval.approved_by, (case.owner_email or "").lower(), ""}
        seq = max(changed[case.case_id], *(of_person.get(one, 0) for one in concerned))
        number, digest = given[approval.event_id]
        actions += [
            ApprovedAction(action_id(approval, one), seq, one, case, proposal, approval, number, digest)
            for one in proposal.mitigations
            if one in options and (approval.event_id, one) not in done
        ]
        if any(one not in options for one in proposal.mitigations):
            withheld.append(Withheld(case, ("An option that was approved is not, or no longer, in the playbooks.",)))
    actions.sort(key=lambda one: (one.seq, one.action_id))
    withheld.sort(key=lambda one: one.case.case_id)
    return ActionQueue(tuple(actions), tuple(withheld), newest.seq if newest else 0, now)


def note_handed_out(connection: Connection, token: DeskToken, actions: Iterable[ApprovedAction], now: datetime) -> int:
    """Record, once for each system and action, that the action was given to it; how many were new.

    Parameters
    ----------
    connection : of `database.writing`
    """
    new = [one for one in actions if event_of_key(connection, handed_out_key(token, one.action_id)) is None]
    cases = find_cases(connection, sorted({one.case.case_id for one in new}))
    for one in new:
        case = cases[one.case.case_id]
        payload = {
            "action_id": one.action_id,
            "mitigation": one.mitigation,
            "approval_event_id": one.approval.event_id,
            "token_id": token.token_id,
        }
        (event,) = append(
            connection,
            [
                Draft(
                    HANDED_OUT,
                    token.actor,
                    now,
                    payload,
                    case.case_id,
                    case.version,
                    case.packet_hash,
                    handed_out_key(token, one.action_id),
                )
            ],
        )
        cases[case.case_id] = fold(case, event)
    save_cases(connection, cases.values(), set(cases))
    return len(new)


def handed_out_key(token: DeskToken, wanted: str) -> str:
    """The idempotency key under which it is recorded that a system was given an action."""
    return f"handed-out:{token.token_id}:{wanted}"


def _changed(connection: Connection, case_ids: Sequence[str]) -> dict[str, int]:
    """The newest event of each case that is more than a look."""
    found: dict[str, int] = {}
    for part in in_parts(case_ids):
        query = (
            select(EVENT.c.case_id, func.max(EVENT.c.seq).label("seq"))
            .where(EVENT.c.case_id.in_(part), EVENT.c.type.not_in(_LOOKING))
            .group_by(EVENT.c.case_id)
        )
        found |= {row.case_id: row.seq for row in connection.execute(query)}
    return found


def _changed_people(connection: Connection) -> dict[str, int]:
    """The newest event that changed each user, by address; under the empty address the newest turn of the switch."""
    found: dict[str, int] = {}
    for event in read_events(connection, types=(USER_SET, FOUR_EYES_SET)):
        found[event.payload["email"] if event.type == USER_SET else ""] = event.seq
    return found


def _given_and_done(
    connection: Connection, case_ids: Sequence[str]
) -> tuple[dict[str, tuple[int, str]], set[tuple[str, str]]]:
    """Number and hash of each approval by its event id; and which options were done under which approval."""
    given: dict[str, tuple[int, str]] = {}
    done: set[tuple[str, str]] = set()
    for event in read_events(connection, case_ids, ("approved", "action_taken")):
        if event.type == "approved":
            given[event.event_id] = (event.seq, event.hash)
        else:
            done.add((event.payload["approval_event_id"], event.payload["mitigation"]))
    return given, done
