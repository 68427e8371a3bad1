"""The ledger as others use it: open, look, decide, take a release in, verify. Every write is one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine

from health_pipeline.contract.case_states import EFFECTIVE
from health_pipeline.contract.clocks import SystemClock
from health_pipeline.contract.event_chain import ChainHead, ChainReport
from health_pipeline.observability.crash_points import crash_point
from health_pipeline.policy.review import ReviewPolicy, load_review
from health_pipeline.review import intake as packets
from health_pipeline.review import overriding, people, projection, texts
from health_pipeline.review.cases import Case, Event, TextRef
from health_pipeline.review.database import open_engine, reading, upgrade, writing
from health_pipeline.review.decisions import (
    REFUSED,
    Decision,
    Refusal,
    decision_draft,
    expiry_draft,
    refusal_draft,
    stopped_of,
)
from health_pipeline.review.drawn_accounts import DrawnAccount, read_drawn
from health_pipeline.review.events import Draft, append, event_of_key, head, read_events
from health_pipeline.review.failures import ConflictError, IdempotencyError, UnknownCaseError
from health_pipeline.review.fold import fold
from health_pipeline.review.forms import ReadForm, read_form
from health_pipeline.review.overrides import TYPES as OVERRIDE_TYPES
from health_pipeline.review.overrides import Override, OverrideRefusedError, fold_overrides
from health_pipeline.review.overriding import OverrideRequest
from health_pipeline.review.permissions import Person
from health_pipeline.review.projection import CaseFilter
from health_pipeline.review.states import BY_ACTION
from health_pipeline.review.stop_rules import Question, stopped_by
from health_pipeline.review.taking_in import last_week_taken_in, take_in
from health_pipeline.review.verification import verify_ledger
from health_pipeline.settings import Settings


@dataclass(frozen=True)
class Ledger:
    """The review's ledger. Open it with `Ledger.open(settings)`; close it, or use it in a `with` block."""

    engine: Engine
    key: bytes
    policy: ReviewPolicy
    clock: SystemClock

    @classmethod
    def open(cls, settings: Settings, clock: SystemClock | None = None) -> Self:
        """Open the ledger of `settings.ledger_url`; its tables are made or brought up to date.

        Raises
        ------
        LedgerTooNewError
            If it was written by newer code.
        LedgerError
            If the key of the texts can't be used.
        """
        engine = open_engine(settings.ledger_url)
        upgrade(engine)
        key = texts.text_key(settings.ledger_text_key)
        return cls(engine, key, load_review(settings.policy).model, clock or SystemClock())

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # Looking.

    def cases(self, wanted: CaseFilter | None = None) -> list[Case]:
        """Cases of a filter, in the queue's order."""
        with reading(self.engine) as connection:
            return projection.query_cases(connection, wanted or CaseFilter())

    def count(self, wanted: CaseFilter | None = None) -> int:
        """How many cases a filter has, whatever its limit."""
        with reading(self.engine) as connection:
            return projection.count_cases(connection, wanted or CaseFilter())

    def case(self, case_id: str) -> Case:
        """The case as it is now.

        Raises
        ------
        UnknownCaseError
            If there is none.
        """
        with reading(self.engine) as connection:
            return _found(connection, case_id)

    def events(
        self,
        case_id: str | None = None,
        account_id: str | None = None,
        types: Sequence[str] | None = None,
        after_seq: int = 0,
        limit: int | None = None,
    ) -> list[Event]:
        """Events in order: of a case, of all cases of an account, of some types, after a number; all by default."""
        with reading(self.engine) as connection:
            ids = None if case_id is None else [case_id]
            if account_id is not None:
                wanted = CaseFilter(account_ids=[account_id])
                ids = [one.case_id for one in projection.query_cases(connection, wanted)]
            return list(read_events(connection, ids, types, after_seq, limit=limit))

    def texts(self, references: Iterable[TextRef]) -> dict[str, str | None]:
        """What people wrote, by text id; None where it was erased. Who may read it is the caller's to check."""
        with reading(self.engine) as connection:
            return texts.read_texts(connection, [one.text_id for one in references])

    def head(self) -> ChainHead | None:
        """The chain's newest event; None while it is empty."""
        with reading(self.engine) as connection:
            return head(connection)

    def verify(self, anchors: Iterable[ChainHead] = ()) -> ChainReport:
        """Follow the whole chain, compare texts with their digests and cases with their events.

        Parameters
        ----------
        anchors : heads from releases' manifests; a tail that was cut off is found by them
        """
        with reading(self.engine) as connection:
            return verify_ledger(connection, self.key, anchors)

    # Deciding.

    def decide(
        self,
        case_id: str,
        action: str,
        actor: str,
        case_version: int,
        idempotency_key: str,
        form: Mapping[str, Any] | None = None,
    ) -> Decision | Refusal:
        """Record what a person decides about a case, or that and why it was refused.

        Parameters
        ----------
        action : one of `states.TRANSITIONS` that is not the system's
        actor : the signed-in person's address
        case_version : the version the person saw; another one is a conflict
        idempotency_key : made with the form; the same again gives the first result and records nothing
        form : the fields of `forms.FORMS[action]`, and `packet_hash`: the packet the person saw

        Returns
        -------
        Decision or Refusal
            Both are in the chain, and survive whatever happens after this returns.

        Raises
        ------
        FormError
            If the form can't be read.
        UnknownCaseError
            If there is no such case.
        ConflictError
            If somebody else was faster; it carries the case as it is now.
        IdempotencyError
            If the key was used for another request.
        """
        read = read_form(action, form or {})
        actor = actor.strip().lower()
        with writing(self.engine) as connection:
            first = event_of_key(connection, idempotency_key)
            if first is not None:
                return self._first_result(connection, first, case_id, action, actor, read)
            case = _found(connection, case_id)
            if case.version != case_version and BY_ACTION[action].is_change:
                raise ConflictError(case, _since(connection, case, case_version))
            result = self._judged(connection, case, action, actor, idempotency_key, read)
        crash_point("ledger.before_answer")
        return result

    def _judged(
        self, connection: Connection, case: Case, action: str, actor: str, key: str, read: ReadForm
    ) -> Decision | Refusal:
        owner = people.find_person(connection, case.owner_email)
        question = Question(
            case,
            BY_ACTION[action],
            read,
            actor,
            people.find_person(connection, actor),
            owner.team if owner else None,
            self.policy,
            people.is_four_eyes_on(connection),
            self.clock.now(),
        )
        if rules := stopped_by(question):
            event, after = _record(connection, case, refusal_draft(question, rules, key))
            return Refusal(event, after, rules)
        kept = texts.store_texts(connection, self.key, case.case_id, read.texts)
        event, after = _record(connection, case, decision_draft(question, kept, key))
        return Decision(event, after)

    def _first_result(
        self, connection: Connection, first: Event, case_id: str, action: str, actor: str, read: ReadForm
    ) -> Decision | Refusal:
        """What the first request with the key gave: the event, and the case as it was after it."""
        is_same = (first.case_id, first.payload.get("action"), first.actor) == (case_id, action, actor)
        is_refusal = first.type == REFUSED
        if is_same and not is_refusal:
            kept = first.payload.get("texts", {})
            is_same = all(first.payload.get(name) == value for name, value in read.values.items())
            is_same = is_same and kept.keys() == read.texts.keys()
        if not is_same:
            raise IdempotencyError("This form was sent before with other content; open the case again and decide anew.")
        case: Case | None = None
        for event in read_events(connection, [case_id], up_to_seq=first.seq):
            case = fold(case, event)
        assert case is not None  # its first event is its detection
        return Refusal(first, case, stopped_of(first)) if is_refusal else Decision(first, case)

    # What comes in, and what time does.

    def intake(self, release: packets.PublishedRelease) -> packets.Intake:
        """Take a release's packets in; again for a release that was taken in adds nothing.

        The weeks since the last one taken in, and the newest one; the very first time the newest alone: what was
        published before the ledger was there is history, and nobody decides on it now.
        """
        newest = release.published_weeks[-1:]
        with reading(self.engine) as connection:
            last = last_week_taken_in(connection)
        since = [week for week in release.published_weeks if last is not None and week > last]
        weeks = sorted({*since, *newest})
        reviewed = packets.read_reviewed(release) if newest else None
        return self.take_in(release.name, packets.read_packets(release, weeks), read_drawn(release, weeks), reviewed)

    def take_in(
        self,
        release: str,
        incoming: Sequence[packets.IncomingPacket],
        drawn: Sequence[DrawnAccount] = (),
        reviewed: packets.Reviewed | None = None,
    ) -> packets.Intake:
        """Take packets and drawn accounts in, in their order; what `intake` does once it has read them."""
        with writing(self.engine) as connection:
            return take_in(connection, release, incoming, drawn, reviewed, self.clock.now())

    def expire_due(self) -> list[Event]:
        """Note every approval and acceptance that has run out; those cases are reviewed again."""
        now = self.clock.now()
        with writing(self.engine) as connection:
            wanted = CaseFilter(waiting_at=now, states=EFFECTIVE)
            due = [
                one
                for one in projection.query_cases(connection, wanted)
                if one.approval is not None and one.approval.expires_at <= now
            ]
            return [_record(connection, one, expiry_draft(one, now))[0] for one in due]

    def rebuild(self) -> int:
        """Write the cases anew from the events; their number. Changes nothing unless somebody edited the cases."""
        with writing(self.engine) as connection:
            return projection.rebuild_cases(connection, list(read_events(connection)))

    def override(self, asked: OverrideRequest) -> Override:
        """Ask for an override of a tier, set one that another person asked for, or withdraw one.

        Raises
        ------
        OverrideRefusedError
            If a stop rule forbids it; that is in the ledger then, and nothing else is.
        LedgerError
            If tier, reason or end can't be read.
        """
        asked = replace(asked, actor=asked.actor.strip().lower())
        with writing(self.engine) as connection:
            event, found = overriding.record(connection, self.key, self.policy, asked, self.clock.now())
        if found is None:
            raise OverrideRefusedError(event.payload["rules"][0]["reason"])
        return found

    def overrides(self, until: datetime | None = None) -> list[Override]:
        """Every override in the order in which it was asked for; as it was at an instant, or as it is."""
        with reading(self.engine) as connection:
            events = read_events(connection, types=OVERRIDE_TYPES)
            return list(fold_overrides(one for one in events if until is None or one.at <= until).values())

    def accept_loss(self, anchor: ChainHead, by: str, reason: str) -> Event:
        """Go on after events were lost for good, on the record: releases are checked against that anchor no more.

        Raises
        ------
        LedgerError
            If `by` is no admin, or there is no reason.
        """
        with writing(self.engine) as connection:
            draft = people.loss_draft(connection, anchor, by.strip().lower(), reason, self.clock.now())
            kept = texts.store_texts(connection, self.key, None, {"reason": reason.strip()})
            return append(connection, [replace(draft, payload={**draft.payload, "texts": kept})])[0]

    # People.

    def people(self) -> list[Person]:
        """Every user, by address."""
        with reading(self.engine) as connection:
            return people.list_people(connection)

    def person(self, email: str) -> Person | None:
        """The user of that address, active or not."""
        with reading(self.engine) as connection:
            return people.find_person(connection, email)

    def set_person(self, person: Person, by: str) -> Event:
        """Add or change a user. The first admin may be added by anybody who can run the command; then only by one.

        Raises
        ------
        LedgerError
            If `by` may not, or the address or role is none.
        """
        with writing(self.engine) as connection:
            draft, person = people.person_draft(connection, person, by.strip().lower(), self.clock.now())
            kept = texts.store_texts(connection, self.key, None, {"name": person.name})
            people.save_person(connection, person)
            return append(connection, [replace(draft, payload={**draft.payload, "texts": kept})])[0]

    def set_four_eyes(self, is_on: bool, by: str, reason: str) -> Event:
        """Switch the second person for high and critical cases off, or on again; recorded with who and why.

        Raises
        ------
        LedgerError
            If `by` is no admin or lead, or there is no reason.
        """
        with writing(self.engine) as connection:
            draft = people.four_eyes_draft(connection, is_on, by.strip().lower(), reason, self.clock.now())
            kept = texts.store_texts(connection, self.key, None, {"reason": reason.strip()})
            return append(connection, [replace(draft, payload={**draft.payload, "texts": kept})])[0]

    def is_four_eyes_on(self) -> bool:
        """Whether high and critical cases need a second person."""
        with reading(self.engine) as connection:
            return people.is_four_eyes_on(connection)

    def erase_text(self, text_id: str, by: str, reason: str = "") -> Event | None:
        """Erase what a person wrote; the chain stays whole. None where it was erased before.

        Parameters
        ----------
        reason : why, kept beside the chain as other words are; it can be erased in its turn

        Raises
        ------
        LedgerError
            If `by` may not, or there is no such text.
        """
        with writing(self.engine) as connection:
            draft = texts.erasing_draft(connection, text_id, by.strip().lower(), self.clock.now())
            if draft is None:
                return None
            if reason.strip():
                kept = texts.store_texts(connection, self.key, draft.case_id, {"reason": reason.strip()})
                draft = replace(draft, payload={**draft.payload, "texts": kept})
            return append(connection, [draft])[0]


def _found(connection: Connection, case_id: str) -> Case:
    found = projection.find_cases(connection, [case_id]).get(case_id)
    if found is None:
        raise UnknownCaseError(f"There is no case {case_id!r}; `health-pipeline ledger intake` takes a release's in.")
    return found


def _since(connection: Connection, case: Case, case_version: int) -> list[Event]:
    found = read_events(connection, [case.case_id])
    return [event for event in found if (event.case_version or 0) > case_version]


def _record(connection: Connection, case: Case, draft: Draft) -> tuple[Event, Case]:
    (event,) = append(connection, [draft])
    after = fold(case, event)
    projection.save_cases(connection, [after], {case.case_id})
    return event, after
