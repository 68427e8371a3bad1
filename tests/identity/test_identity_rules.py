"""Each rule of identity: what it links, with which method and confidence, and what it must not link."""

from __future__ import annotations

import pytest

from health_pipeline.identity.overrides import account_id_of


def crm(record: str, system: str = "crm_system") -> str:
    return account_id_of(system, "default", record)


def link_of(crosswalk, kind, record):
    links = [
        link
        for link in crosswalk.links.to_pylist()
        if (link["source_kind"], link["source_account_id"]) == (kind, record)
    ]
    assert len(links) == 1, links
    return links[0]


def reason_of(crosswalk, kind, record):
    return next(
        row
        for row in crosswalk.unmatched.to_pylist()
        if (row["source_kind"], row["source_account_id"]) == (kind, record)
    )


def test_account_id_is_stable_and_readable():
    assert account_id_of("hubspot", "default", "42") == "acc_fc2eee68c957"
    assert account_id_of("a", "bc", "d") != account_id_of("ab", "c", "d")


def test_external_id_links_to_the_anchor_with_method_confidence_and_evidence(book):
    book.load(0, "crm", [{"id": "C1"}])
    book.load(1, "billing", [{"id": "B1", "external": "C1"}])
    crosswalk = book.crosswalk()
    assert crosswalk.accounts.to_pylist() == [
        {
            "account_id": crm("C1"),
            "anchor_source_kind": "crm",
            "anchor_source_system": "crm_system",
            "anchor_source_instance": "default",
            "anchor_source_account_id": "C1",
            "first_seen_at": book.at(0),
            "merged_into_account_id": None,
            "merged_at": None,
        }
    ]
    assert link_of(crosswalk, "billing", "B1") == {
        "account_id": crm("C1"),
        "source_kind": "billing",
        "source_system": "billing_system",
        "source_instance": "default",
        "source_account_id": "B1",
        "method": "external_id",
        "confidence": 0.99,
        "evidence": "billing:billing_system/default/B1 names crm:crm_system/default/C1",
        "valid_from": book.at(1),
        "valid_to": None,
        "decided_by": "rule",
    }
    assert link_of(crosswalk, "crm", "C1")["method"] == "anchor"
    assert crosswalk.unmatched.num_rows == 0


def test_a_link_starts_when_both_records_are_known(book):
    book.load(0, "billing", [{"id": "B1", "external": "C1"}], mode="historical")
    book.load(0, "crm", [{"id": "C0"}], mode="historical")
    book.load(3, "crm", [{"id": "C1"}])
    crosswalk = book.crosswalk()
    assert link_of(crosswalk, "billing", "B1")["valid_from"] == book.at(3)


def test_in_a_historical_load_the_id_counts_before_the_attributes(book):
    book.load(300, "crm", [{"id": "C1", "known": 10, "attributes": 90, "domain": "acme.example"}], mode="historical")
    book.load(
        300, "support", [{"id": "S1", "known": 20, "attributes": 50, "domain": "acme.example"}], mode="historical"
    )
    crosswalk = book.crosswalk()
    assert link_of(crosswalk, "crm", "C1")["valid_from"] == book.at(10)
    # the domain of the account is known from day 90 on, whatever the order of the loads
    assert link_of(crosswalk, "support", "S1")["valid_from"] == book.at(90)


def test_external_id_that_two_anchors_of_a_kind_share_links_nothing(book):
    book.load(0, "crm", [{"id": "1001"}], system="one")
    book.load(0.1, "crm", [{"id": "1001"}], system="two")
    book.load(1, "billing", [{"id": "B1", "external": "1001"}])
    crosswalk = book.crosswalk()
    assert crosswalk.accounts.num_rows == 2
    assert reason_of(crosswalk, "billing", "B1")["reason"] == (
        "its external id names no account, or more than one; it has no domain"
    )


def test_records_that_name_each_other_are_one_account(book):
    book.load(0, "crm", [{"id": "C1"}])
    book.load(1, "billing", [{"id": "B1", "external": "C1"}])
    book.load(2, "billing", [{"id": "X9", "external": "U7"}], system="second_billing")
    book.load(3, "usage", [{"id": "U7", "external": "X9", "domain": None}])
    crosswalk = book.crosswalk()
    assert {row["source_account_id"] for row in crosswalk.unmatched.to_pylist()} == {"X9", "U7"}
    book.load(4, "usage", [{"id": "U1", "external": "B1"}])
    book.load(5, "billing", [{"id": "B1", "external": "U1"}])
    # B1 no longer names the crm record; it and U1 name each other, which proves nothing about an account
    assert book.accounts_at(book.crosswalk(), 5) == {"crm:C1": (crm("C1"), "anchor")}


