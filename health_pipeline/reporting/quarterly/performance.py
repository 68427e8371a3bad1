"""The segment performance comparison: what became of each segment, what works where, what each takes and costs."""

from __future__ import annotations

from typing import Any

from health_pipeline.reporting.figures import UNKNOWN, listed, money
from health_pipeline.reporting.quarterly import charts
from health_pipeline.reporting.quarterly.dimensions import new_dimensions
from health_pipeline.reporting.quarterly.load import what_it_costs, what_it_takes
from health_pipeline.reporting.quarterly.page import Section, Shown
from health_pipeline.reporting.quarterly.release_data import ALL, QuarterData
from health_pipeline.reporting.quarterly.strategies import finding, what_works, works_in_some
from health_pipeline.reporting.quarterly.words import (
    NONE,
    OUTCOMES,
    figure_cell,
    in_words,
    p_value,
    percent,
    plain,
    segment_words,
    share_cell,
)
from health_pipeline.reporting.tables import Cell, Table
from health_pipeline.segmentation.outcomes import JUDGED, RATES

SIGNIFICANT = 0.05


def differing(data: QuarterData) -> list[str]:
    """Outcomes whose rates differ between segments after the correction for several tests."""
    tested = data.figures_of("performance", "cramers_v")
    return [row["subject"] for row in tested if (row["adjusted_p_value"] or 1.0) < SIGNIFICANT]


def performance_headline(data: QuarterData) -> str:
    """Whether the segments tell anything about the quarter after, in one sentence."""
    judged = [row for row in data.performance if row["outcome_verdict"] == JUDGED]
    if len(judged) < 2:
        return "Whether the segments perform differently can’t be judged this quarter."
    found, apart = differing(data), [plain(name) for name in works_in_some(data)]
    also = f"; {listed(apart)} worked in some only" if apart else ""
    if found:
        words = listed([OUTCOMES[name].lower() for name in found])
        return f"The segments performed differently: more accounts {words} in some than in others{also}."
    return f"No evidence that the segments performed differently this quarter{also}."


def performance_statements(data: QuarterData, currency: str) -> list[tuple[str, str]]:
    """Outcomes, strategies, cost, and what could not be judged."""
    found = [("Outcomes", _outcome_sentence(data)), ("Strategies", _strategy_sentence(data))]
    found.append(("Cost", _cost_sentence(data, currency)))
    found.append(("Not judged", _not_judged(data)))
    return found


def _outcome_sentence(data: QuarterData) -> str:
    """The range of each outcome's rate over the judged segments, and whether chance alone gives as much."""
    tested = [row for row in data.figures_of("performance", "cramers_v") if row["value"] is not None]
    if not tested:
        return "No outcome had enough events in two segments to compare."
    parts = []
    for row in tested:
        rates = [
            one[RATES[row["subject"]]]
            for one in data.performance
            if one["outcome_verdict"] == JUDGED and one[RATES[row["subject"]]] is not None
        ]
        apart = "further apart than" if row["subject"] in differing(data) else "no further apart than"
        span = f"{percent(min(rates), 1)} to {percent(max(rates), 1)} of a segment’s accounts"
        parts.append(f"{OUTCOMES[row['subject']]}: {span}, {apart} chance gives.")
    return " ".join(parts) + " Segments were frozen before the quarter."


def _strategy_sentence(data: QuarterData) -> str:
    verdicts = data.figures_of("actionability", "verdict")
    if not verdicts:
        return "No strategy with a known outcome was on record."
    found = [f"{plain(row['subject']).capitalize()}: {finding(data, row)}." for row in verdicts]
    return " ".join([*found, "Points are percentage points of the accounts, with it less without it."])


def _cost_sentence(data: QuarterData, currency: str) -> str:
    rows = [row for row in data.rows_per_segment if row["cost_to_serve"] is not None and row["arr_reporting"]]
    if not rows:
        return "Cost to serve is unknown: tickets or meetings are not connected."
    shares = [(float(row["cost_to_serve"]) / (float(row["arr_reporting"]) / 4), row) for row in rows]
    share, dearest = max(shares, key=lambda pair: pair[0])
    text = (
        f"“{segment_words(dearest['segment'])}” takes most for what it pays: {percent(share)} of a quarter of its "
        "annual revenue."
    )
    savings = [row for row in data.figures_of("cost", "saving") if row["value"]]
    if savings:
        total = sum(row["value"] for row in savings)
        text += f" Savings to look at: {money(total, currency)}, where no effect of a strategy is seen."
    return text


def _not_judged(data: QuarterData) -> str:
    rows = [row for row in data.rows_per_segment if row["outcome_verdict"] != JUDGED]
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(row["outcome_verdict"] or "outcomes are not in this release", []).append(
            f"“{segment_words(row['segment'])}”"
        )
    found = [f"{listed(names)}: {in_words(why)}." for why, names in reasons.items()]
    few = [
        OUTCOMES[row["subject"]].lower() for row in data.figures_of("performance", "cramers_v") if row["value"] is None
    ]
    if few:
        found.append(f"Whether rates differ for {listed(few)}: not enough events.")
    return " ".join(found) or "Every segment had enough accounts and events."


