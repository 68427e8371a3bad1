"""The desk's pages as people open them: what is on them, each stop rule, several cases at once, the team's figures."""

from __future__ import annotations

import re
from datetime import date
from html import unescape
from pathlib import Path

import pytest
from desk_house import WEEK, House, next_key, settle
from reviewing import ADMIN, ANALYST, CSM, LEAD, NOW, OTHER_CSM, SetClock, act, does, packet, until_proposed
from stopping import stopped

from health_pipeline.contract.clocks import Week
from health_pipeline.review.desk.pages.cases import read_filter_query
from health_pipeline.review.desk.queue import QueueFilter, read_filter
from health_pipeline.review.desk.stop_list import HOLDS, in_words
from health_pipeline.review.desk.team_metrics import MEASURED, team_figures
from health_pipeline.review.intake import Reviewed
from health_pipeline.review.states import BY_ACTION
from health_pipeline.review.stop_rules import STOP_RULES
from health_pipeline.risk.restricted import brief_lines, erase_record, read_body

TESTS = Path(__file__).parent


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_every_page_opens(house: House) -> None:
    for path in (
        "/queue",
        "/queue?when=open",
        "/cases/pkt_1",
        "/cases/pkt_1/brief",
        "/cases/pkt_1/evidence/t1-1",
        "/metrics",
        "/audit",
        "/rules",
    ):
        answer = house.as_(LEAD).get(path)
        assert answer.status_code == 200, (path, answer.text[:2000])
    assert house.as_(ADMIN).get("/users").status_code == 200
    assert house.as_(ADMIN).get("/").headers["location"] == "/users"
    assert house.as_(CSM).get("/").headers["location"] == "/queue"
    assert house.as_(CSM).get("/nowhere").status_code == 404


def test_the_packet_page_shows_what_was_published(house: House) -> None:
    shown = text_of(house.as_(CSM).get("/cases/pkt_1").text)
    for part in (
        "Northwind Analytics",
        "critical",
        "60,000",
        "4 Feb 2027",
        "Could not be read: sentiment",
        "Usage down 42 % on the four weeks before",
        "What speaks for it 3",
        "What speaks against it 2",
        "Last two-way touch 5 days ago",
        "support ticket T-7",
        "Before an approval",
    ):
        assert part in shown, part
    assert 'href="/cases/pkt_1/evidence/t1-1"' in house.as_(CSM).get("/cases/pkt_1").text


def test_the_brief_and_the_quotes_are_of_the_restricted_store_and_for_who_may_read_notes(house: House) -> None:
    page = house.as_(CSM).get("/cases/pkt_1").text
    shown = text_of(page)
    for part in (
        "What the customer wants",
        "Close the month in three days",
        "Jana Eriksen",
        "use a workaround",
        "What changed",
    ):
        assert part in shown, part
    assert "use a workaround" in text_of(house.as_(CSM).get("/cases/pkt_1/evidence/t1-1").text)
    for path in ("/cases/pkt_1", "/cases/pkt_1/brief", "/cases/pkt_1/evidence/t1-1"):
        seen = text_of(house.as_(ANALYST).get(path).text)
        assert not [word for word in ("Jana", "workaround for", "Close the month", "stretched") if word in seen]
        assert "the owner and the leads of their team can read it" in seen
    record = {"source_system": "demo_support", "source_instance": "default"}
    record |= {"source_table": "support_ticket", "source_record_id": "T-7"}
    assert erase_record(house.settings, record, ADMIN, "asked for", NOW) >= 1
    assert "use a workaround" not in house.as_(CSM).get("/cases/pkt_1").text
    assert "use a workaround" not in house.as_(CSM).get("/cases/pkt_1/brief").text


def test_the_brief_on_one_page_has_every_section_and_citation_of_the_stored_one(house: House) -> None:
    shown = text_of(house.as_(CSM).get("/cases/pkt_1/brief").text)
    packet = house.desk.published.packet("pkt_1", WEEK)
    assert packet is not None
    body = read_body(house.settings.restricted, packet.row["body_sha256"])
    assert body is not None
    places = [shown.index(f"{heading} ") for heading, line in brief_lines(house.settings.restricted, body) if heading]
    assert places == sorted(places)
    for _, line in brief_lines(house.settings.restricted, body):
        assert line in shown


