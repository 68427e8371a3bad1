"""An override of a tier: asked for by one person, set by another, landed as the week knew it; and what is measured."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest
from reviewing import ADMIN, CSM, LEAD, OTHER_CSM, SetClock, add_people, does, key, packet, refused, until_proposed

from health_pipeline.policy.company import load_company
from health_pipeline.review import Ledger, LedgerError, Override, OverrideRefusedError, OverrideRequest, Person
from health_pipeline.review.landed_overrides import land_overrides
from health_pipeline.review.measurement import MEASUREMENT_TYPES, measured_as
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing

COMPANY = load_company(None).model
# The fixture's clock stands on Wednesday the 18th; the week of the 16th is known on Monday the 23rd at 06:00.
KNOWN = datetime(2026, 11, 23, 6, tzinfo=UTC)


def ask(ledger: Ledger, actor: str = CSM, **values: Any) -> Override:
    form = {"account_id": "acc_1", "tier": "watch", "reason": "migrates in December", "expires_on": date(2027, 1, 31)}
    return ledger.override(OverrideRequest("request_override", actor, key(), **{**form, **values}))


def set_it(ledger: Ledger, override: Override, actor: str = LEAD) -> Override:
    return ledger.override(OverrideRequest("set_override", actor, key(), override_id=override.override_id))


def test_one_asks_and_another_one_sets(ledger: Ledger) -> None:
    asked = ask(ledger)
    assert not asked.holds(ledger.clock.now())
    with pytest.raises(OverrideRefusedError, match=r"csm@example\.com may not do that; a lead does"):
        set_it(ledger, asked, CSM)
    done = set_it(ledger, asked)
    assert (done.requested_by, done.approved_by, done.tier) == (CSM, LEAD, "watch")
    assert done.expires_at == datetime(2027, 2, 1, tzinfo=UTC)
    assert done.holds(ledger.clock.now())
    with pytest.raises(OverrideRefusedError, match=r"set by lead@example\.com already"):
        set_it(ledger, asked)
    assert [event.type for event in ledger.events(after_seq=9)] == [
        "tier_override_requested",
        "refused_by_stop_rule",
        "tier_override_set",
        "refused_by_stop_rule",
    ]
    assert ledger.overrides() == [done]


def test_a_lead_does_not_set_what_the_lead_asked_for(ledger: Ledger) -> None:
    with pytest.raises(OverrideRefusedError, match="by another person than the one who asked"):
        set_it(ledger, ask(ledger, LEAD))
    with pytest.raises(OverrideRefusedError, match="the account's owner or a lead"):
        ask(ledger, OTHER_CSM)


def test_an_override_has_tier_reason_and_end(ledger: Ledger) -> None:
    for wrong, says in (
        ({"tier": "great"}, "no tier to override with"),
        ({"reason": " "}, "its reason is empty"),
        ({"expires_on": date(2026, 11, 17)}, "would have ended on"),
    ):
        with pytest.raises(LedgerError, match=says):
            ask(ledger, **wrong)
    with pytest.raises(OverrideRefusedError, match="for at most 180 days"):
        set_it(ledger, ask(ledger, expires_on=date(2027, 12, 1)))


def test_the_same_request_twice_is_one_override(ledger: Ledger) -> None:
    asked = OverrideRequest("request_override", CSM, "once", "acc_1", "watch", date(2027, 1, 31), "because")
    assert ledger.override(asked) == ledger.override(asked)
    assert len(ledger.overrides()) == 1


def landed(settings: Settings) -> list[tuple[Any, ...]]:
    """Rows of the newest load."""
    newest = Landing(settings.landing, settings.quarantine).loads()[-1]
    with duckdb.connect() as connection:
        return connection.execute(
            "select source_account_id, tier, reason, requested_by, approved_by, approved_at, expires_at, withdrawn_at "
            f"from read_parquet('{settings.landing}/{newest.folder}/tier_override*.parquet') order by all"
        ).fetchall()


def test_what_was_decided_by_the_weeks_clock_is_landed(ledger: Ledger, settings: Settings, clock: SetClock) -> None:
    assert land_overrides(settings, COMPANY, KNOWN) is None
    override = set_it(ledger, ask(ledger))
    ask(ledger, tier="healthy")
    clock.instant = datetime(2026, 11, 23, 6, 0, 1, tzinfo=UTC)
    late = set_it(ledger, ask(ledger, tier="at_risk"))
    result = land_overrides(settings, COMPANY, KNOWN)
    assert result is not None and (result.status, result.rows) == ("committed", 1), result
    first = ("acc_1", "watch", "migrates in December", CSM, LEAD)
    ends = datetime(2027, 2, 1)
    assert landed(settings) == [(*first, datetime(2026, 11, 18, 9), ends, None)]
    assert land_overrides(settings, COMPANY, KNOWN) is None
    ledger.override(OverrideRequest("withdraw_override", LEAD, key(), override_id=override.override_id, reason="done"))
    ledger.erase_text(late.reason.text_id, ADMIN)
    result = land_overrides(settings, COMPANY, datetime(2026, 11, 30, 6, tzinfo=UTC))
    assert result is not None and (result.status, result.rows) == ("committed", 2)
    moment = datetime(2026, 11, 23, 6, 0, 1)
    assert landed(settings) == [
        ("acc_1", "at_risk", "the reason was erased", CSM, LEAD, moment, ends, None),
        (*first, datetime(2026, 11, 18, 9), ends, moment),
    ]


def test_measurement_events_come_from_the_chain_alone(ledger: Ledger) -> None:
    until_proposed(ledger, severity="high")
    refused(ledger, "approve", CSM)
    does(ledger, "approve", LEAD)
    ledger.take_in("r1", [packet("p-2", account_id="acc_2")])
    does(ledger, "dismiss", case_id="p-2", reason_code="duplicate", reason="seen")
    measured = [(event.case_id, kind) for event in ledger.events() if (kind := measured_as(event))]
    by_case = {name: [kind for case_id, kind in measured if case_id == name] for name in ("p-1", "p-2")}
    assert sorted(by_case["p-1"]) == sorted(
        ["risk_detected", "packet_built", "proposed", "refused_by_stop_rule", "approved"]
    )
    assert sorted(by_case["p-2"]) == sorted(["risk_detected", "packet_built", "outcome_recorded"])
    assert set(MEASUREMENT_TYPES) == {
        "risk_detected", "packet_built", "packet_viewed", "evidence_opened", "owner_assigned", "assumption_verified",
        "cause_confirmed", "proposed", "approved", "rejected", "refused_by_stop_rule", "deferred", "escalated",
        "action_taken", "response_recorded", "outcome_recorded", "residual_risk_recorded", "reopened", "superseded",
    }  # fmt: skip


def test_the_first_user_is_an_admin_and_only_one_changes_users(settings: Settings, clock: SetClock) -> None:
    with Ledger.open(settings, clock) as ledger:
        with pytest.raises(LedgerError, match="The first user is an admin"):
            ledger.set_person(Person(CSM, "Cas", "csm"), "operator")
        add_people(ledger)
        with pytest.raises(LedgerError, match=r"lead@example\.com may not change users"):
            ledger.set_person(Person(CSM, "Cas", "lead"), LEAD)
        ledger.set_person(Person("CSM@example.com", "Cas Mana", "csm", "north", is_active=False), ADMIN)
        assert ledger.person(CSM) == Person(CSM, "Cas Mana", "csm", "north", is_active=False)
        with pytest.raises(LedgerError, match=r"csm@example\.com may not switch"):
            ledger.set_four_eyes(False, CSM, "why not")
        payloads = [event.payload for event in ledger.events(types=["user_set"])]
    assert not any("Cas" in str(payload) for payload in payloads)
