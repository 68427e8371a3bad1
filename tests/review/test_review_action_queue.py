"""Approved actions leave only on an approval that holds, to a token that counts; nothing missed, no words."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from desk_house import House, build_house, packet_of, settle
from reviewing import ADMIN, CSM, LEAD, OTHER_CSM, OTHER_LEAD, PEOPLE, SetClock, does, packet, until_proposed
from sqlalchemy import select, text

from health_pipeline.policy.playbooks import load_playbooks
from health_pipeline.policy.review import load_review
from health_pipeline.review import Ledger, LedgerError, Person
from health_pipeline.review.action_queue import ActionQueue, read_action_queue, withheld_because
from health_pipeline.review.database import reading, writing
from health_pipeline.review.desk.action_feed import CSV_COLUMNS, openapi_document
from health_pipeline.review.schema import DESK_TOKEN
from health_pipeline.review.tokens import create_token, revoke_token
from health_pipeline.settings import REPOSITORY, Settings

OPTIONS = {book.id for book in load_playbooks(None).model.playbooks}
CANARY = "KANARI-4711 called us names"


def token_of(ledger: Ledger, system: str = "crm-sync", days: int = 90) -> str:
    with writing(ledger.engine) as connection:
        return create_token(connection, system, days, ADMIN, ledger.clock.now())[0]


def queue_of(ledger: Ledger) -> ActionQueue:
    with reading(ledger.engine) as connection:
        return read_action_queue(connection, ledger.policy, OPTIONS, ledger.clock.now())


def approve(ledger: Ledger, case_id: str = "pkt_1", **form: Any) -> None:
    """A critical case all the way to the lead's approval."""
    settle(ledger, case_id)
    form = {"mitigations": "account_review,support_review", "touches": "customer", **form}
    until_proposed(ledger, case_id, "critical", **form)
    does(ledger, "approve", LEAD, case_id)


def pull(house: House, token: str, path: str = "/api/actions") -> Any:
    return house.visitor().get(path, headers={"Authorization": f"Bearer {token}"})


def rows_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))


def test_an_approved_action_comes_with_its_approval(house: House, clock: SetClock) -> None:
    token = token_of(house.ledger)
    assert pull(house, token).json()["actions"] == []
    approve(house.ledger, reason="Because.", message="Dear Kim")
    approved = next(event for event in house.ledger.events("pkt_1") if event.type == "approved")
    page = pull(house, token).json()
    assert {one["action"] for one in page["actions"]} == {"account_review", "support_review"} and page["is_complete"]
    one = next(one for one in page["actions"] if one["action"] == "support_review")
    case = house.ledger.case("pkt_1")
    assert (one["case_id"], one["packet_id"], one["packet_hash"]) == ("pkt_1", "pkt_1", case.packet_hash)
    assert (one["account_id"], one["owner_email"], one["touches"]) == ("acc_000000000001", CSM, ["customer"])
    assert one["desk_url"] == "http://127.0.0.1:8600/cases/pkt_1"
    assert one["approval"] == {
        "event_id": approved.event_id,
        "ledger_seq": approved.seq,
        "ledger_hash": approved.hash,
        "approved_by": LEAD,
        "approved_at": clock.now().isoformat().replace("+00:00", "Z"),
        "valid_until": (clock.now() + timedelta(days=30)).isoformat().replace("+00:00", "Z"),
        "proposed_by": CSM,
        "proposed_at": clock.now().isoformat().replace("+00:00", "Z"),
        "second_person": "second_person",
        "severity": "critical",
        "message_digest": case.proposal.message.digest,
    }


def rewrite(ledger: Ledger) -> None:
    does(ledger, "write_message", CSM, "pkt_1", message="Dear Kim, something else")


def demote(ledger: Ledger) -> None:
    ledger.set_person(Person(LEAD, "Lea Der", "csm", "north"), ADMIN)


def switch_off(ledger: Ledger) -> None:
    ledger.set_person(Person(LEAD, "Lea Der", "lead", "north", is_active=False), ADMIN)


def another_packet(ledger: Ledger) -> None:
    case = ledger.case("pkt_1")
    ledger.take_in("r2", [packet("pkt_1", packet_hash="another", account_id=case.account_id, severity="critical")])


