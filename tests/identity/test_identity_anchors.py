"""Who makes accounts, who never does, and that an account keeps its id."""

from __future__ import annotations

import pytest

from health_pipeline.identity.overrides import account_id_of


@pytest.mark.parametrize("kind", ["crm", "billing", "cs", "support"])
def test_the_strongest_connected_kind_makes_the_accounts(book, kind):
    kinds = ["crm", "billing", "cs", "support"]
    for weaker in kinds[kinds.index(kind) :]:
        book.load(0, weaker, [{"id": f"{weaker}-1"}], mode="historical")
    crosswalk = book.crosswalk()
    assert crosswalk.accounts["anchor_source_kind"].to_pylist() == [kind]
    assert crosswalk.unmatched.num_rows == len(kinds) - kinds.index(kind) - 1


@pytest.mark.parametrize("kind", ["usage", "survey", "projects", "risk", "engagement"])
def test_the_other_kinds_never_make_one(book, kind):
    book.load(0, kind, [{"id": "1", "domain": "acme.example"}])
    crosswalk = book.crosswalk()
    assert crosswalk.accounts.num_rows == 0
    assert crosswalk.links.num_rows == 0
    assert crosswalk.unmatched["reason"].to_pylist() == [
        "no source that accounts are made from (crm, billing, cs, support) is connected"
    ]


def test_nothing_landed_gives_empty_typed_tables(book):
    crosswalk = book.crosswalk()
    assert crosswalk.accounts.num_rows == crosswalk.links.num_rows == crosswalk.unmatched.num_rows == 0
    assert crosswalk.links.schema.field("valid_to").type == "timestamp[us]"


def test_during_the_set_up_the_order_of_historical_loads_decides_nothing(book):
    other = book.new()
    crm = ("crm", [{"id": "C1", "known": -90, "domain": "acme.example"}])
    billing = ("billing", [{"id": "B1", "known": -90, "external": "C1"}])
    for number, (one, two) in enumerate(((crm, billing), (billing, crm))):
        target = (book, other)[number]
        target.load(0, *one, mode="historical")
        target.load(0.1, *two, mode="historical")
    assert book.crosswalk().links.equals(other.crosswalk().links)
    assert book.crosswalk().accounts["anchor_source_kind"].to_pylist() == ["crm"]


def test_until_the_first_known_at_the_order_of_incremental_loads_decides_nothing(book):
    book.load(0, "billing", [{"id": "B1", "external": "C1"}, {"id": "B2"}])
    book.load(0.1, "crm", [{"id": "C1"}])
    crosswalk = book.crosswalk(first_known_at=book.at(4 / 24))
    assert crosswalk.accounts["anchor_source_kind"].to_pylist() == ["crm"]
    assert [row["source_account_id"] for row in crosswalk.unmatched.to_pylist()] == ["B2"]


def test_a_crm_connected_later_takes_no_account_its_id(book):
    book.load(
        0,
        "billing",
        [
            {"id": "B1", "known": -90, "domain": "acme.example"},
            {"id": "B2", "known": -80},
            {"id": "B3", "known": -80},
        ],
        mode="historical",
    )
    before = book.crosswalk()
    book.load(
        60,
        "crm",
        [
            {"id": "C1", "known": -200, "domain": "acme.example"},
            {"id": "C2", "known": -200, "external": "B2"},
            {"id": "C9", "known": -200},
        ],
        mode="historical",
    )
    book.load(61, "billing", [{"id": "B4"}])
    after = book.crosswalk()
    assert set(before.accounts["account_id"].to_pylist()) < set(after.accounts["account_id"].to_pylist())
    for day in (-85, 0, 59):
        assert book.accounts_at(before, day) == book.accounts_at(after, day)
    now = book.accounts_at(after, 62)
    assert now["crm:C1"] == (account_id_of("billing_system", "default", "B1"), "domain")
    assert now["crm:C2"] == (account_id_of("billing_system", "default", "B2"), "external_id")
    assert now["crm:C9"] == (account_id_of("crm_system", "default", "C9"), "anchor")
    # from now on only the crm makes accounts
    assert [row["source_account_id"] for row in after.unmatched.to_pylist()] == ["B4"]


