"""The desk's pages as people open them: what is on them, what a form leaves in the ledger, how a conflict ends."""

from __future__ import annotations

from desk_house import House
from reviewing import ADMIN, LEAD


def test_every_page_opens(house: House) -> None:
    for path in (
        "/queue",
        "/queue?when=open",
        "/cases/pkt_1",
        "/cases/pkt_1/evidence/t1-1",
        "/accounts/acc_000000000001",
        "/metrics",
        "/audit",
        "/rules",
        "/sessions",
    ):
        answer = house.as_(LEAD).get(path)
        assert answer.status_code == 200, (path, answer.text[:2000])
    assert house.as_(ADMIN).get("/users").status_code == 200