ENDINGS: dict[str, tuple[Callable[[Ledger], object], str | None]] = {
    "withdrawn": (lambda ledger: does(ledger, "withdraw", CSM, "pkt_1"), None),
    "its message was written anew": (rewrite, None),
    "the packet changed": (another_packet, None),
    "the severity is another": (lambda one: does(one, "confirm_severity", LEAD, "pkt_1", severity="high"), None),
    "an assumption was refuted": (
        lambda ledger: does(
            ledger,
            "verify_assumption",
            CSM,
            "pkt_1",
            assumption_id=ledger.case("pkt_1").assumptions[0].assumption_id,
            assumption_state="refuted",
        ),
        None,
    ),
    "the outcome is awaited": (
        lambda ledger: (
            does(ledger, "take_action", CSM, "pkt_1", mitigation="account_review", channel="call"),
            does(ledger, "await_outcome", CSM, "pkt_1"),
        ),
        None,
    ),
    "it expired": (lambda ledger: ledger.clock.pass_days(30), "No approval holds"),
    "it expired, and that was noted": (lambda ledger: (ledger.clock.pass_days(30), ledger.expire_due()), None),
    "the facts are old": (lambda ledger: ledger.clock.pass_days(20), "The packet's facts end"),
    "the follow-up has passed": (lambda ledger: ledger.clock.pass_days(14), "The follow-up date"),
    "the approver lost the role": (demote, "A lead decides"),
    "the approver was switched off": (switch_off, "is no active user"),
    "the owner is of another team": (
        lambda ledger: (
            ledger.set_person(Person("far@example.com", "Far Away", "csm", "south"), ADMIN),
            does(ledger, "assign_owner", LEAD, "pkt_1", owner_email="far@example.com"),
        ),
        "owned by far@example.com",
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_way_in_which_an_approval_stops_holding_takes_its_actions_out(ending: str, house: House) -> None:
    token = token_of(house.ledger)
    approve(house.ledger, message="Dear Kim")
    given = pull(house, token).json()
    assert len(given["actions"]) == 2
    end, reason = ENDINGS[ending]
    end(house.ledger)
    assert pull(house, token).json()["actions"] == []
    assert len(list(csv.reader(io.StringIO(pull(house, token, "/api/actions.csv").text)))) == 1
    # Who was given it and asks before acting is told to leave it.
    asked = pull(house, token, f"/api/actions/{given['actions'][0]['action_id']}")
    assert asked.status_code == 410 and asked.json()["detail"].endswith("Leave it.")
    withheld = queue_of(house.ledger).withheld
    assert [reason in " ".join(one.reasons) for one in withheld] == ([True] if reason else [])


def test_the_switch_turned_on_again_holds_back_what_one_person_alone_approved(house: House) -> None:
    house.ledger.set_four_eyes(False, LEAD, "small team")
    settle(house.ledger)
    until_proposed(house.ledger, "pkt_1", "critical")
    does(house.ledger, "withdraw", CSM, "pkt_1")
    does(house.ledger, "start_review", LEAD, "pkt_1")
    does(house.ledger, "propose", LEAD, "pkt_1", mitigations="account_review", follow_up_on="2026-12-01")
    does(house.ledger, "approve", LEAD, "pkt_1")
    assert len(queue_of(house.ledger).actions) == 1
    house.ledger.set_four_eyes(True, ADMIN, "we are more now")
    assert queue_of(house.ledger).actions == ()


def test_what_was_done_leaves_the_queue_and_the_rest_stays(house: House) -> None:
    approve(house.ledger)
    does(house.ledger, "take_action", CSM, "pkt_1", mitigation="account_review", channel="call")
    assert [one.mitigation for one in queue_of(house.ledger).actions] == ["support_review"]


def test_no_approval_no_action_in_any_state_before_it(house: House) -> None:
    settle(house.ledger)
    for action, form in (
        ("start_review", {}),
        ("confirm_severity", {"severity": "critical"}),
        ("escalate", {"decision": "not_needed"}),
        ("propose", {"mitigations": "account_review", "follow_up_on": "2026-12-01"}),
    ):
        assert queue_of(house.ledger).actions == () == queue_of(house.ledger).withheld
        does(house.ledger, action, CSM, "pkt_1", **form)
    assert queue_of(house.ledger).actions == ()


def test_an_accepted_risk_gives_no_action(house: House) -> None:
    settle(house.ledger)
    until = {"reason": "known", "approver_email": LEAD, "expires_on": "2027-01-15", "follow_up_on": "2026-12-01"}
    does(house.ledger, "start_review", case_id="pkt_1")
    does(house.ledger, "confirm_severity", case_id="pkt_1", severity="critical")
    does(house.ledger, "escalate", case_id="pkt_1", decision="not_needed")
    does(house.ledger, "accept", CSM, "pkt_1", **until)
    does(house.ledger, "approve", LEAD, "pkt_1")
    assert queue_of(house.ledger).actions == () == queue_of(house.ledger).withheld


def test_a_bad_approval_in_the_cases_is_not_believed(house: House) -> None:
    """The pure judgement, each part of an approval bent by itself."""
    approve(house.ledger, message="Dear Kim")
    case = house.ledger.case("pkt_1")
    everybody = {person.email: person for person in PEOPLE}
    now = house.clock.now()

    def reasons(**changes: Any) -> tuple[str, ...]:
        assert case.approval is not None
        bent = replace(case, approval=replace(case.approval, **changes))
        return withheld_because(bent, everybody, load_review(None).model, True, now)

    assert reasons() == ()
    for changes in (
        {"expires_at": now},
        {"packet_hash": "x"},
        {"severity": "low"},
        {"proposal_event_id": "x"},
        {"message_digest": None},
        {"approved_by": CSM},
        {"approved_by": OTHER_LEAD},
        {"approved_by": "stranger@example.com"},
    ):
        assert reasons(**changes), changes


def test_a_puller_that_goes_on_from_its_number_misses_nothing(settings: Settings, clock: SetClock) -> None:
    with Ledger.open(settings, clock) as ledger:
        house = build_house(settings, ledger, clock, [packet_of(number, CSM) for number in range(1, 6)])
        token = token_of(ledger)
        after, seen = 0, []

        def pull_all(size: int) -> list[str]:
            nonlocal after
            found: list[str] = []
            while True:
                page = pull(house, token, f"/api/actions?after={after}&limit={size}").json()
                found += [one["case_id"] for one in page["actions"]]
                after = page["next_after"]
                if page["is_complete"]:
                    seen.extend(found)
                    return found

        for number in (1, 2, 3, 4):
            approve(ledger, f"pkt_{number}", mitigations="account_review")
        assert pull_all(2) == ["pkt_1", "pkt_2", "pkt_3", "pkt_4"]
        assert pull_all(2) == []
        # Held back while its approver is switched off, approved meanwhile: both come by events, and both are given.
        switch_off(ledger)
        assert pull(house, token).json()["actions"] == []
        ledger.set_person(Person(LEAD, "Lea Der", "lead", "north"), ADMIN)
        approve(ledger, "pkt_5")
        assert sorted(pull_all(1)) == sorted(["pkt_1", "pkt_2", "pkt_3", "pkt_4", "pkt_5", "pkt_5"])
        # Two actions of one approval came with one event: a page is not cut between them.
        assert len(pull(house, token, "/api/actions?limit=1&after=0").json()["actions"]) >= 1
        again = pull(house, token).json()["actions"]
        assert len(again) == 6 and len({one["action_id"] for one in again}) == 6


def test_what_a_system_was_given_is_in_the_ledger_once(house: House) -> None:
    approve(house.ledger)
    token, other = token_of(house.ledger), token_of(house.ledger, "ticketing")
    version = house.ledger.case("pkt_1").version
    for _ in range(3):
        pull(house, token)
    pull(house, other)
    given = house.ledger.events("pkt_1", types=["action_handed_out"])
    assert [(one.actor, one.payload["mitigation"]) for one in given].count(("system crm-sync", "account_review")) == 1
    assert len(given) == 4 and {one.actor for one in given} == {"system crm-sync", "system ticketing"}
    assert house.ledger.case("pkt_1").version == version, "nobody's open form is in conflict with it"
    assert house.ledger.verify().holds
    assert "system crm-sync" in house.as_(LEAD).get("/cases/pkt_1").text


def test_no_word_of_anybody_leaves(house: House, caplog: pytest.LogCaptureFixture) -> None:
    does(house.ledger, "start_review", case_id="pkt_1")
    does(house.ledger, "set_cause", case_id="pkt_1", cause_id="x", cause_state="suspected", note=CANARY)
    does(house.ledger, "request_evidence", case_id="pkt_1", reason=CANARY)
    approve(house.ledger, reason=CANARY, message=f"Dear Kim, {CANARY}")
    token = token_of(house.ledger)
    with caplog.at_level(logging.INFO):
        answers = [pull(house, token, path) for path in ("/api/actions", "/api/actions.csv")]
        answers.append(pull(house, token, f"/api/actions/{answers[0].json()['actions'][0]['action_id']}"))
    assert all(answer.status_code == 200 for answer in answers)
    names = list(house.desk.published.account_names().values())
    for said in (*(answer.text for answer in answers), caplog.text):
        assert "KANARI" not in said and "Kim" not in said and not any(name in said for name in names)
    assert token not in caplog.text


def test_what_is_no_option_of_the_playbooks_stays(house: House) -> None:
    """A form that somebody made up can name anything as an option, words too."""
    approve(house.ledger, mitigations=f"support_review,{CANARY}")
    answer = pull(house, token_of(house.ledger))
    assert [one["action"] for one in answer.json()["actions"]] == ["support_review"] and "KANARI" not in answer.text
    assert "not, or no longer, in the playbooks" in queue_of(house.ledger).withheld[0].reasons[0]


# Tokens.


def refusal(house: House, authorization: str | None) -> tuple[int, str]:
    headers = {"Authorization": authorization} if authorization is not None else {}
    answer = house.visitor().get("/api/actions", headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    return answer.status_code, answer.json()["detail"]


def test_without_a_token_that_counts_nobody_is_let_in(house: House, clock: SetClock) -> None:
    approve(house.ledger)
    token = token_of(house.ledger, days=7)
    name, token_id, secret = token.split("_", 2)
    for wrong in (f"{name}_{token_id}_{secret[:-1]}", f"{name}_000000000000_{secret}", "x", f"{token}x"):
        assert refusal(house, f"Bearer {wrong}") == (
            401,
            "This token is none of this desk's; an admin makes one, and it is shown once.",
        )
    assert house.visitor().get("/api/actions", headers={"Authorization": b"Bearer \xff\xfe"}).status_code == 401
    for none in (None, "", "Bearer ", f"Basic {token}"):
        assert refusal(house, none)[0] == 401
    assert house.visitor().get(f"/api/actions?token={token}").status_code == 401, "never in an address"
    clock.pass_days(6.99)
    assert pull(house, token).status_code == 200
    clock.pass_days(0.01)
    assert refusal(house, f"Bearer {token}") == (
        401,
        "This token counted until 2026-11-25 09:00 UTC; an admin makes another.",
    )


def test_an_admin_sees_the_tokens_and_ends_one_on_the_desk(house: House) -> None:
    with writing(house.ledger.engine) as connection:
        text, token = create_token(connection, "crm-sync", 30, ADMIN, house.clock.now())
    assert house.visitor().get("/api/actions", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    page = house.as_(ADMIN).get("/tokens").text
    assert "crm-sync" in page and "actions:read" in page and "18 Nov 2026, 09:00 UTC" in page
    assert text not in page and text.rpartition("_")[2] not in page
    assert house.post(LEAD, "/tokens/revoke", token_id=token.token_id).status_code == 403
    assert house.post(ADMIN, "/tokens/revoke", token_id=token.token_id).status_code == 303
    page = house.as_(ADMIN).get("/tokens").text
    assert "revoked, 18 Nov 2026" in page and 'action="/tokens/revoke"' not in page
    assert house.visitor().get("/api/actions", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    assert house.post(ADMIN, "/tokens/revoke", token_id=token.token_id).status_code == 400
    assert [event.actor for event in house.ledger.events(types=["token_revoked"])] == [ADMIN]


def test_a_revoked_token_ends_at_once_and_both_are_recorded(house: House) -> None:
    token = token_of(house.ledger)
    token_id = token.split("_")[1]
    assert pull(house, token).status_code == 200
    with writing(house.ledger.engine) as connection:
        revoke_token(connection, token_id, ADMIN, house.clock.now())
    assert refusal(house, f"Bearer {token}") == (401, "This token was revoked; an admin makes another.")
    events = house.ledger.events(types=["token_created", "token_revoked"])
    assert [(one.type, one.actor, one.payload["system"]) for one in events] == [
        ("token_created", ADMIN, "crm-sync"),
        ("token_revoked", ADMIN, "crm-sync"),
    ]
    assert events[0].payload["scope"] == "actions:read"
    with writing(house.ledger.engine) as connection, pytest.raises(LedgerError, match="revoked on 2026-11-18 already"):
        revoke_token(connection, token_id, ADMIN, house.clock.now())


def test_only_an_admin_makes_tokens_and_the_database_keeps_a_hash(house: House) -> None:
    for by in (LEAD, CSM, "nobody@example.com"):
        with writing(house.ledger.engine) as connection, pytest.raises(LedgerError, match="an active admin does"):
            create_token(connection, "crm-sync", 90, by, house.clock.now())
    for system, days, says in (
        ("CRM sync", 90, "no name of a system"),
        ("crm", 0, "1 to 366"),
        ("crm", 367, "1 to 366"),
    ):
        with writing(house.ledger.engine) as connection, pytest.raises(LedgerError, match=says):
            create_token(connection, system, days, ADMIN, house.clock.now())
    token = token_of(house.ledger)
    assert len(token.split("_", 2)[2]) >= 43, "256 bits"
    secret = token.split("_", 2)[2]
    with reading(house.ledger.engine) as connection:
        kept = str(connection.execute(select(DESK_TOKEN)).all())
        kept += str(connection.execute(text("select payload from ledger_event")).all())
    assert secret not in kept


def test_a_token_opens_nothing_but_the_queue(house: House) -> None:
    approve(house.ledger)
    token = token_of(house.ledger)
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/queue", "/cases/pkt_1", "/queue.csv", "/actions", "/actions.csv", "/users", "/audit"):
        assert house.visitor().get(path, headers=headers).status_code == 303, path
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert house.visitor().request(method, "/api/actions", headers=headers).status_code == 405


def test_pulls_and_guesses_are_limited(house: House) -> None:
    token = token_of(house.ledger)
    desk = replace(house.desk, pulls=type(house.desk.pulls)(3), sign_ins=type(house.desk.sign_ins)(2))
    from health_pipeline.review.desk.app import build_desk

    house.app = build_desk(desk)
    assert [pull(house, token).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = pull(house, token)
    assert int(answer.headers["retry-after"]) > 0 and answer.json()["status"] == 429
    assert [pull(house, "x").status_code for _ in range(3)] == [401, 401, 429]


def test_numbers_of_the_address_are_checked(house: House) -> None:
    token = token_of(house.ledger)
    for query in ("after=-1", "after=x", "limit=0", "limit=501", "after=" + "9" * 30, "after=²"):
        answer = pull(house, token, f"/api/actions?{query}")
        assert answer.status_code == 400 and "is a whole number from" in answer.json()["detail"], query
    assert pull(house, token, "/api/actions/act_x").status_code == 404


# The file, the page, the schema.


def test_the_file_holds_what_may_be_seen_and_no_formula(settings: Settings, clock: SetClock) -> None:
    with Ledger.open(settings, clock) as ledger:
        packets = [packet_of(1, CSM), packet_of(2, OTHER_CSM)]
        house = build_house(settings, ledger, clock, packets)
        object.__setattr__(house.desk, "option_titles", {"account_review": "=cmd|' /C calc'!A0"})
        for case_id, owner in (("pkt_1", CSM), ("pkt_2", OTHER_CSM)):
            does(ledger, "assign_owner", LEAD, case_id, owner_email=CSM)
            approve(ledger, case_id, mitigations="account_review")
            does(ledger, "assign_owner", LEAD, case_id, owner_email=owner)
        whole = rows_of(pull(house, token_of(ledger), "/api/actions.csv"))
        assert [row["case_id"] for row in whole] == ["pkt_1", "pkt_2"] and tuple(whole[0]) == CSV_COLUMNS
        assert whole[0]["title"] == "'=cmd|' /C calc'!A0" and whole[0]["approval_approved_by"] == LEAD
        mine = rows_of(house.as_(CSM).get("/actions.csv"))
        assert [row["case_id"] for row in mine] == ["pkt_1"]
        page = house.as_(CSM).get("/actions").text
        assert "1 approved action to be done" in page and "pkt_2" not in page
        does(ledger, "assign_owner", LEAD, "pkt_1", owner_email=CSM)
        clock.pass_days(14)
        house.clients.clear()  # their sessions have ended
        assert "held back" in house.as_(CSM).get("/actions").text


def test_the_documented_schema_is_the_codes() -> None:
    kept = json.loads(Path(REPOSITORY / "docs" / "approved-actions.openapi.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(openapi_document()))
    assert set(kept["paths"]) == {"/api/actions", "/api/actions/{action_id}"}


def test_the_answers_are_as_the_schema_says(house: House) -> None:
    approve(house.ledger)
    answer = pull(house, token_of(house.ledger)).json()
    schemas = openapi_document()["components"]["schemas"]
    for name, body in (
        ("ActionPage", answer),
        ("GivenAction", answer["actions"][0]),
        ("GivenApproval", answer["actions"][0]["approval"]),
    ):
        assert set(body) == set(schemas[name]["properties"]) == set(schemas[name]["required"])
    assert datetime.fromisoformat(answer["checked_at"]) == house.clock.now().astimezone(UTC)