def test_nothing_is_chosen_before_a_person_chooses(house: House) -> None:
    """No option, no save offer, no severity and no decision: every box is empty, every list begins with nothing."""
    for action, form in (
        ("start_review", {}),
        ("confirm_severity", {"severity": "high"}),
        ("escalate", {"decision": "not_needed", "reason": "known"}),
    ):
        does(house.ledger, action, case_id="pkt_1", **form)
    page = house.as_(CSM).get("/cases/pkt_1").text
    offered = re.findall(r'<input type="checkbox" name="mitigations" value="(\w+)"', page)
    packet = house.desk.published.packet("pkt_1", WEEK)
    assert packet is not None
    assert offered == packet.listed("mitigation_options") != []
    assert re.findall(r"<input[^>]* checked", page) == []
    assert re.findall(r"<option[^>]* selected", page) == []
    first = re.findall(r"<select[^>]*>\s*<option value=\"([^\"]*)\"", page)
    assert set(first) == {""}


def test_looking_is_noted_once_for_each_session_and_packet(house: House) -> None:
    for _ in range(3):
        house.as_(CSM).get("/cases/pkt_1")
        house.as_(CSM).get("/cases/pkt_1/evidence/t1-1")
    house.as_(ANALYST).get("/cases/pkt_1")
    noted = [(event.type, event.actor) for event in house.ledger.events("pkt_1") if event.actor != "the pipeline"]
    assert noted == [("packet_viewed", CSM), ("evidence_opened", CSM), ("packet_viewed", ANALYST)]
    assert house.ledger.case("pkt_1").version == 1


