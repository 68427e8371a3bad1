"""Whatever people, packets and time do in whatever order: no effect without an approval that still holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import event as hypothesis_event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from reviewing import CSM, LEAD, NOW, OTHER_CSM, OTHER_LEAD, PEOPLE, packet

from health_pipeline.contract.case_states import EFFECTIVE, ENDED, OPEN
from health_pipeline.policy.review import load_review
from health_pipeline.review import Case, Event, IncomingPacket, approval_holds, queue_reason
from health_pipeline.review.action_queue import withheld_because
from health_pipeline.review.cases import waits_from
from health_pipeline.review.decisions import decision_draft, expiry_draft
from health_pipeline.review.events import Draft
from health_pipeline.review.fold import fold
from health_pipeline.review.forms import FORMS, read_form
from health_pipeline.review.intake import drafts_of
from health_pipeline.review.states import BY_ACTION, EFFECTS, TRANSITIONS, possible
from health_pipeline.review.stop_rules import EVERYWHERE, STOP_RULES, Question, stopped_by

POLICY = load_review(None).model
BY_EMAIL = {person.email: person for person in PEOPLE}
# The owner is a lead half of the time: somebody who may propose and approve is whom four eyes are for.
ACTORS = (CSM, LEAD, OTHER_CSM, OTHER_LEAD)
SEVERITIES = ("low", "medium", "high", "critical")
SEVERE = {"high", "critical"}
# None: the case's owner, whoever that is then.
PROPOSERS = st.sampled_from((None, None, *ACTORS))


class PaperLedger:
    """The ledger's rules without a database: what `Ledger.decide` and `take_in` do inside their transaction."""

    def __init__(self) -> None:
        self.now = NOW
        self.events: list[Event] = []
        self.case: Case | None = None
        self.is_four_eyes_on = True
        self.switched: list[tuple[datetime, bool]] = []

    def add(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            values = {name: getattr(draft, name) for name in ("event_id", "case_id", "case_version", "type", "actor")}
            event = Event(
                seq=len(self.events) + 1,
                at=draft.at,
                payload=dict(draft.payload),
                packet_hash=draft.packet_hash,
                idempotency_key=None,
                prev_hash="",
                hash="",
                **values,
            )
            self.events.append(event)
            self.case = fold(self.case, event)

    def take_in(self, incoming: IncomingPacket) -> None:
        self.add(drafts_of(self.case, incoming, "r", self.now))

    def withheld(self) -> tuple[str, ...]:
        assert self.case is not None
        return withheld_because(self.case, BY_EMAIL, POLICY, self.is_four_eyes_on, self.now)

    def ask(self, action: str, actor: str, form: dict[str, Any]) -> bool:
        assert self.case is not None
        owner = BY_EMAIL.get(self.case.owner_email or "")
        question = Question(
            self.case,
            BY_ACTION[action],
            read_form(action, form),
            actor,
            BY_EMAIL.get(actor),
            owner.team if owner else None,
            POLICY,
            self.is_four_eyes_on,
            self.now,
        )
        if stopped_by(question):
            return False
        texts = {
            name: {"text_id": f"t{len(self.events)}", "digest": f"digest of {text}"}
            for name, text in question.form.texts.items()
        }
        self.add([decision_draft(question, texts, None)])
        return True


VALUES: dict[str, Any] = {
    "reason": "because",
    "note": "noted",
    "message": "Dear Kim",
    "evidence_id": "ev-1",
    "evidence_ids": "ev-1",
    "cause_id": "champion_left",
    "assumption_id": "sponsor_left",
    "mitigations": "training",
    "mitigation": "training",
    "by_case_id": "p-2",
    "missed_signal": "backlog",
    "role": "vp",
    "approver_email": LEAD,
}


@st.composite
def forms(draw: st.DrawFn, action: str, today: datetime) -> dict[str, Any]:
    form: dict[str, Any] = {}
    for field in FORMS[action]:
        if not field.is_required and not draw(st.booleans()):
            continue
        if field.kind in {"choice", "choices"}:
            form[field.name] = draw(st.sampled_from(field.choices))
        elif field.kind == "date":
            form[field.name] = (today + timedelta(days=draw(st.integers(-3, 120)))).date()
        elif field.kind == "email" and field.name == "owner_email":
            form[field.name] = draw(st.sampled_from(ACTORS))
        else:
            form[field.name] = VALUES[field.name]
    return form


class Review(RuleBasedStateMachine):
    """People, packets, time, and the switch."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = PaperLedger()
        self.ledger.take_in(packet(assumptions=("sponsor_left",)))

    @property
    def case(self) -> Case:
        assert self.ledger.case is not None
        return self.ledger.case

    @rule(action=st.sampled_from(sorted(FORMS)), actor=st.sampled_from(ACTORS), data=st.data())
    def somebody_asks_for_anything(self, action: str, actor: str, data: st.DataObject) -> None:
        self.ledger.ask(action, actor, data.draw(forms(action, self.ledger.now)))

    @rule(data=st.data(), actor=st.sampled_from(ACTORS))
    def somebody_asks_for_what_is_possible(self, data: st.DataObject, actor: str) -> None:
        action = data.draw(st.sampled_from([row.action for row in possible(self.case.state)]))
        self.ledger.ask(action, actor, data.draw(forms(action, self.ledger.now)))

    @rule(
        proposer=PROPOSERS,
        approver=st.sampled_from((None, LEAD, LEAD, *ACTORS)),
        severity=st.sampled_from((None, *SEVERITIES)),
        message=st.sampled_from(({}, {"message": "Dear Kim"})),
        left_out=st.sampled_from(("", "", "confirm_severity", "escalate", "verify_assumption", "approve")),
        between=st.sampled_from(("", "packet", "days", "severity", "message")),
    )
    def a_case_goes_all_the_way(
        self,
        proposer: str | None,
        approver: str | None,
        severity: str | None,
        message: dict[str, str],
        left_out: str,
        between: str,
    ) -> None:
        """The short way to an effect, with something left out or put between: chance alone would hardly find it."""
        actor = proposer or self.case.owner_email or LEAD
        soon = (self.ledger.now + timedelta(days=20)).date()
        self.a_packet_comes_in(severity or "low", 0, actor)
        steps: list[tuple[str, str, dict[str, Any]]] = [
            ("reopen", actor, {"reason": "again"}),
            ("withdraw", actor, {}),
            ("start_review", actor, {}),
            ("confirm_severity", actor, {"severity": self.case.suggested_severity}),
            ("escalate", actor, {"decision": "not_needed"}),
            ("verify_assumption", actor, {"assumption_id": "sponsor_left", "assumption_state": "verified"}),
            ("propose", actor, {"mitigations": "training", "follow_up_on": soon, **message}),
            ("approve", approver or actor, {}),
        ]
        for action, who, form in steps:
            if action != left_out:
                self.ledger.ask(action, who, form)
        if between == "packet":
            self.a_packet_comes_in("critical", 2, actor)
        elif between == "days":
            self.time_passes(31)
        elif between == "severity":
            self.ledger.ask("confirm_severity", actor, {"severity": "critical"})
        elif between == "message":
            self.ledger.ask("write_message", actor, {"message": "Dear Kim, renew now"})
        self.somebody_acts(None)

    @precondition(lambda self: self.case.state == "proposed")
    @rule(actor=st.sampled_from((LEAD, LEAD, *ACTORS)))
    def somebody_approves(self, actor: str) -> None:
        self.ledger.ask("approve", actor, {})

    @precondition(lambda self: self.case.state in EFFECTIVE)
    @rule(actor=PROPOSERS)
    def somebody_acts(self, actor: str | None) -> None:
        """Whether it was allowed, the invariant asks."""
        owner = self.case.owner_email or LEAD
        self.ledger.ask("take_action", actor or owner, {"mitigation": "training", "channel": "call"})

    @rule(severity=st.sampled_from(SEVERITIES), record=st.integers(0, 2), owner=st.sampled_from(ACTORS))
    def a_packet_comes_in(self, severity: str, record: int, owner: str) -> None:
        as_of = self.ledger.now - timedelta(days=2)
        self.ledger.take_in(
            packet(
                packet_hash=f"hash-{severity}-{record}",
                severity=severity,
                owner_email=owner,
                as_of_at=as_of,
                value_at_risk=Decimal(100),
                assumptions=("sponsor_left",),
            )
        )

    @rule(days=st.sampled_from([1, 7, 29, 31, 200]))
    def time_passes(self, days: int) -> None:
        """Time alone only takes actions out of the queue: what other systems pull by event numbers misses none."""
        was_withheld = self.ledger.withheld()
        self.ledger.now += timedelta(days=days)
        assert self.ledger.withheld() or not was_withheld

    @rule()
    def what_ran_out_is_noted(self) -> None:
        case = self.case
        if case.state in EFFECTIVE and case.approval is not None and case.approval.expires_at <= self.ledger.now:
            self.ledger.add([expiry_draft(case, self.ledger.now)])

    @rule(is_on=st.booleans())
    def the_switch_is_turned(self, is_on: bool) -> None:
        self.ledger.is_four_eyes_on = is_on
        self.ledger.switched.append((self.ledger.now, is_on))

    @invariant()
    def every_effect_was_allowed_when_it_happened(self) -> None:
        last = self.ledger.events[-1]
        if BY_EVENT.get(last.type, "") in EFFECTS:
            assert_allowed(self.ledger, len(self.ledger.events) - 1)

    @invariant()
    def what_other_systems_may_pull_was_approved_and_still_is(self) -> None:
        if not self.ledger.withheld():
            hypothesis_event("an action could be pulled")
            assert_allowed(self.ledger, len(self.ledger.events), self.ledger.now)

    @invariant()
    def state_outcome_and_queue_agree(self) -> None:
        case, now = self.case, self.ledger.now
        assert (case.state in ENDED) != (case.state in OPEN)
        since = waits_from(case)
        assert (queue_reason(case, now) is not None) == (since is not None and since <= now.date())
        if case.state in ENDED:
            assert since is None
        if case.state == "dismissed":
            assert case.outcome == "false_positive"
        if approval_holds(case, now):
            assert case.state in EFFECTIVE and case.approval is not None

    @invariant()
    def versions_rise_by_one_with_each_change(self) -> None:
        versions = [event.case_version or 0 for event in self.ledger.events]
        assert all(after - before in {0, 1} for before, after in pairwise(versions))


BY_EVENT = {row.event: row.action for row in TRANSITIONS}


def assert_allowed(ledger: PaperLedger, index: int, at: datetime | None = None) -> None:
    """By the events alone, without the code that decides: an effect rests on an approval that still holds.

    The effect is the event of that index; or one that could come now.
    """
    events = ledger.events
    if at is None:
        hypothesis_event("an effect was reached")
        at = events[index].at
    approvals = [place for place, event in enumerate(events[:index]) if event.type == "approved"]
    assert approvals, "an effect without any approval"
    place = approvals[-1]
    approval = events[place]
    assert at < datetime.fromisoformat(approval.payload["expires_at"]), "it had expired"
    between = [event.type for event in events[place + 1 : index]]
    assert not set(between) & {"proposed", "message_written", "withdrawn", "expired", "reopened", "review_started"}
    proposal = max(
        (event for event in events[:place] if event.type in {"proposed", "message_written"}), key=lambda one: one.seq
    )
    assert approval.payload["proposal_event_id"] == proposal.event_id
    drafted = max((event for event in events[:place] if event.type == "proposed"), key=lambda one: one.seq)
    assert drafted.payload["decision"] == "mitigate"

    def packet_at(until: int) -> Event:
        return [one for one in events[:until] if one.type in {"risk_detected", "packet_built"}][-1]

    then, now = packet_at(place), packet_at(index)
    assert then.packet_hash == now.packet_hash == approval.packet_hash, "the packet changed"
    confirmed = [event.payload["severity"] for event in events[:index] if event.type == "severity_confirmed"]
    assert confirmed and confirmed[-1] == approval.payload["severity"], "no person confirmed that severity"
    authors = {drafted.actor, proposal.actor}
    if {then.payload["severity"], confirmed[-1]} & SEVERE and approval.actor in authors:
        off = [is_on for at, is_on in ledger.switched if at <= approval.at]
        assert off and not all(off), "approved by its proposer, and the switch was never off"
    if {then.payload["severity"], confirmed[-1]} & SEVERE or "message" in proposal.payload.get("texts", {}):
        assert BY_EMAIL[approval.actor].role == "lead"


TestReview = Review.TestCase
TestReview.settings = settings(max_examples=120, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow])


def test_the_table_names_rules_fields_and_permissions_that_exist() -> None:
    from typing import get_args

    from health_pipeline.review.permissions import GRANTS, ROLES, Permission

    assert {guard for row in TRANSITIONS for guard in row.guards} | set(EVERYWHERE) == set(STOP_RULES)
    assert {row.action for row in TRANSITIONS if row.permission != "system"} == set(FORMS)
    assert len({row.action for row in TRANSITIONS}) == len(TRANSITIONS)
    assert {row.permission for row in TRANSITIONS} - {"system"} <= set(get_args(Permission))
    assert set(GRANTS) == set(ROLES)
    assert all(rule.blocks for rule in STOP_RULES.values())
    assert STOP_RULES["no_approval"].blocks == ("take_action",)
    assert all(rule.says and rule.released_by and rule.recorded_as for rule in STOP_RULES.values())


def test_every_state_can_be_left_and_reached() -> None:
    reached = {row.target for row in TRANSITIONS if row.target} | {"detected", "drawn"}
    assert reached == {*OPEN, *ENDED, "drawn"}
    left = {state for row in TRANSITIONS for state in row.sources if row.target not in {None, state}}
    # an account that was looked at stays so: a finding is put right, and nothing is undone
    assert left == {*OPEN, *ENDED, "drawn"} - {"audited"}
    assert {state for row in TRANSITIONS if row.target == "audited" for state in row.sources} == {"drawn", "audited"}


def test_only_an_approval_leads_to_an_effect() -> None:
    """On the table alone: taking out the rows of approval, nothing with an effect can be reached."""
    assert {"take_action"} == EFFECTS
    reachable = {"detected"}
    while True:
        further = {
            row.target for row in TRANSITIONS if row.action != "approve" and row.target and reachable & set(row.sources)
        } | reachable
        if further == reachable:
            break
        reachable = further
    assert not reachable & {state for action in EFFECTS for state in BY_ACTION[action].sources}


@pytest.mark.parametrize("role", ["csm", "lead", "analyst", "admin"])
@pytest.mark.parametrize("ownership", ["own", "same team", "other team", "nobody's"])
def test_roles_by_permission_by_ownership(role: str, ownership: str) -> None:
    """The whole table against its meaning in words."""
    from typing import get_args

    from health_pipeline.review.permissions import Permission, Person, covers

    person = Person("me@example.com", "Me", role, "north")  # type: ignore[arg-type]
    owner = {"own": "me@example.com", "same team": "x@example.com", "other team": "y@example.com", "nobody's": None}
    team = {"own": "north", "same team": "north", "other team": "south", "nobody's": None}
    everywhere: dict[str, set[str]] = {
        "csm": set(),
        "lead": {"switch_four_eyes", "verify_ledger"},
        "analyst": {"view", "verify_ledger"},
        "admin": {"erase_text", "switch_four_eyes", "manage_users", "verify_ledger"},
    }
    work = {"view", "read_notes", "review", "assign", "propose", "approve", "record", "request_override"}
    within: dict[str, set[str]] = {
        "csm": {"own": work, "nobody's": {"view", "assign"}}.get(ownership, set()),
        "lead": set() if ownership == "other team" else work | {"approve_higher", "approve_override", "erase_text"},
        "analyst": set(),
        "admin": set(),
    }
    allowed = {
        permission
        for permission in get_args(Permission)
        if covers(person, permission, owner[ownership], team[ownership])
    }
    assert allowed == everywhere[role] | within[role]
    inactive = Person("me@example.com", "Me", role, "north", is_active=False)  # type: ignore[arg-type]
    assert not any(covers(inactive, one, owner[ownership], team[ownership]) for one in get_args(Permission))
