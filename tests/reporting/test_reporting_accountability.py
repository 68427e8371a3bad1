"""Which artefact is evidence for which subcategory: found where it is there, "not evidenced" where it is not."""

from __future__ import annotations

from datetime import date, datetime

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
from health_pipeline.reporting.release_data import read_release

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
    assert answers_of({"segment_performance_quarterly": 1234})["MEASURE 2.11"].found == (
        "segment_performance_quarterly (1,234 rows): outcomes per segment with intervals",
    )


@pytest.mark.parametrize("rows", [{}, {"segment_performance_quarterly": 0}])
def test_a_table_without_rows_is_no_evidence(rows):
    answer = answers_of(rows)["MEASURE 2.11"]
    assert answer.words == NOT_EVIDENCED
    assert answer.lacking == ("segment_performance_quarterly",)


def test_a_metric_that_is_null_in_every_week_is_no_evidence():
    table = "review_metrics_weekly"
    empty = {table: 1234, f"{table}.packets_with_owner": 0}
    assert answers_of(empty)["MAP 3.5"].words == NOT_EVIDENCED
    answer = answers_of({**empty, f"{table}.packets_with_owner": 52})["MAP 3.5"]
    assert answer.words == (
        "review_metrics_weekly, packets_with_owner (52): packets with an owner, an escalation path, a decision, a date "
        "to look again"
    )
    assert answer.lacking[-1] == "review_metrics_weekly: packets_with_follow_up_date"


def test_events_that_never_happened_are_no_evidence():
    rows = {"measurement_events": 8136, "measurement_events.packet_built": 8000}
    assert answers_of(rows)["MANAGE 1.4"].words == NOT_EVIDENCED
    assert answers_of({**rows, "measurement_events.residual_risk_recorded": 1})["MANAGE 1.4"].lacking == ()


def test_a_release_counts_known_values_and_events(builder):
    clock = {"week": date(2026, 11, 9), "as_of_at": datetime(2026, 11, 16), "known_at": datetime(2026, 11, 16, 6)}

    def two_metrics(_):
        return [{**clock, "metric": name, "value": value} for name, value in (("known", 1.0), ("empty", None))]

    rows = read_release(builder(edit={"review_metrics_weekly": two_metrics}).build()).rows
    counts = [rows[f"review_metrics_weekly{name}"] for name in ("", ".known", ".empty")]
    assert counts == [2, 1, 0]


def test_the_page_counts_what_comes_back_from_the_ledger():
    page = accountability_page()
    (line,) = [one for one in page.splitlines() if one.startswith("| MEASURE 2.13 |")]
    assert "review_metrics_weekly, false_positives, misses_found_by_audit: " in line and line.endswith("|  |")


def test_a_page_is_evidence_while_it_is_there(monkeypatch, tmp_path):
    assert answers_of({})["MAP 1.1"].found == ("README.md: what it is for and what it does not promise",)
    monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    assert answers_of({})["MAP 1.1"].words == NOT_EVIDENCED


def test_checks_are_evidence_while_one_of_the_suite_is_critical(monkeypatch):
    assert answers_of({})["MEASURE 2.10"].lacking == ()
    monkeypatch.setattr(module, "load_checks", tuple)
    assert answers_of({})["MEASURE 2.10"].lacking == ("checks of risk_evidence",)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"table": "accounts", "check": "accounts"},
        {"table": "no_such_table"},
        {"check": "no_such_table"},
        {"table": "review_metrics_weekly"},
        {"table": "accounts", "holding": ("account_id",)},
    ],
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
