"""The risk review in the weekly report: missing evidence first, the queue with its reasons, the line."""

from __future__ import annotations

import re

from health_pipeline.policy.company import load_company
from health_pipeline.reporting import risk_sections
from health_pipeline.reporting.release_data import read_release
from health_pipeline.reporting.weekly import render_weekly_report


def test_missing_evidence_is_told_first(release):
    data = read_release(release)
    gappy = [row for row in data.packets if row["missing_domains"]]
    silent = [row for row in data.packets if row["has_only_absence"]]
    assert len(data.packets) > len(gappy) > 1
    count = len(gappy)
    assert risk_sections.missing_sentence(data) == (
        f"Of {len(data.packets)} open packets, {count} could not be read whole: usage ({count}) and sentiment "
        f"({count}). {len(silent)} rest on silence alone, which confirms nothing."
    )
    text = render_weekly_report(data, load_company(None).model)
    section = text[text.index('<section id="risks"') : text.index('<section id="moved"')]
    assert section.index("could not be read whole") < section.index("<table")
    assert text.index('<section id="decide"') < text.index('<section id="risks"')


def test_the_queue_stands_in_its_order_with_its_reasons(release):
    data = read_release(release)
    rows = risk_sections.queue_table(data).rows
    ranked = [cells for cells in rows if cells[1].text]
    assert [int(cells[1].text) for cells in ranked] == list(range(1, len(data.packets) + 1))
    assert ranked[0][2].text == "Critical"
    assert all(re.match(r"Severity (critical|high|medium|low|not)", cells[4].text) for cells in ranked)
    assert [cells[7].text for cells in rows if not cells[1].text] == ["outside the order"] * 4


def test_the_counts_sum_to_the_packets(release):
    data = read_release(release)
    rows = risk_sections.counts_table(data).rows
    assert sum(int(cells[-1].text) for cells in rows) == len(data.packets)
    assert all(sum(int(cell.text) for cell in cells[2:-1]) == int(cells[-1].text) for cells in rows)


def test_the_line_and_the_audit_in_words(release):
    data = read_release(release)
    placed = len(data.packets)
    unflagged = len(data.health) - placed
    assert risk_sections.line_sentence(data).startswith(f"{placed} of {placed} entries fit into their owners' hours")
    assert risk_sections.line_sentence(data).endswith(
        f"4 accounts of {unflagged} that nothing flagged are looked at as well, drawn at random, so that misses can be "
        "counted."
    )


def test_what_left_the_queue_is_said(builder):
    def two_quiet(rows):
        return [{**row, "is_quiet": place < 2, "queue_rank": row["queue_rank"]} for place, row in enumerate(rows)]

    data = read_release(builder(edit={"risk_packets": two_quiet}).build())
    said = "2 risks fell quiet and left the queue this week: closing them is proposed to a person."
    assert said in risk_sections.line_sentence(data)


def test_below_the_line(builder):
    def below(rows):
        return [
            {**row, "is_above_line": False, "would_enter_at_plus_10_percent": row["queue_rank"] == 1} for row in rows
        ]

    data = read_release(builder(edit={"exception_queue_weekly": below}).build())
    count = len(data.packets)
    assert f"0 of {count} entries fit" in risk_sections.line_sentence(data)
    assert f"{count} fall below the line, of which 1 enters with a tenth more." in risk_sections.line_sentence(data)


def test_no_capacity_is_stated(builder):
    def unstated(rows):
        return [{**row, "is_above_line": None, "would_enter_at_plus_10_percent": None} for row in rows]

    data = read_release(builder(edit={"exception_queue_weekly": unstated}).build())
    assert "No capacity for reviews is stated." in risk_sections.line_sentence(data)


def test_a_week_without_risks_says_so(builder):
    edit = {"risk_packets": lambda _: [], "exception_queue_weekly": lambda _: []}
    data = read_release(builder(edit=edit).build())
    text = render_weekly_report(data, load_company(None).model)
    assert "No packet is open this week." in text
    assert "Nothing stands in the exception queue this week." in text
