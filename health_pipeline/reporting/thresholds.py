"""The threshold report: what people made of each signal's risks, at which line, and what the random audit found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from health_pipeline.mart.connection import open_duckdb
from health_pipeline.mart.published import published_file, read_published
from health_pipeline.policy.risk_signals import RiskSignal, load_risk_signals
from health_pipeline.reporting.judged import ENOUGH, Judged, share_words
from health_pipeline.reporting.missed_risks import MissedRisks, missed_lines, missed_risks
from health_pipeline.reporting.threshold_sweep import Sweep, sweep_lines, sweeps
from health_pipeline.segmentation.methods.intervals import Interval, wilson
from health_pipeline.settings import Settings

LEVELS = ("critical", "high", "medium", "low")
NOT_ASSESSED = "not assessed"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class SignalRecord:
    """What people made of the risks that a signal fired on."""

    signal_id: str
    judged: Judged


@dataclass(frozen=True)
class ThresholdReport:
    """The whole report.

    Attributes
    ----------
    through : Monday of the newest week read; None where no week knew a ledger
    severities : risks by (suggested, confirmed) severity
    swept : signals with enough decided risks, at their own and at stricter thresholds
    missed : what the random audit says
    """

    through: date | None
    signals: tuple[SignalRecord, ...]
    severities: Mapping[tuple[str, str], int]
    swept: tuple[Sweep, ...]
    missed: MissedRisks

    @property
    def lowered_share(self) -> Interval | None:
        """Of the risks whose severity a person confirmed, those confirmed lower than suggested; None where too few."""
        order = [*LEVELS, NOT_ASSESSED]
        judged = {pair: n for pair, n in self.severities.items() if NOT_ASSESSED not in pair}
        lowered = sum(n for (said, confirmed), n in judged.items() if order.index(confirmed) > order.index(said))
        total = sum(judged.values())
        return wilson(lowered, total) if total >= ENOUGH else None


def threshold_report(
    packets: Iterable[Row],
    queue: Iterable[Row] = (),
    findings: Iterable[Row] = (),
    readings: Iterable[Row] = (),
    signals: Iterable[RiskSignal] = (),
) -> ThresholdReport:
    """Count each risk once, as its newest week knows it, under every signal that ever fired on it.

    Parameters
    ----------
    packets : rows of risk_packets; weeks that knew no ledger count for nothing but their signals
    queue, findings : rows of exception_queue_weekly and random_audit_findings
    readings : the values of each packet's evidence, as `threshold_sweep.sweeps` takes them
    signals : of the policy in force
    """
    fired: dict[str, set[str]] = {}
    newest: dict[str, Row] = {}
    known: list[Row] = []
    for row in sorted(packets, key=lambda one: (one["week"], one["packet_id"])):
        if row["side"] != "risk":
            continue
        fired.setdefault(row["packet_id"], set()).update((row["signals"] or "").split(",") if row["signals"] else ())
        if row["risk_status"] is not None:
            newest[row["packet_id"]] = row
            known.append(row)
    statuses: dict[str, list[str]] = {}
    for name, row in newest.items():
        for signal in fired[name]:
            statuses.setdefault(signal, []).append(row["risk_status"])
    severities = Counter(
        (row["suggested_severity"] or NOT_ASSESSED, row["severity"])
        for row in newest.values()
        if row["severity_status"] == "confirmed"
    )
    # a week knew a ledger though all its packets may have had newer ones since
    weeks = {row["week"] for row in known}
    status_of = {name: row["risk_status"] for name, row in newest.items()}
    records = sorted((SignalRecord(name, Judged.of(found)) for name, found in statuses.items()), key=_most_refuted)
    return ThresholdReport(
        max(weeks, default=None),
        tuple(records),
        severities,
        tuple(sweeps(signals, readings, status_of)),
        missed_risks(queue, findings, status_of, weeks),
    )


def _most_refuted(one: SignalRecord) -> tuple[float, int, str]:
    share = one.judged.refuted_share
    return (-share.value if share else 1.0, -one.judged.decided, one.signal_id)


def report_lines(report: ThresholdReport) -> list[str]:
    """The report as Markdown; counts and ids, nobody named."""
    if report.through is None:
        return [
            "# Thresholds",
            "",
            "No published week knew of a ledger yet: what people decided is unknown.",
        ]
    lines = [
        "# Thresholds",
        "",
        f"What people had made of each signal's risks by the week of {report.through}. A risk counts under every "
        f"signal that fired on it. With fewer than {ENOUGH} decided risks no share is shown: not enough decisions. "
        "A signal that is often refuted is a threshold to look at, no proof that it is wrong: who was "
        "dismissed first is no sample.",
        "",
        "| signal | confirmed | refuted | undecided | refuted, of the decided (95 %) |",
        "|---|---:|---:|---:|---|",
    ]
    lines += [
        f"| {one.signal_id} | {one.judged.confirmed} | {one.judged.refuted} | {one.judged.undecided} | "
        f"{share_words(one.judged.refuted_share)} |"
        for one in report.signals
    ]
    lines += ["", "## Suggested and confirmed severity", "", *_severity_lines(report)]
    return [
        *lines,
        "",
        "## At stricter thresholds",
        "",
        *sweep_lines(report.swept),
        "",
        "## What the signals miss",
        "",
        *missed_lines(report.missed),
    ]


def _severity_lines(report: ThresholdReport) -> list[str]:
    if not report.severities:
        return ["No severity was confirmed yet."]
    confirmed = [level for level in LEVELS if any(level == pair[1] for pair in report.severities)]
    lines = [f"| suggested | {' | '.join(confirmed)} |", f"|---|{'---:|' * len(confirmed)}"]
    for said in (*LEVELS, NOT_ASSESSED):
        row = [report.severities.get((said, level), 0) for level in confirmed]
        if any(row):
            lines.append(f"| {said} | {' | '.join(map(str, row))} |")
    return [*lines, "", f"Confirmed lower than suggested: {share_words(report.lowered_share)}."]


def _readings(settings: Settings) -> list[dict[str, Any]]:
    """The least and the most extreme value of each packet's evidence, over all its weeks."""
    path = published_file(settings)
    if path is None:
        return []
    with open_duckdb(path, read_only=True) as connection:
        found = connection.execute(
            "select packet_id, subject, metric, min(value) as least, max(value) as most from risk_evidence "
            "where direction = 'supports' and value is not null group by packet_id, subject, metric "
            "order by packet_id, subject, metric"
        ).to_arrow_table()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def write_threshold_report(settings: Settings) -> tuple[ThresholdReport, Path]:
    """Read the current release, and write `reports/thresholds.md`. Nothing else is changed."""
    report = threshold_report(
        read_published(settings, "risk_packets").to_pylist(),
        read_published(settings, "exception_queue_weekly").to_pylist(),
        read_published(settings, "random_audit_findings").to_pylist(),
        _readings(settings),
        load_risk_signals(settings.policy).model.signals,
    )
    path = settings.reports / "thresholds.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*report_lines(report), ""]), encoding="utf-8")
    return report, path
