"""The threshold report: what people made of the risks each signal fired on, with intervals; severities beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from health_pipeline.mart.published import read_published
from health_pipeline.policy.wording import percent
from health_pipeline.segmentation.methods.intervals import Interval, wilson
from health_pipeline.settings import Settings

# Fewer decided risks than this say nothing about a threshold; their counts are shown, their share is not.
ENOUGH = 20
LEVELS = ("critical", "high", "medium", "low")
NOT_ASSESSED = "not assessed"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class SignalRecord:
    """What people made of the risks that a signal fired on.

    Attributes
    ----------
    refuted_share : of the decided ones, with Wilson's interval at 95 %; None where fewer than `ENOUGH` are decided
    """

    signal_id: str
    confirmed: int
    refuted: int
    undecided: int
    refuted_share: Interval | None

    @property
    def decided(self) -> int:
        """Confirmed or refuted by a person."""
        return self.confirmed + self.refuted


@dataclass(frozen=True)
class ThresholdReport:
    """The whole report.

    Attributes
    ----------
    through : Monday of the newest week read; None where no week knew a ledger
    severities : risks by (suggested, confirmed) severity
    drawn : accounts drawn at random over those weeks, and in how many weeks
    """

    through: date | None
    signals: tuple[SignalRecord, ...]
    severities: Mapping[tuple[str, str], int]
    drawn: tuple[int, int]

    @property
    def lowered_share(self) -> Interval | None:
        """Of the risks whose severity a person confirmed, those confirmed lower than suggested; None where too few."""
        order = [*LEVELS, NOT_ASSESSED]
        judged = {pair: n for pair, n in self.severities.items() if NOT_ASSESSED not in pair}
        lowered = sum(n for (said, confirmed), n in judged.items() if order.index(confirmed) > order.index(said))
        total = sum(judged.values())
        return wilson(lowered, total) if total >= ENOUGH else None


def threshold_report(packets: Iterable[Row], queue: Iterable[Row]) -> ThresholdReport:
    """Count each risk once, as its newest week knows it, under every signal that ever fired on it.

    Parameters
    ----------
    packets : rows of risk_packets; weeks that knew no ledger count for nothing but their signals
    queue : rows of exception_queue_weekly
    """
    fired: dict[str, set[str]] = {}
    newest: dict[str, Row] = {}
    for row in sorted(packets, key=lambda one: (one["week"], one["packet_id"])):
        if row["side"] != "risk":
            continue
        fired.setdefault(row["packet_id"], set()).update((row["signals"] or "").split(",") if row["signals"] else ())
        if row["risk_status"] is not None:
            newest[row["packet_id"]] = row
    counts: dict[str, Counter[str]] = {}
    for name, row in newest.items():
        for signal in fired[name]:
            counts.setdefault(signal, Counter())[row["risk_status"]] += 1
    severities = Counter(
        (row["suggested_severity"] or NOT_ASSESSED, row["severity"])
        for row in newest.values()
        if row["severity_status"] == "confirmed"
    )
    weeks = {row["week"] for row in newest.values()}
    drawn = [row["week"] for row in queue if row["subject"] == "random_audit" and row["week"] in weeks]
    records = sorted((_record(name, found) for name, found in counts.items()), key=_most_refuted)
    return ThresholdReport(max(weeks, default=None), tuple(records), severities, (len(drawn), len(set(drawn))))


def _record(signal_id: str, found: Counter[str]) -> SignalRecord:
    confirmed, refuted = found["confirmed"], found["refuted"]
    decided = confirmed + refuted
    share = wilson(refuted, decided) if decided >= ENOUGH else None
    return SignalRecord(signal_id, confirmed, refuted, found["unconfirmed"], share)


def _most_refuted(one: SignalRecord) -> tuple[float, int, str]:
    return (-one.refuted_share.value if one.refuted_share else 1.0, -one.decided, one.signal_id)


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
        f"| {one.signal_id} | {one.confirmed} | {one.refuted} | {one.undecided} | {_share(one.refuted_share)} |"
        for one in report.signals
    ]
    lines += ["", "## Suggested and confirmed severity", "", *_severity_lines(report)]
    accounts, weeks = report.drawn
    return [
        *lines,
        "",
        "## What the signals miss",
        "",
        f"{accounts} accounts that nothing flagged were drawn at random over {weeks} weeks. What was found on them is "
        "not recorded in the ledger yet, so how many risks the signals miss is unknown.",
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
    return [*lines, "", f"Confirmed lower than suggested: {_share(report.lowered_share)}."]


def _share(found: Interval | None) -> str:
    if found is None:
        return "not enough decisions"
    return f"{percent(found.value)} ({percent(found.low)} to {percent(found.high)})"


def write_threshold_report(settings: Settings) -> tuple[ThresholdReport, Path]:
    """Read the current release, and write `reports/thresholds.md`."""
    report = threshold_report(
        read_published(settings, "risk_packets").to_pylist(),
        read_published(settings, "exception_queue_weekly").to_pylist(),
    )
    path = settings.reports / "thresholds.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*report_lines(report), ""]), encoding="utf-8")
    return report, path