def test_a_pair_that_names_each_other_follows_the_linked_one(book):
    book.load(0, "crm", [{"id": "C1", "external": "B1"}])
    book.load(1, "billing", [{"id": "B1", "external": "C1"}])
    assert book.accounts_at(book.crosswalk(), 1)["billing:B1"] == (crm("C1"), "external_id")


def test_an_id_carried_by_the_crm_links_unless_it_is_a_short_number_or_not_unique(book):
    book.load(0, "crm", [{"id": "C1", "external": "cus_9"}, {"id": "C2", "external": "1001"}])
    book.load(0.5, "crm", [{"id": "C3", "external": "dup-77"}])
    book.load(1, "billing", [{"id": "cus_9"}, {"id": "1001"}, {"id": "dup-77"}])
    book.load(1, "support", [{"id": "dup-77"}])
    crosswalk = book.crosswalk()
    link = link_of(crosswalk, "billing", "cus_9")
    assert (link["account_id"], link["method"], link["confidence"]) == (crm("C1"), "external_id", 0.97)
    assert {row["source_account_id"] for row in crosswalk.unmatched.to_pylist()} == {"1001", "dup-77"}


def test_same_system_and_id_of_another_kind_is_the_same_customer(book):
    book.load(0, "billing", [{"id": "12347"}], system="online_retail", mode="historical")
    book.load(0, "usage", [{"id": "12347"}, {"id": "99"}], system="online_retail", mode="historical")
    crosswalk = book.crosswalk()
    anchor = account_id_of("online_retail", "default", "12347")
    assert crosswalk.accounts["anchor_source_kind"].to_pylist() == ["billing"]
    link = link_of(crosswalk, "usage", "12347")
    assert (link["account_id"], link["method"], link["confidence"]) == (anchor, "external_id", 0.99)
    assert link["evidence"] == (
        "usage:online_retail/default/12347 is of the same system and id as billing:online_retail/default/12347"
    )
    assert [row["source_account_id"] for row in crosswalk.unmatched.to_pylist()] == ["99"]


def test_another_instance_with_the_same_id_is_another_customer(book):
    book.load(0, "billing", [{"id": "1"}], system="erp", instance="emea")
    book.load(0, "usage", [{"id": "1"}], system="erp", instance="apac")
    crosswalk = book.crosswalk()
    assert book.accounts_at(crosswalk, 0) == {"billing:1": (account_id_of("erp", "emea", "1"), "anchor")}


@pytest.mark.parametrize(
    "spelling", ["acme.example", "WWW.Acme.Example", "https://www.acme.example/en?x=1", "info@acme.example"]
)
def test_a_unique_domain_links(book, spelling):
    book.load(0, "crm", [{"id": "C1", "website": "http://acme.example/"}])
    book.load(1, "support", [{"id": "S1", "domain": spelling}])
    link = link_of(book.crosswalk(), "support", "S1")
    assert (link["account_id"], link["method"], link["confidence"]) == (crm("C1"), "domain", 0.95)
    assert link["evidence"] == ("support:support_system/default/S1 has the domain of crm:crm_system/default/C1")


def test_a_free_mail_domain_links_nothing(book):
    book.load(0, "crm", [{"id": "C1", "domain": "gmail.com"}])
    book.load(1, "support", [{"id": "S1", "domain": "gmail.com"}])
    row = reason_of(book.crosswalk(), "support", "S1")
    assert row["reason"] == "its domain is shared by many companies"


def test_a_domain_must_be_unique_on_both_sides(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}, {"id": "C2", "domain": "acme.example"}])
    book.load(0, "crm", [{"id": "C3", "domain": "beta.example"}])
    book.load(1, "support", [{"id": "S1", "domain": "acme.example"}])
    book.load(1, "survey", [{"id": "V1", "domain": "beta.example"}, {"id": "V2", "domain": "beta.example"}])
    crosswalk = book.crosswalk()
    assert reason_of(crosswalk, "support", "S1")["reason"] == "several accounts have its domain"
    assert reason_of(crosswalk, "survey", "V1")["reason"] == "several records of its own source have its domain"
    assert crosswalk.possible_duplicates.to_pylist() == [
        {"account_id": min(crm("C1"), crm("C2")), "other_account_id": max(crm("C1"), crm("C2"))}
    ]


