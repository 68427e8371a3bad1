"""The pilot in the report: before and since by whole weeks, unknown is not zero, the claim level, no pilot said so."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import PolicyError
from health_pipeline.policy.pilot import PilotPolicy, load_pilot
from health_pipeline.reporting.pilot_section import CLAIM, pilot_sentence, pilot_table
from health_pipeline.reporting.release_data import read_release
from health_pipeline.reporting.weekly import render_weekly_report
from health_pipeline.risk.metrics import metric_rows
from health_pipeline.risk.outcomes import WeekDecisions

OWNER, DECISION = "high_risk_packets_with_owner", "high_risk_packets_with_review_decision"
# The newest week of the release starts on 2026-11-09; the pilot starts three weeks before its end.
START = date(2026, 10, 26)
PILOT = PilotPolicy(start=START, owner="ana.silva@example.com", thresholds={OWNER: 1.0, DECISION: 1.0})


def measured(data):
    """Owner: 20 and 40 % before, 60 and 100 % since; a week across the start; decisions unknown throughout."""
    values = {-3: 0.2, -2: 0.4, 0: 0.6, 2: 1.0}
    rows = [
        {"week": START + timedelta(weeks=number), "metric": OWNER, "value": value} for number, value in values.items()
    ]
    rows.append({"week": START - timedelta(days=3), "metric": OWNER, "value": 0.9})
    rows.append({"week": START - timedelta(weeks=30), "metric": OWNER, "value": 0.0})
    rows += [{"week": START, "metric": DECISION, "value": None}]
    return replace(data, review_metrics=sorted(rows, key=lambda row: row["week"]))


def test_before_and_since_are_told_apart_by_whole_weeks(release):
    owner, decision = pilot_table(measured(read_release(release)), PILOT).rows
    assert [cell.text.replace("\N{NO-BREAK SPACE}", " ") for cell in owner] == [
        "Owner", "30 %", "80 %", "100 %", "100 %", "yes",
    ]  # fmt: skip
    assert [cell.text for cell in decision[1:4]] == ["unknown"] * 3
    assert decision[5].text == "unknown"


def test_where_it_stands_and_what_may_be_claimed(release):
    data = read_release(release)
    assert pilot_sentence(data, PILOT, "ana.silva") == (
        f"Pilot of 60 days with all high-risk accounts, answered for by ana.silva: day 21 of 60. {CLAIM}"
    )
    later = PILOT.model_copy(update={"start": date(2027, 1, 4)})
    assert "it starts on 4 January 2027" in pilot_sentence(data, later, "x")
    over = PILOT.model_copy(update={"start": date(2026, 1, 5)})
    assert "it ended on 6 March 2026" in pilot_sentence(data, over, "x")


def risk_row(week: date, account: str, **given: object) -> dict[str, object]:
    """A risk of low severity that has an owner and a follow-up date, and nothing else."""
    parts = dict.fromkeys(("category", "supporting_evidence", "severity", "mitigation_options", "escalation_role"))
    people = {"owner_email": "ana@example.com", "follow_up_date": START, "escalation_decision": None}
    of_week = {"week": week, "account_id": account, "side": "risk", "state": "approved"}
    return {**of_week, **parts, "severity": "low", **people, **given}


def test_a_sample_of_the_queue_is_what_is_counted(release):
    """26 accounts stand in the queue of the week before the start: the last of them is not in the sample."""
    week_before, first, second = START - timedelta(weeks=1), START, START + timedelta(weeks=1)
    places = [{"week": week_before, "account_id": f"acc_{rank:02}", "queue_rank": rank} for rank in range(1, 27)]
    places.append({"week": first, "account_id": "acc_99", "queue_rank": 1})
    risks = [
        risk_row(week_before, "acc_01", owner_email=None),
        risk_row(week_before, "acc_02"),
        # of another sample, ended, or growth: none is counted
        *(risk_row(first, name, owner_email=None) for name in ("acc_26", "acc_99")),
        risk_row(first, "acc_03", owner_email=None, state="closed"),
        risk_row(first, "acc_03", owner_email=None, side="expansion"),
        *(risk_row(first, name) for name in ("acc_01", "acc_25")),
        *(risk_row(second, name, owner_email=owner) for name, owner in (("acc_01", "a@x.example"), ("acc_02", None))),
        risk_row(second, "acc_25", escalation_decision="not_needed"),
        risk_row(second, "acc_24", escalation_decision="escalated"),
    ]
    decided = [{"week": second, "metric": "packets_with_review_decision", "numerator": 1}]
    metrics = [{"week": week, "metric": OWNER, "value": 0.0, "numerator": 0} for week in (week_before, first, second)]
    data = replace(read_release(release), risks=risks, queue_places=places, review_metrics=[*metrics, *decided])
    escalation = "high_risk_packets_with_escalation_decision"
    top = PILOT.model_copy(update={"sample": "top_25", "thresholds": {OWNER: 0.75, escalation: 1.0}})
    table = pilot_table(data, top)
    assert table.columns[0][0] == "Share of the sample's risks"
    shown = [[cell.text.replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in table.rows]
    assert shown == [
        ["Owner", "50 %", "88 %", "75 %", "75 %", "yes"],
        ["Escalation decision", "unknown", "50 %", "50 %", "100 %", "not yet"],
    ]
    assert "with the first 25 accounts of the queue at its start" in pilot_sentence(data, top, "x")
    nothing_before = pilot_table(replace(data, queue_places=places[-1:]), top)
    assert [cell.text for cell in nothing_before.rows[0][1:4]] == ["unknown"] * 3


def test_every_weeks_risks_and_queue_are_read_for_a_pilot_on_the_queue_alone(release):
    top = PILOT.model_copy(update={"sample": "top_25"})
    sampled = read_release(release, top)
    assert {row["account_id"] for row in sampled.packets if row["side"] == "risk"} <= {
        row["account_id"] for row in sampled.risks
    }
    ranked = {row["account_id"] for row in sampled.queue if row["queue_rank"] is not None}
    assert ranked and ranked <= {row["account_id"] for row in sampled.queue_places}
    for other in (None, PILOT, top.model_copy(update={"start": None})):
        data = read_release(release, other)
        assert (data.risks, data.queue_places) == ([], [])


def test_the_thresholds_of_the_built_in_pilot_are_metrics_of_the_review():
    """What the design asks of a pilot, and nothing that no week can reach."""
    asked = set(load_pilot(None).model.thresholds)
    assert asked == {
        f"high_risk_packets_with_{part}"
        for part in ("owner", "mitigation", "escalation_decision", "review_decision", "follow_up_date")
    }
    assert asked <= {row["metric"] for row in metric_rows([], {"as_of_at": START}, WeekDecisions())}


def test_the_report_says_that_no_pilot_runs_and_shows_one_that_does(release):
    data, company = measured(read_release(release)), load_company(None).model
    assert "No pilot of the risk review runs." in render_weekly_report(data, company)
    text = render_weekly_report(data, company, pilot=PILOT)
    assert "pilot-shaped, not validated outcome evidence" in text
    assert "The pilot against its thresholds" in text


def test_a_pilot_without_an_owner_is_refused(tmp_path: Path):
    text = load_pilot(None).text.replace("start: null", "start: 2026-09-14")
    (tmp_path / "pilot.yaml").write_text(text)
    with pytest.raises(PolicyError, match="a pilot that has a start has an owner"):
        load_pilot(tmp_path)