def test_an_account_outlives_changes_of_its_anchor(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example", "name": "Acme"}])
    book.load(1, "crm", [{"id": "C1", "domain": "new.example", "name": "Acme Two"}])
    crosswalk = book.crosswalk()
    assert crosswalk.accounts.num_rows == 1
    assert crosswalk.links.num_rows == 1


def test_a_deleted_record_loses_its_link_and_the_account_stays(book):
    book.load(0, "crm", [{"id": "C1"}])
    book.load(1, "billing", [{"id": "B1", "external": "C1"}])
    book.load(2, "crm", [{"id": "C1", "deleted": True}])
    book.load(3, "billing", [{"id": "B9", "external": "C1"}])
    crosswalk = book.crosswalk()
    assert crosswalk.accounts.num_rows == 1
    assert book.accounts_at(crosswalk, 3).keys() == {"billing:B1"}
    assert [link["valid_to"] for link in crosswalk.links.to_pylist()] == [book.at(2), None]
    # a deleted record is no evidence for a new one, and is not in the queue itself
    assert [row["source_account_id"] for row in crosswalk.unmatched.to_pylist()] == ["B9"]


def test_missing_from_a_complete_extract_is_gone_and_may_come_back(book):
    both = [{"id": "C1"}, {"id": "C2"}]
    book.load(0, "crm", both, is_complete=True)
    book.load(7, "crm", both[:1], is_complete=True)
    book.load(14, "crm", both[:1], is_complete=False)
    book.load(21, "crm", both, is_complete=True)
    crosswalk = book.crosswalk()
    present = [sorted(book.accounts_at(crosswalk, day)) for day in (0, 7, 14, 21)]
    assert present == [["crm:C1", "crm:C2"], ["crm:C1"], ["crm:C1"], ["crm:C1", "crm:C2"]]
    assert crosswalk.accounts.num_rows == 2
    came_back = [link for link in crosswalk.links.to_pylist() if link["source_account_id"] == "C2"]
    assert [(link["valid_from"], link["valid_to"]) for link in came_back] == [
        (book.at(0), book.at(7)),
        (book.at(21), None),
    ]


def test_missing_from_an_incremental_extract_is_not_gone(book):
    book.load(0, "crm", [{"id": "C1"}, {"id": "C2"}], is_complete=True)
    book.load(7, "crm", [{"id": "C1", "name": "new"}], is_complete=False)
    assert book.accounts_at(book.crosswalk(), 8).keys() == {"crm:C1", "crm:C2"}


def test_an_empty_complete_extract_closes_everything(book):
    book.load(0, "crm", [{"id": "C1"}], is_complete=True)
    book.load(7, "crm", [], is_complete=True)
    assert book.accounts_at(book.crosswalk(), 8) == {}


def test_the_same_record_twice_in_one_load_is_one_record(book):
    book.load(0, "crm", [{"id": "C1", "name": "Acme"}, {"id": "C1", "name": "Acme"}], is_complete=True)
    book.load(7, "crm", [{"id": "C1", "name": "Acme"}, {"id": "C1", "name": "Acme"}], is_complete=True)
    crosswalk = book.crosswalk()
    assert crosswalk.links.num_rows == crosswalk.accounts.num_rows == 1


def test_two_records_that_would_share_an_account_id_are_told(book, monkeypatch):
    monkeypatch.setattr("health_pipeline.identity.records.account_id_of", lambda *record: "acc_000000000000")
    book.load(0, "crm", [{"id": "C1"}, {"id": "C2"}])
    with pytest.raises(ValueError, match="default/C2 and crm_system/default/C1 would have the same account id"):
        book.crosswalk()