def test_a_later_duplicate_takes_no_linked_record_away(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}])
    book.load(1, "billing", [{"id": "B1", "domain": "acme.example"}])
    book.load(2, "crm", [{"id": "C2", "domain": "acme.example"}])
    crosswalk = book.crosswalk()
    assert crosswalk.accounts.num_rows == 2
    assert book.accounts_at(crosswalk, 9)["billing:B1"] == (crm("C1"), "domain")


def test_a_domain_that_becomes_unique_links_from_then_on(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}, {"id": "C2", "domain": "acme.example"}])
    book.load(1, "billing", [{"id": "B1", "domain": "acme.example"}])
    book.load(5, "crm", [{"id": "C2", "domain": "other.example"}])
    assert link_of(book.crosswalk(), "billing", "B1")["valid_from"] == book.at(5)


def test_a_record_matched_by_domain_is_no_evidence_for_the_next(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}])
    book.load(1, "billing", [{"id": "B1", "domain": "acme.example"}])
    book.load(2, "billing", [{"id": "B1", "domain": "acme.example"}, {"id": "B2", "domain": "other.example"}])
    book.load(3, "support", [{"id": "S1", "domain": "other.example"}])
    crosswalk = book.crosswalk()
    assert {row["source_account_id"] for row in crosswalk.unmatched.to_pylist()} == {"B2", "S1"}


def test_a_reseller_domain_that_the_company_names_links_nothing(book):
    from health_pipeline.identity.overrides import Overrides

    book.load(0, "crm", [{"id": "C1", "domain": "reseller.example"}])
    book.load(1, "billing", [{"id": "B1", "domain": "reseller.example"}])
    crosswalk = book.crosswalk(Overrides(ignored_domains=("www.Reseller.example",)))
    assert reason_of(crosswalk, "billing", "B1")["reason"] == "its domain is shared by many companies"


def test_a_name_is_only_a_suggestion(book):
    book.load(0, "crm", [{"id": "C1", "name": "Müller & Söhne GmbH"}, {"id": "C2", "name": "Orbital Freight"}])
    book.load(1, "billing", [{"id": "B1", "name": "Mueller Soehne Ltd"}, {"id": "B2", "name": "Muller Sohne Ltd."}])
    book.load(1, "support", [{"id": "S1", "name": "Zyx"}])
    crosswalk = book.crosswalk()
    assert book.accounts_at(crosswalk, 1).keys() == {"crm:C1", "crm:C2"}
    same = reason_of(crosswalk, "billing", "B2")
    assert (same["suggested_account_id"], same["suggestion_confidence"]) == (crm("C1"), 0.9)
    assert same["reason"] == "it has neither an external id nor a domain"
    assert same["first_seen_at"] == book.at(1)
    alike = reason_of(crosswalk, "billing", "B1")
    assert alike["suggested_account_id"] == crm("C1")
    assert 0.45 <= alike["suggestion_confidence"] < 0.9
    assert reason_of(crosswalk, "support", "S1")["suggested_account_id"] is None


def test_external_id_is_stronger_than_the_domain(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}, {"id": "C2", "domain": "beta.example"}])
    book.load(1, "billing", [{"id": "B1", "external": "C2", "domain": "acme.example"}])
    assert book.accounts_at(book.crosswalk(), 1)["billing:B1"] == (crm("C2"), "external_id")


def test_a_stronger_method_closes_the_weaker_link(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}, {"id": "C2"}])
    book.load(1, "billing", [{"id": "B1", "domain": "acme.example"}])
    book.load(7, "billing", [{"id": "B1", "domain": "acme.example", "external": "C2"}])
    links = [link for link in book.crosswalk().links.to_pylist() if link["source_account_id"] == "B1"]
    assert [(li["account_id"], li["method"], li["valid_from"], li["valid_to"]) for li in links] == [
        (crm("C1"), "domain", book.at(1), book.at(7)),
        (crm("C2"), "external_id", book.at(7), None),
    ]


def test_changed_evidence_of_the_record_itself_ends_its_link(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}, {"id": "C2", "domain": "beta.example"}])
    book.load(1, "billing", [{"id": "B1", "domain": "acme.example"}])
    book.load(2, "billing", [{"id": "B1", "domain": "beta.example"}])
    book.load(3, "billing", [{"id": "B1", "domain": "gone.example"}])
    crosswalk = book.crosswalk()
    assert book.accounts_at(crosswalk, 1)["billing:B1"] == (crm("C1"), "domain")
    assert book.accounts_at(crosswalk, 2)["billing:B1"] == (crm("C2"), "domain")
    assert "billing:B1" not in book.accounts_at(crosswalk, 3)
    assert reason_of(crosswalk, "billing", "B1")["reason"] == "no account has its domain"
