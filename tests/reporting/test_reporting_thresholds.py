"""The threshold report by hand: each risk once, under every signal that fired on it; shares by Wilson, or none."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from health_pipeline.reporting.thresholds import report_lines, threshold_report

MONDAY = date(2026, 11, 9)


def packet(name: str, signals: str | None, status: str | None, week: date = MONDAY, **given: Any) -> dict[str, Any]:
    severities = {"severity": "high", "suggested_severity": "high", "severity_status": "suggested"}
    known = {"packet_id": name, "week": week, "side": "risk", "signals": signals, "risk_status": status}
    return {**known, **severities, **given}


def many(count: int, signals: str, status: str, **given: Any) -> list[dict[str, Any]]:
    return [packet(f"{signals}-{status}-{number}", signals, status, **given) for number in range(count)]


def test_a_share_has_wilsons_interval_and_too_few_decisions_have_none() -> None:
    rows = many(19, "late", "confirmed") + many(1, "late", "refuted") + many(7, "late", "unconfirmed")
    rows += many(9, "silent", "refuted")
    late, silent = threshold_report(rows).signals
    assert (late.signal_id, late.judged.confirmed, late.judged.refuted, late.judged.undecided) == ("late", 19, 1, 7)
    assert late.judged.refuted_share is not None
    # 1 of 20: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n), with z = 1.959964
    assert late.judged.refuted_share.value == 0.05
    assert late.judged.refuted_share.low == pytest.approx(0.00888, abs=5e-6)
    assert late.judged.refuted_share.high == pytest.approx(0.23613, abs=5e-6)
    assert (silent.judged.refuted, silent.judged.refuted_share) == (9, None)
    assert "| silent | 0 | 9 | 0 | not enough decisions |" in report_lines(threshold_report(rows))


def test_a_risk_counts_once_as_its_newest_week_knows_it_under_every_signal_that_fired() -> None:
    rows = [
        packet("a", "late,silent", None, MONDAY - timedelta(weeks=2)),
        packet("a", "late", "unconfirmed", MONDAY - timedelta(weeks=1)),
        packet("a", None, "refuted"),
        packet("b", "late", None),
        packet("c", "late", "confirmed", side="expansion"),
    ]
    report = threshold_report(reversed(rows))
    assert [
        (one.signal_id, one.judged.confirmed, one.judged.refuted, one.judged.undecided) for one in report.signals
    ] == [
        ("late", 0, 1, 0),
        ("silent", 0, 1, 0),
    ]
    assert report.through == MONDAY


def test_suggested_against_confirmed_shows_overstating() -> None:
    lowered = many(5, "x", "confirmed", severity="medium", severity_status="confirmed")
    kept = many(15, "y", "confirmed", severity_status="confirmed")
    unknown = many(1, "z", "confirmed", severity="low", suggested_severity=None, severity_status="confirmed")
    report = threshold_report([*lowered, *kept, *unknown, *many(3, "w", "confirmed")])
    assert report.severities == {("high", "medium"): 5, ("high", "high"): 15, ("not assessed", "low"): 1}
    assert report.lowered_share is not None and report.lowered_share.value == 0.25
    lines = report_lines(report)
    assert "| high | 15 | 5 | 0 |" in lines
    assert "| not assessed | 0 | 0 | 1 |" in lines


def test_without_a_ledger_nothing_is_known() -> None:
    report = threshold_report([packet("a", "late", None)])
    assert (report.through, report.signals) == (None, ())
    assert "No published week knew of a ledger yet" in report_lines(report)[-1]
