"""The report's tables by hand-computed values: decisions, plan, themes, support, matching, folds, the index."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.policy.company import load_company
from health_pipeline.reporting import decisions, plan_sections, product_sections, source_sections
from health_pipeline.reporting.archive import write_archive
from health_pipeline.reporting.release_data import read_release
from health_pipeline.reporting.tables import Cell, Table, typeset
from health_pipeline.reporting.weekly import render_weekly_report, write_weekly_report

HARD = "\N{NO-BREAK SPACE}"


def texts(table, column: int = 0) -> list[str]:
    return [row[column].text for row in table.rows]


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_decisions_sum_to_the_open_tasks(release):
    data = read_release(release)
    table = decisions.decisions_table(data, "USD")
    opened = [task for task in data.tasks if task["state"] == "open"]
    assert sum(number(text) for text in texts(table, 2)) == len(opened)
    assert sum(number(text) for text in texts(table, 3)) == sum(task["priority"] <= 2 for task in opened)
    leaders = [row for row in table.rows if row[1].text == "who owns an account"]
    assert [row[0].text for row in leaders] == ["Customer success leader"]
    assert leaders[0][2].text == str(sum(task["kind"] == "ownerless" for task in opened))
    first = {data.name_of(task) for task in opened if task["priority"] == 1}
    assert set(texts(decisions.urgent_table(data, "USD"))) == first


def test_owners_and_playbooks_show_the_same_plan(release):
    data = read_release(release)
    owners, playbooks = plan_sections.owners_table(data, "USD"), plan_sections.playbooks_table(data, "USD")
    needed = sum(row["hours_needed"] for row in data.plan_accounts)
    assert sum(number(text) for text in texts(owners, 2)) == needed
    assert sum(number(text) for text in texts(playbooks, 3)) == needed
    below = sum(not row["is_within_capacity"] for row in data.plan_accounts)
    assert sum(number(text) for text in texts(owners, 6)) == below
    assert sum(number(text) for text in texts(playbooks, 6)) == below
    assert texts(owners)[0] == "no owner"
    # Every owner's address ends alike, so it is said once.
    assert data.mail_domain == "example.com"
    assert "ana.silva" in texts(owners)
    matrix = plan_sections.hours_matrix(data)
    for row in matrix.rows:
        assert sum(number(cell.text) for cell in row[1:-2] if cell.text) == number(row[-2].text)
    entering = [row for row in data.plan_accounts if row["would_enter_at_plus_10_percent"]]
    assert len(plan_sections.entering_table(data, "USD").rows) == len(entering)


def test_themes_by_revenue_with_rule_change_and_unknown_revenue(release):
    data = read_release(release)
    table = product_sections.themes_table(data, "USD")
    slow = next(row for row in table.rows if row[0].text == "Slow")
    assert (slow[0].detail, slow[1].text, slow[1].change) == ("defect", "5", "+2")
    revenue = sum(
        row["arr_reporting"] or 0 for row in data.health if row["account_id"] in {f"acc-{n:05d}" for n in range(5)}
    )
    assert slow[2].text == f"{float(revenue):,.0f}"
    assert slow[2].detail == "−1,200"
    assert (slow[3].text, slow[3].change, slow[5].text, slow[6].text) == (
        "10",
        "−1",
        "API (4), audit log (2)",
        "says slow (10)",
    )
    assert "no theme" not in " ".join(texts(table)).lower()
    assert product_sections.themes_sentence(data).startswith("16 of 19 tickets of 91 days match a rule")
    features = product_sections.theme_features_table(data, "USD")
    # Slow: accounts 0, 2, 4 at the audit log and 1, 3 at the API; getting out: 3, 5 at the audit log and 4 at the API.
    assert sorted((row[0].text, row[1].text, row[2].text, row[4].text) for row in features.rows) == [
        ("Getting out", "API", "1", "2"),
        ("Getting out", "audit log", "2", "4"),
        ("Slow", "API", "2", "4"),
        ("Slow", "audit log", "3", "6"),
    ]


def test_without_a_support_desk_themes_and_load_are_unknown(release):
    data = replace(read_release(release), themes=[], theme_features=[], support=[], freshness=[])
    assert product_sections.themes_table(data, "USD").empty.endswith("what tickets are about is unknown.")
    assert product_sections.support_table(data, "USD").empty == "No support desk was connected: the load is unknown."
    assert product_sections.support_sentence(data) == ""
    text = render_weekly_report(data, load_company(None).model)
    assert "No support desk was connected: the load is unknown." in text


def test_support_load_by_account_and_segment(release):
    data = read_release(release)
    table = product_sections.support_table(data, "USD")
    assert texts(table, 1) == ["4", "4", "3", "3", "2", "2", "1"]
    assert (table.rows[0][5].text, table.rows[1][5].text, table.rows[1][5].detail) == ("unknown", "1.5", "of 1 ticket")
    segments = product_sections.support_segments_table(data, "USD")
    assert sum(number(text) for text in texts(segments, 2)) == 19
    assert product_sections.support_sentence(data).startswith("19 tickets in 91 days; 3 are open, older ones included.")


def test_matching_is_told_by_number_and_by_revenue(release):
    data = read_release(release)
    data = replace(data, health=[{**data.health[0], "arr_reporting": Decimal(74_800)}])
    known = sum(row["source_accounts"] for row in data.freshness)
    matched = sum(row["matched_accounts"] for row in data.freshness)
    sentence = source_sections.matching_sentence(data, "USD")
    assert sentence.startswith(f"{matched:,} of {known:,} source accounts belong to an account (")
    # Three records with 8,400 each hang on no account: 74,800 of 100,000 are matched.
    assert f"by revenue 75 %: USD{HARD}25{HARD}k hangs on records of no account." in sentence
    unmatched = source_sections.unmatched_table(data, "USD")
    assert texts(unmatched, 1) == ["8,400"] * 3


def test_new_records_are_compared_with_the_weeks_before(release):
    table = source_sections.freshness_table(read_release(release))
    crm = next(row for row in table.rows if row[0].text == "CRM")
    assert (crm[5].text, crm[5].detail, crm[5].tone) == ("120", "usually 120", "")


def test_coverage_of_a_domain_that_does_not_apply_is_said(release):
    rows = [
        {"domain": "usage", "status": "measured", "accounts": 30},
        {"domain": "usage", "status": "zero", "accounts": 10},
        {"domain": "usage", "status": "stale", "accounts": 40},
        {"domain": "risk", "status": "not_applicable", "accounts": 80},
    ]
    company = load_company(None).model.model_copy(update={"not_applicable_domains": ("risk",)})
    table = source_sections.coverage_table(replace(read_release(release), domains=rows), company)
    assert [cell.text for cell in table.rows[0]] == ["Usage", f"50{HARD}%", "30", "10", "40", "0"]
    assert [cell.text for cell in table.rows[1]][:2] == ["Risk", "not applicable"]


def test_a_long_table_folds_and_a_short_one_does_not():
    def table(rows: int, fold_after: int = 5) -> Table:
        return Table("t", (("a", False),), [(Cell(str(n)),) for n in range(rows)], fold_after=fold_after)

    assert [(len(table(n).shown), len(table(n).folded)) for n in (5, 8, 9, 20)] == [(5, 0), (8, 0), (5, 4), (5, 15)]
    assert len(table(100, 0).folded) == 0


def test_figures_stay_with_their_unit_and_negatives_have_a_minus():
    assert typeset("NPS -100 in 90 days; 8 % of it") == f"NPS −100 in 90 days; 8{HARD}% of it"
    assert typeset("2026-11-09, T-100, a-1, USD -5") == "2026-11-09, T-100, a-1, USD −5"


@given(st.text(max_size=40))
def test_typesetting_twice_is_typesetting_once(text):
    assert typeset(typeset(text)) == typeset(text)
    assert len(typeset(text)) == len(text)


def test_the_index_lists_each_week_with_its_verdict(release, settings):
    path = write_weekly_report(settings, release).path
    older = path.with_name("weekly-2026-11-02.html")
    older.write_text(path.read_text().replace("accounts are at risk", "accounts were &lt;b&gt;at risk&lt;/b&gt;"))
    path.with_name("weekly-2025-12-29.html").write_text("of an older form")
    path.with_name("score-validation.html").write_text("x")
    path.with_name("notes.txt").write_text("x")
    text = write_archive(settings.reports, "Demo & Co").read_text()
    assert "<title>Demo &amp; Co: customer health reviews</title>" in text
    places = [
        text.index(f'href="{name}"')
        for name in (path.name, older.name, "weekly-2025-12-29.html", "score-validation.html")
    ]
    assert places == sorted(places)
    assert "9–15 November 2026" in text
    assert "29 December 2025 – 4 January 2026" in text
    # The verdict is text, whatever it says.
    assert "were &lt;b&gt;at risk&lt;/b&gt;" in text
    assert "r000012-20261116T064031-9c1185a5" in text
    assert 'href="index.html">All reports' in path.read_text()
    assert "latest.html" not in text
    assert "notes" not in text
