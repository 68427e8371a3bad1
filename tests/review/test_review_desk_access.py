"""Roles x routes x ownership, completely: every address of the app against every person, and what each may read."""

from __future__ import annotations

import re

from desk_house import EVERYBODY, House
from fastapi import FastAPI
from reviewing import ADMIN, ANALYST, CSM, LEAD, OTHER_CSM, OTHER_LEAD, does, refused

from health_pipeline.review import Person
from health_pipeline.review.desk.action_words import ACTION_WORDS
from health_pipeline.review.desk.routes import ROUTES
from health_pipeline.review.forms import FORMS
from health_pipeline.review.permissions import GRANTS, ROLES
from health_pipeline.review.states import TRANSITIONS

# pkt_1 is the CSM's, pkt_2 the other CSM's of the same team, pkt_3 nobody's.
OF = {"csm": "pkt_1", "other": "pkt_2", "nobody": "pkt_3"}
SIGNED_IN = frozenset(EVERYBODY)
# Who is let in, by route; for routes about a case or an account, by whose it is. What is not here does not exist.
WHO: dict[tuple[str, str], frozenset[str] | dict[str, frozenset[str]]] = {}
_SEE = {
    "csm": frozenset({"csm", "lead", "analyst"}),
    "other": frozenset({"other_csm", "lead", "analyst"}),
    "nobody": frozenset({"csm", "other_csm", "lead", "other_lead", "analyst"}),
}
_WITH_VIEW = frozenset({"csm", "other_csm", "lead", "other_lead", "analyst"})
for _path in ("/queue", "/queue.csv", "/actions", "/actions.csv", "/metrics", "/overrides"):
    WHO["GET", _path] = _WITH_VIEW
for _path in ("/", "/sessions", "/rules"):
    WHO["GET", _path] = SIGNED_IN
for _path in ("/sign-out", "/sign-out/everywhere", "/sessions/end"):
    WHO["POST", _path] = SIGNED_IN
for _path in ("/bulk/preview", "/bulk"):
    WHO["POST", _path] = frozenset({"csm", "other_csm", "lead", "other_lead"})
for _path in (
    "/cases/{case_id}",
    "/cases/{case_id}/version",
    "/cases/{case_id}/brief",
    "/cases/{case_id}/evidence/{evidence_id}",
    "/accounts/{account_id}",
):
    WHO["GET", _path] = _SEE
WHO["POST", "/accounts/{account_id}/overrides"] = {
    "csm": frozenset({"csm", "lead"}),
    "other": frozenset({"other_csm", "lead"}),
    "nobody": frozenset({"lead", "other_lead"}),
}
WHO["GET", "/audit"] = frozenset({"lead", "other_lead", "analyst", "admin"})
WHO["POST", "/audit/verify"] = frozenset({"lead", "other_lead", "analyst", "admin"})
WHO["GET", "/users"] = WHO["GET", "/tokens"] = frozenset({"admin"})
for _path in ("/users", "/users/sessions", "/users/identity", "/tokens/revoke"):
    WHO["POST", _path] = frozenset({"admin"})
WHO["POST", "/rules/four-eyes"] = frozenset({"lead", "other_lead", "admin"})
# Decisions are judged by the ledger: here by what a refusal for want of a right leaves; see the test of it.
WHO["POST", "/cases/{case_id}/{action}"] = SIGNED_IN
OPEN = {
    ("GET", "/static/{name}"),
    ("GET", "/alive"),
    ("GET", "/sign-in"),
    ("GET", "/sign-in/begin"),
    ("GET", "/sign-in/callback"),
    ("POST", "/sign-in/demo"),
}
# Other systems, by a token and by nothing else; see test_review_action_queue.py.
BY_TOKEN = {("GET", "/api/actions"), ("GET", "/api/actions.csv"), ("GET", "/api/actions/{action_id}")}


def app_routes(house: House) -> set[tuple[str, str]]:
    """What the app really serves, whatever the desk's own table says."""
    inner = house.app.app
    assert isinstance(inner, FastAPI)
    found = {(method, route.path) for route in inner.routes for method in route.methods}
    assert all(hasattr(route, "methods") for route in inner.routes), "something is mounted that has no methods"
    return found


