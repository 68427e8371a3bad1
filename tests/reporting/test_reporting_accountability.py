"""Which artefact is evidence for which subcategory: found where it is there, "not evidenced" where it is not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from health_pipeline.contract.mart import mart_tables
from health_pipeline.reporting import accountability as module
from health_pipeline.reporting.accountability import (
    NOT_EVIDENCED,
    Artefact,
    accountability,
    accountability_page,
    accountability_sentence,
    accountability_table,
    subcategories,
)

# The subcategories the design names as applying.
APPLYING = {
    "GOVERN": ["1.6", "2.1", "3.2", "6.1"],
    "MAP": ["1.1", "1.5", "2.2", "3.2", "3.5", "4.1"],
    "MEASURE": ["2.1", "2.3", "2.4", "2.5", "2.6", "2.7", "2.10", "2.11", "2.13", "3.3"],
    "MANAGE": ["1.3", "1.4", "2.3", "2.4", "4.1", "4.3"],
}


def answers_of(rows):
    return {answer.subcategory: answer for answer in accountability(rows)}


def test_every_subcategory_that_applies_is_asked_once_in_order():
    expected = [f"{function} {number}" for function, numbers in APPLYING.items() for number in numbers]
    assert [entry.subcategory for entry in subcategories()] == expected


def test_a_table_is_evidence_where_it_has_rows_and_its_rows_are_told():
    assert answers_of({"review_metrics_weekly": 1234})["MAP 3.5"].found == (
        "review_metrics_weekly (1,234 rows): packets decided, waiting and overdue",
    )


@pytest.mark.parametrize("rows", [{}, {"review_metrics_weekly": 0}])
def test_a_table_without_rows_is_no_evidence(rows):
    answer = answers_of(rows)["MAP 3.5"]
    assert answer.words == NOT_EVIDENCED
    assert answer.lacking == ("review_metrics_weekly",)


def test_a_page_is_evidence_while_it_is_there(monkeypatch, tmp_path):
    assert answers_of({})["MAP 1.1"].found == ("README.md: what it is for and what it does not promise",)
    monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    assert answers_of({})["MAP 1.1"].words == NOT_EVIDENCED


def test_checks_are_evidence_while_one_of_the_suite_is_critical(monkeypatch):
    assert answers_of({})["MEASURE 2.10"].lacking == ()
    monkeypatch.setattr(module, "load_checks", tuple)
    assert answers_of({})["MEASURE 2.10"].lacking == ("checks of risk_evidence",)


@pytest.mark.parametrize(
    "parts", [{}, {"table": "accounts", "check": "accounts"}, {"table": "no_such_table"}, {"check": "no_such_table"}]
)
def test_an_artefact_is_one_known_thing(parts):
    with pytest.raises(ValidationError):
        Artefact(shows="something", **parts)


def test_sentence_and_table_count_the_same():
    rows = dict.fromkeys(mart_tables(), 5)
    table = accountability_table(rows)
    with_evidence = sum(row[2].text != NOT_EVIDENCED for row in table.rows)
    assert accountability_sentence(rows).startswith(f"For {with_evidence} of the {len(table.rows)} subcategories")


def test_the_page_names_every_subcategory_and_claims_nothing():
    page = accountability_page()
    for entry in subcategories():
        assert f"| {entry.subcategory} |" in page
    assert "compliant" not in page.lower()
    assert "complies" not in page.lower()
