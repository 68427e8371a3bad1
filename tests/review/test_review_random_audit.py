"""Accounts drawn at random: taken in once, looked at by who may, put right by another event, landed without a word."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path

import duckdb
import pytest
from desk_house import House, TestRelease, next_key
from reviewing import ADMIN, ANALYST, CSM, LEAD, OTHER_CSM, OTHER_LEAD, act, does, refused
from test_review_landed_decisions import at, land, landed

from health_pipeline.contract.clocks import Week
from health_pipeline.policy.risk_signals import load_risk_signals
from health_pipeline.review import CaseFilter, FormError, Ledger
from health_pipeline.review.cases import Audit
from health_pipeline.review.drawn_accounts import DrawnAccount, read_drawn
from health_pipeline.settings import Settings

MONDAY = date(2026, 11, 9)
DRAWN = DrawnAccount("acc_000000000009", MONDAY, datetime(2026, 11, 16, tzinfo=UTC), CSM, 0.02)
NOBODYS = DrawnAccount("acc_000000000008", MONDAY, datetime(2026, 11, 16, tzinfo=UTC), None, 0.02)
MISSED = {"missed_category": "support", "missed_signal": "backlog", "reason": "Three calls about the same defect."}


@pytest.fixture
def drawn_house(house: House) -> House:
    """The house, with an account of the CSM's drawn at random, and one of nobody's."""
    house.ledger.take_in("r1", [], [DRAWN, NOBODYS])
    return house


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def release(folder: Path, has_queue: bool = True) -> TestRelease:
    path = folder / "release.duckdb"
    with duckdb.connect(str(path)) as connection:
        if has_queue:
            connection.execute(
                "create table exception_queue_weekly as select * from (values "
                "('a2', date '2026-11-09', 'random_audit', 'Csm@Example.com', 0.02), "
                "('a1', date '2026-11-09', 'random_audit', null, 0.02), "
                "('a3', date '2026-11-09', 'risk', null, null), "
                "('a1', date '2026-11-02', 'random_audit', null, 0.025)) "
                "as rows(account_id, week, subject, owner_email, inclusion_share)"
            )
            connection.execute("alter table exception_queue_weekly add column as_of_at timestamp")
            connection.execute("update exception_queue_weekly set as_of_at = week + interval 7 day")
    return TestRelease("r1", path, (Week(MONDAY),))


def test_draws_of_a_release_are_read_by_week_and_account(tmp_path: Path) -> None:
    as_of_at = datetime(2026, 11, 16, tzinfo=UTC)
    assert read_drawn(release(tmp_path), [Week(MONDAY)]) == [
        DrawnAccount("a1", MONDAY, as_of_at, None, 0.02),
        DrawnAccount("a2", MONDAY, as_of_at, CSM, 0.02),
    ]


def test_a_release_older_than_the_queue_drew_nobody(tmp_path: Path) -> None:
    assert read_drawn(release(tmp_path, has_queue=False), [Week(MONDAY)]) == []


def test_a_draw_is_taken_in_once_and_the_chain_gives_it_again(ledger: Ledger) -> None:
    assert ledger.take_in("r2", [], [DRAWN]).drawn == 1
    assert ledger.take_in("r3", [], [DRAWN]).drawn == 0
    case = ledger.case(DRAWN.case_id)
    assert (case.state, case.account_id, case.owner_email, case.audit) == (
        "drawn",
        DRAWN.account_id,
        CSM,
        Audit(0.02),
    )
    again = DrawnAccount(DRAWN.account_id, date(2026, 11, 16), DRAWN.as_of_at, CSM, 0.02)
    assert ledger.take_in("r4", [], [again]).drawn == 1
    does(ledger, "find_missed_risk", case_id=DRAWN.case_id, **MISSED)
    before = ledger.cases(CaseFilter())
    ledger.rebuild()
    assert ledger.cases(CaseFilter()) == before and ledger.verify().holds


def test_a_finding_is_put_right_by_another_event_and_the_newest_counts(ledger: Ledger) -> None:
    ledger.take_in("r2", [], [DRAWN])
    does(ledger, "find_no_risk", case_id=DRAWN.case_id)
    case = does(ledger, "find_missed_risk", LEAD, DRAWN.case_id, **MISSED)
    assert case.state == "audited" and case.audit is not None
    found = (case.audit.finding, case.audit.category, case.audit.signal_id, case.audit.found_by)
    assert found == ("missed_risk", "support", "backlog", LEAD)
    findings = [event.payload["finding"] for event in ledger.events(DRAWN.case_id) if "finding" in event.payload]
    assert findings == ["no_risk", "missed_risk"]
    case = does(ledger, "find_nothing_certain", case_id=DRAWN.case_id, reason="The notes of that week are gone.")
    assert case.audit is not None and (case.audit.finding, case.audit.category) == ("cannot_tell", None)


def test_the_owner_and_the_leads_of_the_team_find_and_nobody_else(ledger: Ledger) -> None:
    ledger.take_in("r2", [], [DRAWN])
    for actor in (OTHER_CSM, OTHER_LEAD, ANALYST, ADMIN, "stranger@example.com"):
        assert refused(ledger, "find_no_risk", actor, DRAWN.case_id) == ["not_permitted"]
    does(ledger, "find_no_risk", CSM, DRAWN.case_id)
    does(ledger, "find_no_risk", LEAD, DRAWN.case_id)


def test_a_risk_is_no_audit_and_an_audit_no_risk(ledger: Ledger) -> None:
    ledger.take_in("r2", [], [DRAWN])
    assert refused(ledger, "find_no_risk", case_id="p-1") == ["state_forbids"]
    for action, form in (("start_review", {}), ("dismiss", {"reason_code": "duplicate", "reason": "x"})):
        assert refused(ledger, action, case_id=DRAWN.case_id, **form) == ["state_forbids"]


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({**MISSED, "missed_category": "expansion"}, "missed_category must be one of"),
        ({**MISSED, "missed_signal": "Kim said so"}, "missed_signal is no name of the policy"),
        ({"missed_category": "support"}, "find_missed_risk needs reason"),
    ],
)
def test_what_a_form_may_say_is_of_the_policy(ledger: Ledger, form: dict[str, str], sentence: str) -> None:
    ledger.take_in("r2", [], [DRAWN])
    with pytest.raises(FormError, match=sentence):
        act(ledger, "find_missed_risk", case_id=DRAWN.case_id, **form)


def test_on_the_desk_it_stands_apart_in_the_queue_and_its_page_takes_the_finding(drawn_house: House) -> None:
    house, place = drawn_house, f"/cases/{DRAWN.case_id}"
    queue = text_of(house.as_(CSM).get("/queue").text)
    assert "Drawn at random: nothing flagged them 2" in queue and "2 drawn at random" in queue
    assert "Drawn at random among what nothing flagged" in queue
    page = house.as_(CSM).get(place)
    shown = text_of(page.text)
    assert "stands for 50 accounts" in shown and "nobody has looked yet" in shown
    assert "packet_viewed" not in {event.type for event in house.ledger.events(case_id=DRAWN.case_id)}
    for label in ("No risk was there", "A risk was there that nothing flagged", "It cannot be told"):
        assert label in shown
    answer = house.decide(CSM, "find_missed_risk", DRAWN.case_id, **MISSED)
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    after = text_of(house.as_(CSM).get(place).text)
    assert "finding A risk was there that nothing flagged category support" in after
    assert MISSED["reason"] in after
    assert MISSED["reason"] not in house.as_(ANALYST).get(place).text
    assert "found: missed risk" not in text_of(house.as_(CSM).get("/queue").text)
    assert "a risk was there that nothing flagged 1" in text_of(house.as_(LEAD).get("/metrics").text)
    assert "found missed risk, kind support, signal backlog" in text_of(house.as_(LEAD).get("/audit").text)


def test_the_page_shows_what_each_signal_read_in_that_week_and_what_is_not_known(house: House) -> None:
    drawn = DrawnAccount("acc_000000000001", MONDAY, datetime(2026, 11, 16, tzinfo=UTC), CSM, 0.02)
    house.ledger.take_in("r1", [], [drawn])
    page = text_of(house.as_(CSM).get(f"/cases/{drawn.case_id}").text)
    assert "3 open tickets threshold at least 3, met" in page
    # measured, but of a domain whose data is too old: it meets nothing
    assert "Usage change share (4 weeks) not known threshold at most -30 %" in page
    # the only one that is met comes first, what is not known comes last
    assert page.index("Three or more tickets are unresolved") < page.index("Use of the product fell by 30 %")
    policy = load_risk_signals(None).model
    for signal in policy.signals:
        assert (signal.title in page) == (signal.category != "expansion")


def test_an_account_drawn_five_weeks_ago_waits_no_more_and_is_still_open(house: House) -> None:
    draws = [
        DrawnAccount(f"acc_{number:012d}", MONDAY - timedelta(weeks=weeks), DRAWN.as_of_at, CSM, 0.02)
        for number, weeks in enumerate((0, 3, 5))
    ]
    house.ledger.take_in("r1", [], draws)
    shown = {
        when: [draw.account_id for draw in draws if draw.case_id in house.as_(CSM).get(f"/queue?when={when}").text]
        for when in ("waiting", "open")
    }
    assert shown == {"waiting": [one.account_id for one in draws[:2]], "open": [one.account_id for one in draws]}


def test_a_finding_needs_the_forms_token_the_right_and_the_case_as_it_is(drawn_house: House) -> None:
    house, place = drawn_house, f"/cases/{DRAWN.case_id}/find_no_risk"
    version = {"case_version": "1", "idempotency_key": next_key()}
    assert house.as_(CSM).post(place, data={"csrf": "x", **version}).status_code == 400
    assert house.post(OTHER_CSM, place, **version).status_code == 403
    assert house.post(ANALYST, place, **{**version, "idempotency_key": next_key()}).status_code == 422
    assert house.ledger.case(DRAWN.case_id).state == "drawn"
    house.decide(LEAD, "find_no_risk", DRAWN.case_id)
    late = house.post(CSM, f"/cases/{DRAWN.case_id}/find_missed_risk", **MISSED, **version)
    assert late.status_code == 409 and MISSED["reason"] in late.text
    assert "Lea Der said what they found (found no risk)" in text_of(late.text)


def test_nobodys_account_is_assigned_and_then_its_owner_finds(drawn_house: House) -> None:
    house = drawn_house
    assert refused(house.ledger, "find_no_risk", CSM, NOBODYS.case_id) == ["not_permitted"]
    assert house.decide(CSM, "assign_owner", NOBODYS.case_id, owner_email=CSM).status_code == 303
    assert house.decide(CSM, "find_no_risk", NOBODYS.case_id).status_code == 303


def test_it_is_landed_like_every_decision_without_a_word(ledger: Ledger, settings: Settings) -> None:
    ledger.take_in("r2", [], [DRAWN])
    does(ledger, "find_missed_risk", case_id=DRAWN.case_id, **MISSED)
    land(settings, at(ledger))
    rows = [row for row in landed(settings) if row["side"] == "random_audit"]
    assert [row["event_type"] for row in rows] == ["audit_drawn", "audit_finding_recorded"]
    names = ("audited_week", "audit_finding", "missed_category", "missed_signal", "state", "measured_as", "actor")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (MONDAY, None, None, None, "drawn", None, "the pipeline"),
        (MONDAY, "missed_risk", "support", "backlog", "audited", None, CSM),
    ]
    assert MISSED["reason"] not in str(rows)
    risks = [row for row in landed(settings) if row["side"] == "risk"]
    assert {row["audited_week"] for row in risks} == {None}