def performance_sections(data: QuarterData, currency: str) -> list[Section]:
    """The sections, outcomes first."""
    return [
        _outcomes(data),
        what_works(data),
        what_it_takes(data),
        what_it_costs(data, currency),
        new_dimensions(data),
    ]


def _outcomes(data: QuarterData) -> Section:
    rows = [row for row in data.rows_per_segment if row["outcome_accounts"]]
    shown: list[Shown] = []
    columns = (
        ("Segment a quarter before", False),
        ("Accounts", True),
        ("Left", True),
        ("Shrank", True),
        ("Grew", True),
        ("Revenue kept", True),
        ("Kept and grown", True),
        ("Verdict", False),
    )
    table = Table(
        "What became of each segment’s accounts",
        columns,
        [
            (
                Cell(segment_words(row["segment"])),
                Cell(f"{row['outcome_accounts']:,}"),
                *(share_cell(row, RATES[outcome], 1) for outcome in OUTCOMES),
                share_cell(row, "gross_revenue_retention", 1),
                share_cell(row, "net_revenue_retention", 1),
                Cell((row["outcome_verdict"] or UNKNOWN).capitalize()),
            )
            for row in rows
        ],
        empty="No outcome is known: " + _reason(data) + ".",
        note="Under each share its 95 % interval. Under 30 accounts or 5 events a segment says “not enough events”.",
    )
    drawn = [
        {
            "group": OUTCOMES[outcome],
            "label": segment_words(row["segment"]),
            "value": row[RATES[outcome]],
            "low": row[f"{RATES[outcome]}_low"],
            "high": row[f"{RATES[outcome]}_high"],
        }
        for outcome in OUTCOMES
        for row in rows
        if row[RATES[outcome]] is not None and row["outcome_verdict"] == JUDGED
    ]
    if drawn:
        words = "; ".join(f"{one['group'].lower()} {percent(one['value'])} of {one['label']}" for one in drawn)
        first = charts.intervals(
            drawn,
            f"Points with intervals of the share that left, shrank and grew: {words}.",
            "Share of the accounts within the quarter",
        )
        pair = [Shown("Shares with their intervals", first)]
        if kept := _kept_rows(rows):
            words = "; ".join(f"{one['group'].lower()} {percent(one['value'], 1)} of {one['label']}" for one in kept)
            second = charts.intervals(
                kept, f"Points with intervals of revenue retention: {words}.", "Of the revenue a quarter before", (1.0,)
            )
            pair.append(Shown("Revenue kept; dashed: as much as before", second))
        shown.append(Shown(pair=pair))
    shown.append(Shown(table=table))
    shown.append(Shown(behind=_tests(data)))
    return Section(
        "outcomes",
        "Outcomes",
        "What became of each segment",
        "The accounts of each segment as it was when the quarter began, and what happened in the 13 weeks after. "
        "Outcomes were not used to make the segments.",
        shown,
    )


def _kept_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    columns = (("Revenue kept", "gross_revenue_retention"), ("Kept and grown", "net_revenue_retention"))
    return [
        {
            "group": title,
            "label": segment_words(row["segment"]),
            "value": row[column],
            "low": row[f"{column}_low"],
            "high": row[f"{column}_high"],
        }
        for title, column in columns
        for row in rows
        if row[column] is not None and row["outcome_verdict"] == JUDGED
    ]


def _reason(data: QuarterData) -> str:
    return next((row["outcome_verdict"] for row in data.performance if row["outcome_verdict"]), "not in this release")


def _tests(data: QuarterData) -> list[Table]:
    rows = data.figures_of("performance")

    def table(caption: str, figures: tuple[str, ...], kind: str = "number") -> Table:
        return Table(
            caption,
            (
                ("What", False),
                ("Segment", False),
                ("Figure", True),
                ("Accounts", True),
                ("Events", True),
                ("p", True),
                ("p, for many tests", True),
                ("How", False),
            ),
            [
                (
                    Cell(f"{_outcome_word(row['subject'])}: {plain(row['figure'])}"),
                    Cell("All" if row["segment"] == ALL else segment_words(row["segment"])),
                    figure_cell(row, kind),
                    Cell(NONE if row["accounts"] is None else f"{row['accounts']:,}"),
                    Cell(NONE if row["events"] is None else f"{row['events']:,}"),
                    Cell(p_value(row["p_value"])),
                    Cell(p_value(row["adjusted_p_value"])),
                    Cell(in_words(row["method"])),
                )
                for row in rows
                if row["figure"] in figures
            ],
        )

    return [
        table("Do the segments differ? Effect sizes and tests", ("cramers_v",)),
        table("Each segment against all others", ("difference_to_rest",), "points"),
        table("The same difference on the arcsine scale", ("cohens_h",)),
        table("Time until an account left", ("log_rank", "hazard_ratio")),
        table(
            "Segments against a model of the individual account",
            (
                "auc_segments",
                "auc_individual",
                "log_loss_base",
                "log_loss_segments",
                "log_loss_individual",
                "log_loss_gap",
            ),
        ),
    ]


def _outcome_word(subject: str) -> str:
    return OUTCOMES.get(subject, plain(subject).capitalize())
