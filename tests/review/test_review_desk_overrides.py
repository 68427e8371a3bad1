"""Overrides on the desk: asked for by one person, set by another, withdrawn; refused, and what was typed is kept."""

from __future__ import annotations

import re
from html import unescape

from desk_house import House, next_key
from reviewing import ANALYST, CSM, LEAD, OTHER_CSM

ACCOUNT = "acc_000000000001"
FORM = {"act": "request_override", "tier": "watch", "expires_on": "2026-12-31", "reason": "Migrates in December."}


def post(house: House, email: str, **form: str) -> int:
    fields = {"idempotency_key": next_key(), **form}
    return int(house.post(email, f"/accounts/{ACCOUNT}/overrides", **fields).status_code)


def page_of(house: House, email: str, path: str = f"/accounts/{ACCOUNT}") -> str:
    html = house.as_(email).get(path).text
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_one_asks_another_sets_and_it_is_withdrawn(house: House) -> None:
    assert post(house, CSM, **FORM) == 303
    (asked,) = house.ledger.overrides()
    assert (asked.account_id, asked.tier, asked.requested_by, asked.approved_by) == (ACCOUNT, "watch", CSM, None)
    assert "1 override waits for a lead." in page_of(house, LEAD, "/overrides")
    own = house.as_(CSM).get(f"/accounts/{ACCOUNT}").text
    assert "Set it" not in own and "Withdraw it" in own
    assert "Watch until 31 Dec 2026 waits for a lead" in page_of(house, LEAD)
    assert post(house, LEAD, act="set_override", override_id=asked.override_id) == 303
    assert "set by Lea Der, 18 Nov 2026" in page_of(house, CSM)
    assert "No override waits." in page_of(house, LEAD, "/overrides")
    assert post(house, CSM, act="withdraw_override", override_id=asked.override_id) == 303
    assert "withdrawn by Cas Mana" in page_of(house, LEAD)
    assert [event.type for event in house.ledger.events(types=["tier_override_requested", "tier_override_set"])] == [
        "tier_override_requested",
        "tier_override_set",
    ]


def test_what_is_refused_says_why_and_keeps_what_was_typed(house: House) -> None:
    late = {**FORM, "expires_on": "2026-11-01"}
    answer = house.post(CSM, f"/accounts/{ACCOUNT}/overrides", idempotency_key=next_key(), **late)
    assert answer.status_code == 422 and "give a day that is to come" in answer.text
    assert "Migrates in December." in answer.text and 'value="2026-11-01"' in answer.text
    assert post(house, CSM, **{**FORM, "tier": "gold"}) == 422
    assert post(house, CSM, **{**FORM, "expires_on": "soon"}) == 422
    assert post(house, CSM, **{**FORM, "reason": ""}) == 422
    assert house.ledger.overrides() == []
    # nobody sets what they asked for, and the refusal is in the chain
    assert post(house, LEAD, **FORM) == 303
    (asked,) = house.ledger.overrides()
    assert post(house, LEAD, act="set_override", override_id=asked.override_id) == 422
    assert house.ledger.events(types=["refused_by_stop_rule"])[-1].payload["rules"][0]["rule_id"] == "same_person"


def test_only_the_account_of_the_address_and_only_once(house: House) -> None:
    key = next_key()
    assert post(house, CSM, **FORM, idempotency_key=key) == post(house, CSM, **FORM, idempotency_key=key) == 303
    (asked,) = house.ledger.overrides()
    other = "/accounts/acc_000000000002/overrides"
    fields = {"act": "withdraw_override", "override_id": asked.override_id, "idempotency_key": next_key()}
    assert house.post(OTHER_CSM, other, **fields).status_code == 404
    assert post(house, CSM, act="erase", override_id=asked.override_id) == 400
    assert house.ledger.overrides() == [asked]


def test_the_reason_is_for_the_owner_and_above(house: House) -> None:
    assert post(house, CSM, **FORM) == 303
    assert FORM["reason"] in page_of(house, LEAD)
    shown = page_of(house, ANALYST)
    assert FORM["reason"] not in shown and "Watch until 31 Dec 2026" in shown
    assert "Ask for an override" not in shown
    assert FORM["reason"] not in page_of(house, LEAD, "/overrides") + page_of(house, LEAD, "/audit")
