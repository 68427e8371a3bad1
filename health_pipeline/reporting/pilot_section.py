"""The pilot in the weekly report: the baseline before, the figures since, the thresholds, and what may be claimed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from statistics import fmean

from health_pipeline.policy.pilot import SAMPLES, PilotPolicy
from health_pipeline.policy.wording import counted, percent
from health_pipeline.reporting.figures import day
from health_pipeline.reporting.release_data import ReleaseData, Row
from health_pipeline.reporting.tables import Cell, Table
from health_pipeline.risk.metrics import open_risks_of, share_rows

CLAIM = "Claim level: pilot-shaped, not validated outcome evidence. Nothing here says that the review caused a change."
_ONE_WEEK = timedelta(weeks=1)
_PREFIX, _TOP = "high_risk_", 25
# Null in a week that knew of no ledger, so that what people decided is unknown.
_DECIDED = "packets_with_review_decision"


def pilot_sentence(data: ReleaseData, pilot: PilotPolicy, owner: str) -> str:
    """What the pilot is and where it stands."""
    if pilot.start is None or pilot.end is None:
        return (
            "No pilot of the risk review runs. To start one, give pilot.yaml of the policy folder a start and an owner."
        )
    through = data.week + _ONE_WEEK
    passed = (min(through, pilot.end) - pilot.start).days
    where = (
        f"it starts on {day(pilot.start)}"
        if passed <= 0
        else f"day {passed} of {pilot.days}"
        if through < pilot.end
        else f"it ended on {day(pilot.end)}"
    )
    return (
        f"Pilot of {counted(pilot.days, 'day')} with {SAMPLES[pilot.sample]}, answered for by {owner}: {where}. {CLAIM}"
    )


def pilot_table(data: ReleaseData, pilot: PilotPolicy) -> Table:
    """Each threshold: the mean of the weeks before, of the weeks since, the newest week, and whether it is reached.

    A week counts as before where it ended by the start, since where it began on or after it and ended by the end; as
    many weeks before as the pilot is long. With `top_25` the shares are of all open risks of the sample's accounts.
    """
    is_top = pilot.is_of_queue
    columns = (
        ("Share of the sample's risks" if is_top else "Share of high-risk packets", False),
        ("Before", True),
        ("Since", True),
        ("Newest week", True),
        ("Threshold", True),
        ("Reached", False),
    )
    rows = []
    if pilot.start is not None and pilot.end is not None:
        first = pilot.start - timedelta(days=pilot.days)
        metrics = sample_metrics(data, pilot.start) if is_top else data.review_metrics
        for metric, threshold in pilot.thresholds.items():
            weeks = [row for row in metrics if row["metric"] == metric]
            before = _of(weeks, first, pilot.start)
            since = _of(weeks, pilot.start, pilot.end)
            newest = since[-1]["value"] if since else None
            rows.append(
                (
                    Cell(metric.removeprefix(f"{_PREFIX}packets_with_").replace("_", " ").capitalize()),
                    _mean(before),
                    _mean(since),
                    _cell(newest),
                    Cell(percent(threshold)),
                    _reached(newest, threshold),
                )
            )
    return Table("The pilot against its thresholds", columns, rows, "No pilot runs.")


def sample_metrics(data: ReleaseData, start: date) -> list[Row]:
    """The parts of the decision packet rate over the open risks of the first 25 accounts of the queue at the start.

    The queue is that of the newest week that had ended by then: the sample is fixed before the pilot shows anything.

    Returns
    -------
    rows of week, metric, value, numerator, denominator
        Named as the metrics of all high-risk packets are; empty where no week had ended by the start.
    """
    ended = [row for row in data.queue_places if row["week"] + _ONE_WEEK <= start]
    newest = max((row["week"] for row in ended), default=None)
    sample = list(dict.fromkeys(row["account_id"] for row in ended if row["week"] == newest))[:_TOP]
    decided = {row["week"] for row in data.review_metrics if row["metric"] == _DECIDED and row["numerator"] is not None}
    weeks = sorted({row["week"] for row in data.review_metrics}) if sample else []
    found = []
    for week in weeks:
        among = open_risks_of(row for row in data.risks if row["week"] == week and row["account_id"] in sample)
        found += [{"week": week, **row} for row in share_rows(among, week in decided, _PREFIX)]
    return found


def _of(rows: Sequence[Row], first: date, end: date) -> list[Row]:
    return [row for row in rows if row["week"] >= first and row["week"] + _ONE_WEEK <= end]


def _mean(rows: Sequence[Row]) -> Cell:
    known = [row["value"] for row in rows if row["value"] is not None]
    return Cell(percent(fmean(known)), counted(len(known), "week")) if known else Cell("unknown")


def _cell(value: float | None) -> Cell:
    return Cell("unknown") if value is None else Cell(percent(value))


def _reached(value: float | None, threshold: float) -> Cell:
    if value is None:
        return Cell("unknown", tone="warn")
    return Cell("yes", tone="good") if value >= threshold else Cell("not yet", tone="bad")
