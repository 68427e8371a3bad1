"""The restricted store: rights, content addresses, deleting that works everywhere, what is collected or held."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from packet_examples import by_place, facts, policy, sponsor_risk, with_other_brief
from typer.testing import CliRunner

from health_pipeline.cli import app
from health_pipeline.observability.workers import Workers
from health_pipeline.risk import restricted
from health_pipeline.risk.packet import Packet
from health_pipeline.risk.packet_building import build_packets
from health_pipeline.risk.restricted import (
    RestrictedStoreError,
    brief_lines,
    collect_garbage,
    erase_record,
    hold,
    read_body,
    store_packets,
)
from health_pipeline.settings import Settings

NOW = datetime(2026, 11, 16, 7, tzinfo=UTC)
JANA = {
    "source_system": "demo_crm",
    "source_instance": "default",
    "source_table": "crm_contact",
    "source_record_id": "con-1",
}


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def packet(packet_id: str = "pkt_1") -> Packet:
    return build_packets([replace(sponsor_risk(), packet_id=packet_id)], by_place(facts()), policy())[0]


def stored(home: Settings, one: Packet) -> str:
    found = store_packets(home, [one])[(one.packet_id, one.week.isoformat())]
    assert found.problems == ()
    return found.body_sha256


def whole(home: Settings, address: str) -> str:
    body = read_body(home.restricted, address)
    assert body is not None
    return "\n".join(line for _, line in brief_lines(home.restricted, body))


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_same_packet_same_address_and_the_hash_of_its_content(home: Settings) -> None:
    address = stored(home, packet())
    assert stored(home, packet()) == address
    body = read_body(home.restricted, address)
    assert body is not None
    assert body["packet"]["packet_hash"] == packet().packet_hash
    assert body["packet"]["value_at_risk"] == "60000.00"
    assert [one["evidence_id"] for one in body["packet"]["evidence"]] == ["t1", "u1", "m1", "a1", "b1"]


def test_only_the_owner_of_the_files_may_read_them(home: Settings) -> None:
    address = stored(home, packet())
    hold(home, address, "case-1")
    for path in home.restricted.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(home.restricted.stat().st_mode) == 0o700


def test_bodies_hold_no_word_of_a_customer(home: Settings) -> None:
    stored(home, packet())
    written = all_bytes(home.restricted / "bodies").decode()
    for text in ("Jana", "Head of Finance", "workaround for", "Close the month", "stretched"):
        assert text not in written


def test_deleted_text_disappears_from_every_packet_and_stays_away(home: Settings) -> None:
    addresses = [stored(home, packet(name)) for name in ("pkt_1", "pkt_2")]
    assert all("“Jana Eriksen”, “Head of Finance”, champion" in whole(home, one) for one in addresses)
    assert erase_record(home, JANA, "dpo@example.com", "asked to be forgotten", NOW) == 2
    for address in addresses:
        assert "“[text deleted]”, “[text deleted]”, champion" in whole(home, address)
    assert b"Jana" not in all_bytes(home.restricted)
    # the next week's packets verify, and bring nothing back
    again = stored(home, packet("pkt_3"))
    assert "Jana" not in whole(home, again)
    assert b"Jana" not in all_bytes(home.restricted)
    assert packet("pkt_1").packet_hash == read_body(home.restricted, addresses[0])["packet"]["packet_hash"]  # type: ignore[index]


def test_erasing_takes_a_person_and_a_reason(home: Settings) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        erase_record(home, JANA, "somebody", "asked", NOW)
    with pytest.raises(ValueError, match="reason"):
        erase_record(home, JANA, "dpo@example.com", " ", NOW)


def test_the_command_deletes_a_record_and_says_who_and_why(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    address = stored(home, packet())
    monkeypatch.setenv("HEALTH_HOME", str(home.home))

    def erase(*what: str, by: str = "dpo@example.com") -> int:
        return CliRunner().invoke(app, ["erase", *what, "--by", by, "--reason", "asked to be forgotten"]).exit_code

    # nothing is deleted where one of several names no record, or where nobody is named
    assert erase("demo_crm/default/crm_contact/con-1", "con-1") == 1
    assert erase("demo_crm/default/crm_contact/con-1", by="somebody") == 1
    assert "Jana Eriksen" in whole(home, address)
    assert erase("demo_crm/default/crm_contact/con-1") == 0
    assert "Jana" not in whole(home, address)
    # again, by somebody else: nothing changes, the first stays on record
    assert erase("demo_crm/default/crm_contact/con-1", by="other@example.com") == 0
    with sqlite3.connect(home.restricted / "texts.db") as connection:
        found = connection.execute("select source_record_id, erased_by, reason from erased").fetchall()
    assert found == [("con-1", "dpo@example.com", "asked to be forgotten")]
    assert "Jana" not in whole(home, stored(home, packet("pkt_2")))


def test_changed_body_is_refused(home: Settings) -> None:
    address = stored(home, packet())
    path = home.restricted / "bodies" / address[:2] / f"{address}.json"
    path.write_bytes(path.read_bytes().replace(b"60000.00", b"90000.00"))
    with pytest.raises(RestrictedStoreError, match=address[:12]):
        read_body(home.restricted, address)


def test_brief_that_does_not_verify_is_not_stored(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_amount(body: dict[str, Any]) -> None:
        for line in body["brief"]:
            line["text"] = line["text"].replace("60,000", "90,000")

    monkeypatch.setattr(restricted, "body_of", with_other_brief(restricted.body_of, other_amount))
    found = store_packets(home, [packet()])[("pkt_1", "2026-11-09")]
    assert [problem.what for problem in found.problems] == ["amount does not follow from F7"]
    assert read_body(home.restricted, found.body_sha256) is None


def test_second_process_verifies_many_packets_and_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_amount(body: dict[str, Any]) -> None:
        if body["packet"]["packet_id"] == "pkt_3":
            for line in body["brief"]:
                line["text"] = line["text"].replace("60,000", "90,000")

    monkeypatch.setattr(restricted, "body_of", with_other_brief(restricted.body_of, other_amount))
    packets = [packet(f"pkt_{number}") for number in range(7)]
    one, other = (Settings(home=tmp_path / name) for name in ("one", "other"))
    alone = store_packets(one, packets)
    # batches of two, and more of them than wait at a time
    monkeypatch.setattr(restricted, "BATCH", 2)
    monkeypatch.setattr(restricted, "WAITING_BATCHES", 1)
    with Workers() as second:
        few = store_packets(other, packets, second)
        assert not second.is_running
        monkeypatch.setattr(restricted, "PACKETS_FOR_SECOND", len(packets))
        beside = store_packets(other, packets, second)
        assert second.is_running
    assert alone == few == beside
    assert [key for key, found in beside.items() if found.problems] == [("pkt_3", "2026-11-09")]
    assert all_bytes(one.restricted / "bodies") == all_bytes(other.restricted / "bodies")


def test_garbage_is_what_no_release_and_no_case_refers_to(home: Settings) -> None:
    published, held, lost = (stored(home, packet(name)) for name in ("pkt_1", "pkt_2", "pkt_3"))
    hold(home, held, "case-2")
    just_now = datetime.now(UTC)
    assert collect_garbage(home, {published}, just_now).bodies == 0
    found = collect_garbage(home, {published}, just_now + timedelta(days=2))
    assert (found.bodies, found.texts) == (1, 0)
    assert read_body(home.restricted, lost) is None
    assert "Jana" in whole(home, published)
    assert "Jana" in whole(home, held)
    assert collect_garbage(home, set(), just_now + timedelta(days=2)).bodies == 1
    (home.restricted / "holds").joinpath(next((home.restricted / "holds").iterdir()).name).unlink()
    last = collect_garbage(home, set(), just_now + timedelta(days=2))
    assert (last.bodies, last.texts > 0) == (1, True)
    assert b"Jana" not in all_bytes(home.restricted)