def address(path: str, owner: str) -> str:
    case_id = OF[owner]
    number = case_id.partition("_")[2]
    filled = path.replace("{case_id}", case_id).replace("{account_id}", f"acc_{int(number):012d}")
    return (
        filled.replace("{evidence_id}", f"t1-{number}")
        .replace("{name}", "desk.css")
        .replace("{action}", "start_review")
    )


def test_every_route_of_the_app_is_in_this_table(house: House) -> None:
    assert app_routes(house) == WHO.keys() | OPEN | BY_TOKEN == {(route.method, route.path) for route in ROUTES}
    assert {(route.method, route.path) for route in ROUTES if route.needs == "token"} == BY_TOKEN
    assert {(route.method, route.path) for route in ROUTES if route.needs == "anyone"} == OPEN


def test_who_is_let_in(house: House) -> None:
    for (method, path), rule in WHO.items():
        by_owner = rule if isinstance(rule, dict) else dict.fromkeys(OF, rule)
        for owner, admitted in by_owner.items():
            if path != "/cases/{case_id}/{action}":
                _check_let_in(house, method, path, owner, admitted)


def _check_let_in(house: House, method: str, path: str, owner: str, admitted: frozenset[str]) -> None:
    for name, email in EVERYBODY.items():
        there = address(path, owner)
        answer = house.as_(email).get(there) if method == "GET" else house.post(email, there)
        is_refused = answer.status_code == 403
        assert is_refused == (name not in admitted), (method, there, name, answer.status_code, answer.text[-800:])
        if is_refused:
            assert "Northwind" not in answer.text and "pkt_" not in answer.text
        if "sign-out" in path:
            del house.clients[email]


def test_a_session_opens_nothing_that_is_for_tokens(house: House) -> None:
    for _, path in BY_TOKEN:
        for email in EVERYBODY.values():
            assert house.as_(email).get(path.replace("{action_id}", "x")).status_code == 401


def test_nobody_is_let_in_without_a_session(house: House) -> None:
    for method, path in WHO:
        for token in (None, "a-token-of-nobody"):
            visitor = house.visitor()
            if token:
                visitor.cookies.set("desk", token)
            form = {"csrf": "x"} if method == "POST" else None
            answer = visitor.request(method, address(path, "csm"), data=form)
            if method == "GET":
                assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=")
            else:
                assert answer.status_code == 401


def _may(role: str, name: str, permission: str, owner: str) -> bool:
    """Said anew, apart from the code: an owner's rights are the owner's, a lead's those of the north team."""
    if permission not in GRANTS[role]:
        return False
    if role in {"analyst", "admin"}:
        return GRANTS[role][permission] == "all"
    if role == "csm":
        return (name, owner) in {("csm", "csm"), ("other_csm", "other")} or (
            owner == "nobody" and permission in {"view", "assign"}
        )
    return name == "lead" or owner == "nobody"


# Something of the right kind in each required field, so that it is the right that is judged.
FILLED = {
    "text": "because",
    "id": "x",
    "ids": "x",
    "email": "csm@example.com",
    "date": "2026-12-01",
}


def filled(action: str) -> dict[str, str]:
    return {one.name: one.choices[0] if one.choices else FILLED[one.kind] for one in FORMS[action] if one.is_required}


def test_who_may_decide_is_judged_for_every_action_role_and_owner(house: House) -> None:
    """Every action on the other CSM's case, and one action of each permission on everybody's."""
    people = {name: house.ledger.person(email) for name, email in EVERYBODY.items()}
    permissions = {row.action: row.permission for row in TRANSITIONS}
    first = {permissions[action]: action for action in reversed(ACTION_WORDS)}
    for action in ACTION_WORDS:
        permission = permissions[action]
        for owner, case_id in OF.items() if action in first.values() else [("other", OF["other"])]:
            # Those who may come last: what they do could change whose the case is.
            for name in sorted(EVERYBODY, key=lambda name: _may(people[name].role, name, permission, owner)):
                allowed = _may(people[name].role, name, permission, owner)
                if allowed and action == "assign_owner":
                    continue
                _check_decides(house, action, case_id, owner, name, allowed)


def _check_decides(house: House, action: str, case_id: str, owner: str, name: str, allowed: bool) -> None:
    before = len(house.ledger.events(case_id=case_id))
    answer = house.decide(EVERYBODY[name], action, case_id, **filled(action))
    after = house.ledger.events(case_id=case_id)[before:]
    blocked = [rule["rule_id"] for event in after for rule in event.payload.get("rules", ())]
    assert ("not_permitted" in blocked) == (not allowed), (action, owner, name, answer.status_code, blocked)
    if not allowed:
        # Without a view of the case nothing of it comes back, whatever was asked for.
        can_see = name in _SEE[owner]
        assert answer.status_code == (422 if can_see else 403)
        assert can_see or "Northwind" not in answer.text


