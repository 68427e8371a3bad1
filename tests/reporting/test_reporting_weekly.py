"""What the weekly report says: the verdict's words, what is left out and said so, whole files, clear refusals."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.company import load_company
from health_pipeline.quality.incidents import Incident
from health_pipeline.reporting.release_data import MovedMeasure, NoReportError, read_release
from health_pipeline.reporting.sections import movement_table
from health_pipeline.reporting.verdict import verdict
from health_pipeline.reporting.weekly import render_weekly_report, write_weekly_report


def keep(**values):
    """An edit that sets columns on every row."""
    return lambda rows: [{**row, **values} for row in rows]


def words_of(builder, **edits):
    data = read_release(builder(edit=edits).build())
    return data, verdict(data, load_company(None).model)


def test_headline_counts_what_the_release_holds(release):
    data = read_release(release)
    found = verdict(data, load_company(None).model)
    at_risk = [row for row in data.health if row["effective_tier"] == "at_risk"]
    revenue = sum(row["arr_reporting"] for row in at_risk if row["arr_reporting"] is not None)
    assert len(at_risk) > 2
    assert found.headline.startswith(f"{len(at_risk)} of {len(data.health)} accounts are at risk, with USD")
    assert f"{revenue / 1000:,.0f}\N{NO-BREAK SPACE}k" in found.headline
    labels = [label for label, _ in found.statements]
    assert labels == ["Needs a decision", "Since last week", "Could not be judged"]


def test_what_could_not_be_judged_is_named(release):
    data = read_release(release)
    found = verdict(data, load_company(None).model)
    sentence = dict(found.statements)["Could not be judged"]
    dark = sum(row["effective_tier"] == "not_scored" for row in data.health)
    assert sentence.startswith(f"{dark} accounts were not scored")
    assert "Not connected: projects." in sentence
    assert "Stale: surveys." in sentence
    assert "accounts of the sources are matched to an account." in sentence


def test_no_account_at_risk_reads_so(builder):
    _, found = words_of(builder, account_health_weekly=keep(effective_tier="healthy", tier="healthy", score=80.0))
    assert found.headline == "No account is at risk: 59 of 59 could be judged."


def test_nothing_judged_reads_so(builder):
    _, found = words_of(builder, account_health_weekly=keep(effective_tier="not_scored", score=None, coverage=0.1))
    assert found.headline == "None of 59 accounts could be judged this week: too little was measured."


def test_unknown_revenue_is_not_written_as_zero(builder):
    data, found = words_of(builder, account_health_weekly=keep(arr_reporting=None, arr=None))
    assert "USD" not in found.headline
    text = render_weekly_report(data, load_company(None).model)
    assert "USD\N{NO-BREAK SPACE}0" not in text
    assert "Annual revenue of at-risk accounts" not in text
    assert ">unknown<" in text


def test_where_no_source_names_owners_the_headline_says_so(builder):
    _, found = words_of(builder, account_health_weekly=keep(owner_email=None))
    assert found.headline.endswith("; no source says who owns them.")


def test_first_week_has_nothing_to_compare_with(builder, settings):
    folder = builder(weeks=1).build()
    found = verdict(read_release(folder), load_company(None).model)
    assert dict(found.statements)["Since last week"].startswith("This is the first published week")
    text = write_weekly_report(settings, folder).path.read_text()
    assert "Accounts by tier, week by week" not in text
    assert "since last week" not in text


def test_late_tasks_and_choices_of_a_person_are_counted(release):
    data = read_release(release)
    found = dict(verdict(data, load_company(None).model).statements)["Needs a decision"]
    open_tasks = [task for task in data.tasks if task["state"] == "open"]
    late = [task for task in open_tasks if task["due_date"] < data.week.replace(day=16)]
    assert late
    assert found.startswith(f"{len(open_tasks)} review tasks are open")
    assert f"{len(late)} past the due date" in found


def test_the_verdict_names_the_accounts_that_come_first_and_who_decides(release):
    data = read_release(release)
    company = load_company(None).model
    arr = {row["account_id"]: row["arr_reporting"] or 0 for row in data.health}
    ids = sorted(arr, key=arr.__getitem__)[-6:]
    common = {"state": "open", "due_date": date(2026, 12, 1)}

    def task(account, priority, kind="tier", owner="ana@example.com"):
        task_id = f"{account}-{kind}"
        return {
            **common,
            "task_id": task_id,
            "account_id": account,
            "priority": priority,
            "kind": kind,
            "owner_email": owner,
        }

    tasks = [task(account, 1) for account in ids[:5]] + [task(ids[5], 2, owner="bo@example.com")]
    tasks += [task(ids[0], 1, "ownerless", None), task(ids[1], 3, "watermelon", "cy@example.com")]
    planned = [
        {"task_id": f"{ids[0]}-tier", "approval_role": "customer_success_manager", "playbook": "x"},
        {"task_id": f"{ids[1]}-tier", "approval_role": "support_lead", "playbook": "x"},
    ]
    found = verdict(replace(data, tasks=tasks, plan_accounts=planned), company)
    names = [data.names[account] for account in reversed(ids[:5])]
    assert dict(found.statements)["Needs a decision"] == (
        "8 review tasks are open, 7 of first or second priority. "
        f"First: {names[0]}, {names[1]}, {names[2]} and 2 more. "
        "What is urgent waits for ana (4), bo (1), the customer success leader (1) and others (1)."
    )
    calm = verdict(replace(data, tasks=[task(ids[0], 3)], plan_accounts=[]), company)
    assert dict(calm.statements)["Needs a decision"] == "1 review task is open."


def test_tables_hold_the_release_s_rows(release, report):
    data = read_release(release)
    text = report.read_text()
    for row in data.health:
        if row["effective_tier"] == "at_risk":
            assert data.name_of(row) in text
    for row in data.movements:
        assert data.name_of(row) in text
    for fact in (
        "r000012-20261116T064031-9c1185a5",
        "9c1185a5c5e9fc54612808977ee8f548",
        "5d0a7c91be22f014",
        "v-5f2b7c",
    ):
        assert fact in text
    assert "passed: 148 checks evaluated, 1 warning" in text


MOVED = {"account_id": "acc-00001", "tier_before": "healthy", "tier_after": "watch", "arr_reporting": None}


@pytest.mark.parametrize(
    ("movement", "change", "words"),
    [
        (
            {"movement": "down", "tier_reason": "score"},
            (-2.5, -3.0),
            "usage down 30\N{NO-BREAK SPACE}% on the four weeks before; last week usage up 10\N{NO-BREAK SPACE}% on "
            "the four weeks before|−2.5 of −3.0 points",
        ),
        # The score crossed a week ago and went back a little: the main driver of this week explains nothing.
        ({"movement": "down", "tier_reason": "score"}, (0.7, 0.4), "last week's reading held for a second week"),
        ({"movement": "down", "tier_reason": "decisive"}, (0.7, 0.4), "a notice not to renew is on record|"),
        ({"movement": "down", "tier_reason": "outcome_cap"}, (-1, -1), "active, but outcomes are weak|"),
        ({"movement": "lost_score", "tier_reason": "coverage_floor"}, (None, None), "too little was measured|"),
        ({"movement": "first_scored", "tier_reason": "score"}, (None, None), "enough was measured to judge it|"),
        (
            {"movement": "appeared", "tier_before": None, "tier_reason": "first_week"},
            (None, None),
            "first week as a live",
        ),
        ({"movement": "left", "tier_after": None, "tier_reason": "score"}, (None, None), "no longer a live customer"),
        (
            {"movement": "down", "tier_before": "expansion_ready", "tier_after": "healthy", "tier_reason": "score"},
            (0.2, 0.4),
            "a condition of expansion-ready no longer holds|",
        ),
    ],
)
def test_a_movement_is_explained_by_what_moved_it(release, movement, change, words):
    points, score_change = change
    data = replace(
        read_release(release),
        movements=[{**MOVED, "main_driver": "usage_trend", **movement}],
        changes=[
            {
                "account_id": "acc-00001",
                "main_driver_change": points,
                "score_after": 60.0,
                "score_change": score_change,
                "change_from_data": score_change,
            }
        ],
        moved_measures={"acc-00001": MovedMeasure("usage_change_share_4w", 0.1, -0.3, "measured", "measured")},
    )
    (row,) = movement_table(data, "USD").rows
    assert f"{row[-1].text}|{row[-1].detail}".startswith(words)


def test_at_risk_is_ranked_by_revenue(release, report):
    data = read_release(release)
    text = report.read_text()
    section = text[text.index('<section id="at-risk"') : text.index('<section id="weak-inside"')]
    shown = re.findall(r'<th role="rowheader" scope="row">\s*<span class="text">([^<]+)', section)
    rows = [row for row in data.health if row["effective_tier"] == "at_risk"]
    rows.sort(key=lambda row: -(row["arr_reporting"] if row["arr_reporting"] is not None else -1))
    assert shown == [data.name_of(row) for row in rows]


def test_same_release_gives_the_same_report_and_latest_is_it(release, settings):
    first = write_weekly_report(settings, release).path
    text = first.read_bytes()
    assert first == settings.reports / "weekly-2026-11-09.html"
    assert write_weekly_report(settings, release).path.read_bytes() == text
    assert (settings.reports / "latest.html").read_bytes() == text
    assert sorted(path.name for path in settings.reports.iterdir()) == [
        "index.html",
        "latest.html",
        "weekly-2026-11-09.html",
    ]


def test_incidents_are_shown_with_age_owner_and_how_they_were_closed(release, report, settings):
    assert "Data incidents" not in report.read_text()
    week = date(2026, 11, 9)
    late = Incident(
        "i-late",
        datetime(2026, 11, 16, 5),
        "publication_refused",
        "Usage export is late",
        "d@example.com",
        "open",
        week,
        {},
    )
    held = replace(late, id="i-held", title="Rates are missing", state="assigned", opened_at=datetime(2026, 11, 12, 6))
    done = replace(
        late,
        id="i-done",
        title="Keys twice",
        state="closed",
        closed_at=datetime(2026, 11, 12, 9),
        closed_by="ana",
        note="dropped",
    )
    old = replace(done, id="i-old", title="Long ago", closed_at=datetime(2026, 10, 1))
    now = datetime(2026, 11, 16, 8, tzinfo=UTC)
    data = read_release(release)
    text = render_weekly_report(data, load_company(None).model, [late, done, old, held], now)
    section = text[text.index('<section id="incidents"') : text.index('<section id="method"')]
    assert "2 data incidents are not closed, 1 of them without a person; the oldest for 4 days." in section
    for words in ("4 days", "3 hours", "ana: dropped"):
        assert words in section
    assert section.index("Rates are missing") < section.index("Usage export is late") < section.index("Keys twice")
    assert "Long ago" not in section
    none = render_weekly_report(data, load_company(None).model, [], now)
    assert "No data incident is open, and none was closed in 14 days." in none


def test_company_and_not_applicable_domains_come_from_the_policy(release, settings, tmp_path):
    document = (load_company(None).path).read_text()
    document = document.replace("Demo Software Company", "Northwind & Sons")
    document = document.replace("not_applicable_domains: []", "not_applicable_domains: [usage]")
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "company.yaml").write_text(document)
    own = settings.model_copy(update={"policy": tmp_path / "policy"})
    text = write_weekly_report(own, release).path.read_text()
    assert "<title>Northwind &amp; Sons: customer health review, 9–15 November 2026</title>" in text
    assert "Not applicable to this company: usage." in text


def test_ten_thousand_accounts_stay_small_and_quick_and_say_what_is_cut(builder, settings):
    folder = builder(accounts=10_000, weeks=2).build()
    started = time.monotonic()
    path = write_weekly_report(settings, folder).path
    elapsed = time.monotonic() - started
    assert path.stat().st_size < 3_000_000
    assert elapsed < 20
    text = path.read_text()
    total = sum(row["effective_tier"] == "at_risk" for row in read_release(folder).health)
    assert total > 60
    assert f"The first 60 of {total:,}, largest revenue first." in text
    assert "action_plan_accounts_weekly of the published mart" in text


def test_a_folder_that_is_no_release_is_refused_in_one_sentence(settings, tmp_path):
    with pytest.raises(NoReportError, match=r"customer_health\.duckdb is not there; name the folder of a published"):
        write_weekly_report(settings, tmp_path)
    assert not settings.reports.exists()


def test_a_release_without_a_week_is_refused_in_one_sentence(builder, settings):
    folder = builder(edit={"account_health_weekly": lambda rows: []}).build()
    with pytest.raises(NoReportError, match="holds no published week; run `health-pipeline weekly` first"):
        write_weekly_report(settings, folder)


def test_a_release_with_empty_tables_still_reports(builder, settings):
    names = [name for name in mart_tables() if name != "account_health_weekly"]
    folder = builder(edit=dict.fromkeys(names, lambda rows: [])).build()
    (folder / "manifest.json").write_text(json.dumps({"release": "r1"}))
    text = write_weekly_report(settings, folder).path.read_text()
    assert "No account needs a proposal this week." in text
    assert "no verdict is recorded" in text


def test_release_is_opened_read_only_and_left_alone(builder, settings):
    folder = builder().build()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "customer_health.duckdb").chmod(0o444)
    write_weekly_report(settings, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
