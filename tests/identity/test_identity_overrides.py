"""The override file: a decision holds from its date on; a file that can't be used is refused in one sentence."""

from __future__ import annotations

from datetime import datetime

import pytest

from health_pipeline.identity.overrides import (
    Merge,
    Override,
    Overrides,
    account_id_of,
    find_override_file,
    load_overrides,
)
from health_pipeline.policy.documents import PolicyError

WHO = {"decided_by": "ana@example.com", "reason": "contract on file"}


def crm(record):
    return account_id_of("crm_system", "default", record)


def decide(record, day, book, **target):
    return Override(
        source_system="billing_system", source_account_id=record, effective_from=book.at(day), **target, **WHO
    )


def merge(one, other, day, book):
    return Merge(account_id=crm(one), into_account_id=crm(other), effective_from=book.at(day), **WHO)


@pytest.fixture
def customers(book):
    """Two crm accounts, a billing customer of each, one that matches nothing."""
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}, {"id": "C2"}])
    book.load(
        1,
        "billing",
        [{"id": "B1", "domain": "acme.example"}, {"id": "B2", "external": "C2"}, {"id": "B3"}],
    )
    return book


def test_an_override_counts_from_its_date_and_leaves_the_past(customers):
    overrides = Overrides(overrides=(decide("B1", 10, customers, account_id=crm("C2")),))
    links = [link for link in customers.crosswalk(overrides).links.to_pylist() if link["source_account_id"] == "B1"]
    assert [
        (li["account_id"], li["method"], li["confidence"], li["valid_from"], li["valid_to"], li["decided_by"])
        for li in links
    ] == [
        (crm("C1"), "domain", 0.95, customers.at(1), customers.at(10), "rule"),
        (crm("C2"), "override", 1.0, customers.at(10), None, "ana@example.com"),
    ]
    assert links[1]["evidence"] == "override of billing_system/default/B1"


def test_an_override_is_stronger_than_every_rule_and_a_later_one_follows_it(customers):
    overrides = Overrides(
        overrides=(
            decide("B2", 0, customers, account_id=crm("C1")),
            decide("B2", 20, customers, account_id="none"),
            decide("B2", 30, customers, anchor={"source_system": "crm_system", "source_account_id": "C2"}),
        )
    )
    crosswalk = customers.crosswalk(overrides)
    found = [customers.accounts_at(crosswalk, day).get("billing:B2") for day in (5, 25, 35)]
    assert found == [(crm("C1"), "override"), None, (crm("C2"), "override")]


def test_none_puts_the_record_into_the_queue_with_its_reason(customers):
    crosswalk = customers.crosswalk(Overrides(overrides=(decide("B2", 5, customers, account_id="none"),)))
    reasons = {row["source_account_id"]: row["reason"] for row in crosswalk.unmatched.to_pylist()}
    assert reasons["B2"] == "a person decided that it belongs to no account"


def test_new_makes_an_account_of_the_record_itself(customers):
    crosswalk = customers.crosswalk(Overrides(overrides=(decide("B3", 5, customers, account_id="new"),)))
    minted = account_id_of("billing_system", "default", "B3")
    assert customers.accounts_at(crosswalk, 4).get("billing:B3") is None
    assert customers.accounts_at(crosswalk, 5)["billing:B3"] == (minted, "override")
    row = next(row for row in crosswalk.accounts.to_pylist() if row["account_id"] == minted)
    assert (row["anchor_source_kind"], row["first_seen_at"]) == ("billing", customers.at(5))


def test_new_takes_a_linked_record_out_of_its_account(customers):
    crosswalk = customers.crosswalk(Overrides(overrides=(decide("B1", 5, customers, account_id="new"),)))
    minted = account_id_of("billing_system", "default", "B1")
    assert customers.accounts_at(crosswalk, 4)["billing:B1"] == (crm("C1"), "domain")
    assert customers.accounts_at(crosswalk, 5)["billing:B1"] == (minted, "override")