def test_every_role_is_in_the_test(house: House) -> None:
    assert {house.ledger.person(email).role for email in EVERYBODY.values()} == set(ROLES)


NOTE = "Her assistant says she is leaving."


def test_notes_are_read_by_the_owner_and_above_and_others_see_that_there_is_one(house: House) -> None:
    does(house.ledger, "start_review", case_id="pkt_1")
    does(house.ledger, "set_cause", case_id="pkt_1", cause_id="sponsor_gone", cause_state="suspected", note=NOTE)
    for path in ("/cases/pkt_1", "/accounts/acc_000000000001"):
        for email in (CSM, LEAD):
            assert NOTE in house.as_(email).get(path).text
        seen = house.as_(ANALYST).get(path).text
        assert NOTE not in seen and "A note was written" in seen
    for email in (LEAD, ANALYST, ADMIN):
        assert NOTE not in house.as_(email).get("/audit").text


def test_a_reassigned_case_is_the_new_owners_at_once(house: House) -> None:
    does(house.ledger, "start_review", case_id="pkt_1")
    does(house.ledger, "set_cause", case_id="pkt_1", cause_id="sponsor_gone", cause_state="suspected", note=NOTE)
    assert NOTE in house.as_(CSM).get("/cases/pkt_1").text
    assert house.as_(OTHER_CSM).get("/cases/pkt_1").status_code == 403
    does(house.ledger, "assign_owner", LEAD, "pkt_1", owner_email=OTHER_CSM)
    assert house.as_(CSM).get("/cases/pkt_1").status_code == 403
    assert house.as_(CSM).get("/accounts/acc_000000000001").status_code == 403
    assert "pkt_1" not in house.as_(CSM).get("/queue?when=open").text
    assert "Northwind" not in house.as_(CSM).get("/queue.csv?when=open").text
    assert NOTE in house.as_(OTHER_CSM).get("/cases/pkt_1").text
    assert refused(house.ledger, "set_follow_up", CSM, "pkt_1", follow_up_on="2026-12-01") == ["not_permitted"]


def test_a_changed_role_or_a_switched_off_user_counts_with_the_next_request(house: House) -> None:
    assert house.as_(OTHER_LEAD).get("/cases/pkt_1").status_code == 403
    house.ledger.set_person(Person(OTHER_LEAD, "Sou Th", "lead", "north"), ADMIN)
    assert house.as_(OTHER_LEAD).get("/cases/pkt_1").status_code == 200
    house.ledger.set_person(Person(OTHER_LEAD, "Sou Th", "lead", "north", is_active=False), ADMIN)
    assert house.as_(OTHER_LEAD).get("/queue").status_code == 403


def test_the_queue_and_the_csv_hold_exactly_what_may_be_seen(house: House) -> None:
    for name, email in EVERYBODY.items():
        if name == "admin":
            continue
        wanted = {case_id for owner, case_id in OF.items() if name in _SEE[owner]}
        page = house.as_(email).get("/queue?when=open").text
        assert set(re.findall(r'href="/cases/(pkt_\d)', page)) == wanted
        csv = house.as_(email).get("/queue.csv?when=open").text
        assert set(re.findall(r"pkt_\d", csv)) == wanted


def test_a_case_of_an_address_cannot_be_reached_through_another_ones_form(house: House) -> None:
    """The case is the address'; a form's fields can't name another."""
    before = house.ledger.case("pkt_2").version
    case = house.ledger.case("pkt_1")
    form = {"case_id": "pkt_2", "case_version": str(case.version), "idempotency_key": "k"}
    assert house.post(CSM, "/cases/pkt_1/start_review", **form).status_code == 303
    assert house.ledger.case("pkt_2").version == before
    form = {
        "action": "defer",
        "until": "2026-12-01",
        "reason": "x",
        "batch": "b",
        "case_id": "pkt_2",
        "version-pkt_2": "2",
    }
    assert house.post(CSM, "/bulk", **form).status_code == 303
    assert house.ledger.case("pkt_2").state == "detected"