def test_a_form_sent_twice_records_once(house: House) -> None:
    case, key = house.ledger.case("pkt_1"), next_key()
    form = {"case_version": str(case.version), "idempotency_key": key}
    answers = [house.post(CSM, "/cases/pkt_1/start_review", **form) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert [event.type for event in house.ledger.events("pkt_1")].count("review_started") == 1


def test_what_is_missing_in_a_form_is_said_and_what_was_typed_stays(house: House) -> None:
    answer = house.decide(CSM, "dismiss", reason="Written at length.")
    assert answer.status_code == 422 and "Written at length." in answer.text
    assert house.ledger.case("pkt_1").state == "detected"


# Each stop rule, through the page: what it says, that it is recorded, that what was typed stays.


@pytest.mark.parametrize("rule_id", sorted(STOP_RULES))
def test_a_stop_rule_says_why_and_who_may_release_it(house: House, clock: SetClock, rule_id: str) -> None:
    person, asked = stopped(house, clock, rule_id)
    action, case_id = asked.pop("action"), asked.pop("case_id", "pkt_1")
    answer = house.decide(person, action, case_id, **asked)
    assert answer.status_code == 422
    newest = house.ledger.events(case_id)[-1]
    assert newest.type == "refused_by_stop_rule" and newest.actor == person
    rule = next(rule for rule in newest.payload["rules"] if rule["rule_id"] == rule_id)
    shown = text_of(answer.text)
    assert in_words(rule["reason"]) in shown and f"Released by: {rule['released_by']}" in shown
    assert "stopped, and recorded as such" in shown and "Typed." in answer.text
    assert rule["reason"] not in shown or "_" not in rule["reason"]


def test_every_rule_before_an_approval_has_words_for_when_it_holds() -> None:
    assert HOLDS.keys() == set(BY_ACTION["approve"].guards)


def test_the_list_before_an_approval_is_the_persons_own(house: House) -> None:
    until_proposed(house.ledger, "pkt_1", "critical", mitigations="support_review")
    settle(house.ledger)

    def stops(email: str) -> int:
        return len(re.findall(r'<li class="stops">', house.as_(email).get("/cases/pkt_1").text))

    assert (stops(LEAD), stops(CSM)) == (0, 2)


# Several at once.


def test_several_cases_are_previewed_and_then_recorded_one_event_each(house: House) -> None:
    chosen = {"action": "assign_owner", "owner_email": OTHER_CSM, "case_id": ["pkt_1", "pkt_3"]}
    before = house.ledger.head()
    preview = house.post(LEAD, "/bulk/preview", **chosen)
    assert "Assign an owner: 2 cases" in text_of(preview.text) and house.ledger.head() == before
    versions = dict(re.findall(r'name="(version-pkt_\d)" value="(\d+)"', preview.text))
    assert house.post(LEAD, "/bulk", batch="b1", **chosen, **versions).status_code == 303
    assert [house.ledger.case(one).owner_email for one in ("pkt_1", "pkt_3")] == [OTHER_CSM, OTHER_CSM]
    # The same form again records nothing.
    head = house.ledger.head()
    house.post(LEAD, "/bulk", batch="b1", **chosen, **versions)
    assert house.ledger.head() == head
    assert "recorded for 2 cases" in text_of(house.as_(LEAD).get("/queue").text)
    assert "recorded for 2 cases" not in text_of(house.as_(LEAD).get("/queue").text)


def test_what_is_stopped_or_has_changed_is_said_and_the_others_are_recorded(house: House) -> None:
    form = {"action": "dismiss", "reason_code": "signal_wrong", "reason": "A migration.", "case_id": ["pkt_1", "pkt_3"]}
    preview = text_of(house.post(CSM, "/bulk/preview", **form).text)
    assert "Dismiss as a false positive: 0 cases, 2 would be stopped" in preview
    versions = {f"version-{one}": str(house.ledger.case(one).version) for one in ("pkt_1", "pkt_2")}
    does(house.ledger, "start_review", case_id="pkt_1")
    house.post(LEAD, "/bulk", batch="b2", **(form | {"case_id": ["pkt_1", "pkt_2"]}), **versions)
    assert (house.ledger.case("pkt_1").state, house.ledger.case("pkt_2").state) == ("in_review", "dismissed")
    shown = text_of(house.as_(LEAD).get("/queue").text)
    assert "recorded for 1 case." in shown and "Northwind Analytics: changed meanwhile, left as it is." in shown


@pytest.mark.parametrize("action", ["approve", "propose", "take_action", "close", "accept", "nonsense"])
def test_several_at_once_are_never_approved(house: House, action: str) -> None:
    until_proposed(house.ledger, "pkt_1", "critical", mitigations="support_review")
    form = {"action": action, "case_id": "pkt_1", "version-pkt_1": "6", "batch": "b"}
    for path in ("/bulk/preview", "/bulk"):
        assert house.post(LEAD, path, **form).status_code == 400
    assert house.ledger.case("pkt_1").state == "proposed"


# The queue.


def test_the_queue_is_ordered_and_says_why(house: House, clock: SetClock) -> None:
    does(house.ledger, "set_follow_up", OTHER_CSM, "pkt_2", follow_up_on="2026-11-18")
    does(house.ledger, "set_follow_up", LEAD, "pkt_3", follow_up_on="2026-11-22")
    clock.pass_days(2)
    page = house.as_(LEAD).get("/queue").text
    assert re.findall(r'data-row>.*?href="/cases/(pkt_\d)', page, re.S) == ["pkt_2", "pkt_3", "pkt_1"]
    shown = text_of(page)
    assert "3 cases wait, 1 overdue, 1 due this week." in shown
    assert "Follow-up 2 days overdue" in shown and "Follow-up due Sunday" in shown and "New; critical severity" in shown


def test_a_filter_is_its_address_and_nothing_else() -> None:
    wanted = QueueFilter(when="open", owner="a@example.com", severity="high", renewal=90, account="Mill & Co", page=3)
    query = dict(part.split("=") for part in wanted.query().split("&"))
    assert read_filter_query(wanted.query()) == wanted.query() and len(query) == 6
    assert read_filter({"when": "x", "severity": "all", "state": "no", "renewal": "-1", "page": "0"}) == QueueFilter()
    assert read_filter_query("owner=a@example.com&evil=//x&page=1e9") == "owner=a%40example.com"


# The figures.


def test_a_case_that_ended_says_what_happened(house: House) -> None:
    assert "What happened" not in house.as_(LEAD).get("/cases/pkt_2").text
    does(house.ledger, "dismiss", LEAD, "pkt_2", reason_code="benign_explanation", reason="A season.")
    shown = text_of(house.as_(LEAD).get("/cases/pkt_2").text)
    assert "decided Nothing was approved done No action is recorded" in shown
    assert "outcome, as observed False positive : benign explanation" in shown
    assert "Dismissed by Lea Der on 18 Nov 2026. What was observed after a review is no proof" in shown


def test_a_closed_case_says_what_was_approved_and_done_since_it_was_reopened(house: House, clock: SetClock) -> None:
    ledger = house.ledger
    does(ledger, "dismiss", LEAD, "pkt_1", reason_code="duplicate", reason="The same.")
    does(ledger, "reopen", LEAD, "pkt_1", reason="It is not.")
    until_proposed(ledger, "pkt_1", "high", mitigations="support_review", message="Dear Kim")
    settle(ledger)
    does(ledger, "approve", LEAD, "pkt_1")
    clock.pass_days(2)
    done = {"mitigation": "support_review", "channel": "call", "done_on": "2026-11-19"}
    does(ledger, "take_action", case_id="pkt_1", **done)
    does(ledger, "record_response", case_id="pkt_1", response="positive")
    does(ledger, "record_outcome", case_id="pkt_1", outcome="saved")
    does(ledger, "record_residual_risk", case_id="pkt_1", residual_actual="low")
    does(ledger, "close", case_id="pkt_1")
    title = house.desk.option_titles["support_review"]
    shown = text_of(house.as_(CSM).get("/cases/pkt_1").text)
    assert f"decided {title}; approved by Lea Der on 18 Nov 2026" in shown
    assert f"done {title}, by call, 19 Nov 2026 the customer answered positive" in shown
    assert "outcome, as observed Saved risk that remains low Closed by Cas Mana on 20 Nov 2026." in shown
    assert "duplicate" not in shown.split("What is missing")[0]


def test_figures_by_hand(house: House, clock: SetClock) -> None:
    """pkt_1 is proposed, approved after 2 days and done; pkt_2 is dismissed after 1 day; pkt_3 waits for 4 days."""
    ledger = house.ledger
    until_proposed(ledger, "pkt_1", "high", mitigations="support_review")
    settle(ledger)
    clock.pass_days(1)
    does(ledger, "dismiss", LEAD, "pkt_2", reason_code="benign_explanation", reason="A season.")
    act(ledger, "approve", CSM, "pkt_1")
    clock.pass_days(1)
    does(ledger, "approve", LEAD, "pkt_1")
    does(ledger, "take_action", case_id="pkt_1", mitigation="support_review", channel="call")
    does(ledger, "record_response", case_id="pkt_1", response="positive")
    does(ledger, "record_outcome", case_id="pkt_1", outcome="saved")
    clock.pass_days(2)
    figures = team_figures(ledger.cases(), ledger.events(types=MEASURED), clock.now())
    assert (figures.waiting, figures.overdue, figures.awaiting_approval, figures.oldest_waiting_days) == (1, 0, 0, 4)
    assert figures.days_to_decision == 1.5
    assert figures.quiet == 0
    assert figures.outcomes == {"saved": 1, "false_positive": 1}
    assert figures.happened == {
        "accounts reviewed": 1,
        "risks confirmed": 1,
        "actions taken": 1,
        "responses": 1,
        "approved": 1,
        "stopped by a rule": 1,
    }
    assert figures.refused == {"needs_higher_permission": 1, "same_person": 1}
    assert figures.parts["evidence"] == 1.0 and figures.parts["owner"] == 0.5 and figures.whole_share == 0.5
    assert figures.severities == {("critical", "high"): 1}
    later = team_figures(ledger.cases(), ledger.events(types=MEASURED), clock.now().replace(year=2027))
    assert later.happened["approved"] == 0 and later.days_to_decision is None
    assert clock.now() > NOW


def test_quiet_cases_are_set_aside_until_somebody_takes_them_up_or_a_date_is_due(house: House, clock: SetClock) -> None:
    ledger = house.ledger
    case = ledger.case("pkt_1")
    quiet = packet("pkt_1", packet_hash="quiet", account_id=case.account_id, severity="critical", is_quiet=True)
    ledger.take_in("r2", [quiet])

    def shown(query: str = "") -> set[str]:
        return set(re.findall(r'href="/cases/(pkt_\d)', house.as_(LEAD).get(f"/queue{query}").text))

    assert shown() == {"pkt_2", "pkt_3"} and shown("?when=quiet") == {"pkt_1"}
    assert shown("?when=open") == {"pkt_1", "pkt_2", "pkt_3"}
    page = house.as_(LEAD).get("/queue").text
    assert "2 cases wait" in page and "1 quiet one</a> stand aside" in page
    assert team_figures(ledger.cases(), [], clock.now()).quiet == 1
    assert team_figures(ledger.cases(), [], clock.now()).waiting == 2
    assert ledger.verify().holds
    does(ledger, "set_follow_up", LEAD, "pkt_1", follow_up_on=clock.now().date().isoformat())
    assert shown() == {"pkt_1", "pkt_2", "pkt_3"} and shown("?when=quiet") == set()
    does(ledger, "start_review", CSM, "pkt_1")
    assert shown("?when=quiet") == set() and "pkt_1" in shown()


def test_a_customer_who_has_left_is_said_to_have_and_the_loss_can_be_recorded(house: House) -> None:
    ledger, path = house.ledger, "/cases/pkt_1"
    assert "has left" not in text_of(house.as_(CSM).get(path).text)
    others = [case.account_id for case in ledger.cases() if case.case_id != "pkt_1"]
    ledger.take_in("r2", [], (), Reviewed(Week(date(2026, 11, 16)), others))
    page = text_of(house.as_(CSM).get(path).text)
    assert "The customer has left: the review of the week of 16 Nov 2026 has it no more." in page
    assert "The customer has left: proposed for closing" in text_of(house.as_(CSM).get("/queue?when=quiet").text)
    sent = house.decide(CSM, "record_loss", "pkt_1", outcome="lost", reason="They said so.")
    assert (sent.status_code, ledger.case("pkt_1").outcome) == (303, "lost")
    assert "the pipeline noted that the customer has left : week 2026-11-16" in text_of(house.as_(CSM).get(path).text)