def test_an_account_that_does_not_exist_is_told_and_links_nothing(customers):
    overrides = Overrides(overrides=(decide("B3", 5, customers, account_id="acc_000000000000"),))
    crosswalk = customers.crosswalk(overrides)
    assert crosswalk.unknown_accounts == ("acc_000000000000",)
    assert [row["reason"] for row in crosswalk.unmatched.to_pylist()] == [
        "the override file names an account that does not exist"
    ]


def test_an_override_waits_for_its_account(customers):
    overrides = Overrides(overrides=(decide("B3", 5, customers, account_id=crm("C9")),))
    customers.load(9, "crm", [{"id": "C9"}])
    crosswalk = customers.crosswalk(overrides)
    assert crosswalk.unknown_accounts == ()
    assert "billing:B3" not in customers.accounts_at(crosswalk, 8)
    assert customers.accounts_at(crosswalk, 9)["billing:B3"] == (crm("C9"), "override")


def test_a_merge_makes_an_alias_and_moves_the_links(customers):
    crosswalk = customers.crosswalk(Overrides(merges=(merge("C1", "C2", 10, customers),)))
    alias = next(row for row in crosswalk.accounts.to_pylist() if row["account_id"] == crm("C1"))
    assert (alias["merged_into_account_id"], alias["merged_at"]) == (crm("C2"), customers.at(10))
    assert customers.accounts_at(crosswalk, 9)["billing:B1"] == (crm("C1"), "domain")
    assert {account for account, _ in customers.accounts_at(crosswalk, 10).values()} == {crm("C2")}
    moved = [link for link in crosswalk.links.to_pylist() if link["source_account_id"] == "C1"]
    assert [(li["method"], li["valid_to"], li["decided_by"]) for li in moved] == [
        ("anchor", customers.at(10), "rule"),
        ("override", None, "ana@example.com"),
    ]
    assert moved[1]["evidence"] == f"{crm('C1')} merged into {crm('C2')}"


def test_what_is_matched_later_follows_the_merges(customers):
    customers.load(2, "crm", [{"id": "C3"}])
    merges = (merge("C1", "C2", 10, customers), merge("C2", "C3", 20, customers))
    customers.load(15, "support", [{"id": "S1", "external": "C1"}])
    customers.load(25, "survey", [{"id": "V1", "external": "C1"}])
    crosswalk = customers.crosswalk(Overrides(merges=merges))
    assert customers.accounts_at(crosswalk, 15)["support:S1"][0] == crm("C2")
    now = customers.accounts_at(crosswalk, 25)
    assert {account for account, _ in now.values()} == {crm("C3")}
    assert now.keys() == {"crm:C1", "crm:C2", "crm:C3", "billing:B1", "billing:B2", "support:S1", "survey:V1"}
    merged = {row["account_id"]: row["merged_into_account_id"] for row in crosswalk.accounts.to_pylist()}
    assert merged == {crm("C1"): crm("C3"), crm("C2"): crm("C3"), crm("C3"): None}


def test_a_merge_settles_an_ambiguous_domain(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}, {"id": "C2", "domain": "acme.example"}])
    book.load(1, "billing", [{"id": "B1", "domain": "acme.example"}])
    crosswalk = book.crosswalk(Overrides(merges=(merge("C1", "C2", 10, book),)))
    assert "billing:B1" not in book.accounts_at(crosswalk, 9)
    assert book.accounts_at(crosswalk, 10)["billing:B1"] == (crm("C2"), "domain")


YAML = """
overrides:
  - source_system: stripe
    source_account_id: cus_1
    account_id: acc_0123456789ab
    effective_from: 2026-11-16
    decided_by: ana@example.com
    reason: contract on file
merges:
  - account_id: acc_0123456789ab
    into_account_id: acc_ba9876543210
    effective_from: 2026-11-16T08:00:00+02:00
    decided_by: ana@example.com
    reason: same company
ignored_domains: [reseller.example]
"""
CSV = """action,source_system,source_instance,source_account_id,account_id,into_account_id,effective_from,\
decided_by,reason
override,stripe,,cus_1,acc_0123456789ab,,2026-11-16,ana@example.com,contract on file
merge,,,,acc_0123456789ab,acc_ba9876543210,2026-11-16T06:00:00Z,ana@example.com,same company
"""


@pytest.mark.parametrize(("suffix", "text"), [("yaml", YAML), ("csv", CSV)])
@pytest.mark.parametrize("place", ["policy", "home"])
def test_the_file_is_read_from_the_policy_folder_or_the_state_folder(tmp_path, suffix, text, place):
    for folder in ("policy", "home"):
        (tmp_path / folder).mkdir()
    (tmp_path / place / f"identity_overrides.{suffix}").write_text(text)
    overrides = load_overrides(tmp_path / "policy", tmp_path / "home")
    (override,), (merged,) = overrides.overrides, overrides.merges
    assert override.record == ("stripe", "default", "cus_1")
    assert (override.target, override.effective_from) == ("acc_0123456789ab", datetime(2026, 11, 16))
    assert (merged.into_account_id, merged.effective_from) == ("acc_ba9876543210", datetime(2026, 11, 16, 6))
    assert overrides.ignored_domains == (("reseller.example",) if suffix == "yaml" else ())


def test_no_file_is_no_override(tmp_path):
    assert find_override_file(None, tmp_path) is None
    assert load_overrides(None, tmp_path) == Overrides()


def test_two_files_are_refused(tmp_path):
    (tmp_path / "identity_overrides.yaml").write_text("{}")
    (tmp_path / "identity_overrides.csv").write_text("action\n")
    with pytest.raises(
        PolicyError, match=r"identity_overrides\.yaml and in .*\.csv; keep one file, remove the other\.$"
    ):
        load_overrides(None, tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("account_id: acc_0123456789ab\n    eff", "account_id: 17\n    eff", r"overrides\.0\.account_id: write an acc"),
        ("    reason: contract on file\n", "", r"overrides\.0\.reason: Field required"),
        ("effective_from: 2026-11-16\n", "effective_from: soon\n", r"effective_from: write a date as YYYY-MM-DD"),
        ("into_account_id: acc_ba9876543210", "into_account_id: acc_0123456789ab", "are the same account"),
        ("source_system: stripe", "system: stripe", r"overrides\.0\.(source_)?system"),
        ("ignored_domains: [reseller.example]", "ignored_domains: [reseller]", "'reseller' is not a domain"),
        ("account_id: acc_0123456789ab\n    eff", "eff", "name the account once"),
    ],
)  # fmt: skip
def test_a_wrong_yaml_file_is_refused_in_one_sentence(tmp_path, before, after, sentence):
    assert before in YAML
    path = tmp_path / "identity_overrides.yaml"
    path.write_text(YAML.replace(before, after, 1))
    with pytest.raises(PolicyError, match=sentence) as refused:
        load_overrides(None, tmp_path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("merge,", "join,", r"line 3: action is 'join'; write override or merge\.$"),
        ("2026-11-16,", "16.11.2026,", r"line 2: effective_from: write a date as YYYY-MM-DD.*'16\.11\.2026'"),
        ("decided_by", "who", r"unknown column 'who'; the columns are action, source_system"),
        ("acc_0123456789ab,acc_ba9876543210", "acc_0123456789ab,", r"line 3: into_account_id: Field required"),
    ],
)
def test_a_wrong_csv_file_is_refused_in_one_sentence(tmp_path, before, after, sentence):
    assert before in CSV
    (tmp_path / "identity_overrides.csv").write_text(CSV.replace(before, after, 1))
    with pytest.raises(PolicyError, match=sentence):
        load_overrides(None, tmp_path)


def test_decisions_that_contradict_each_other_are_refused(book):
    with pytest.raises(ValueError, match="is decided 2 times"):
        Overrides(overrides=(decide("B1", 1, book, account_id="none"), decide("B1", 1, book, account_id="new")))
    with pytest.raises(ValueError, match="is merged twice"):
        Overrides(merges=(merge("C1", "C2", 1, book), merge("C1", "C3", 2, book)))
    with pytest.raises(ValueError, match="go round in a circle"):
        Overrides(merges=(merge("C1", "C2", 1, book), merge("C2", "C3", 2, book), merge("C3", "C1", 3, book)))
