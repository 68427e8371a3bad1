"""The performance report's sections on strategies and new dimensions: what works where, what would tell more."""

from __future__ import annotations

from typing import Any

from health_pipeline.policy.wording import counted
from health_pipeline.reporting.figures import DASH, UNKNOWN
from health_pipeline.reporting.quarterly import charts
from health_pipeline.reporting.quarterly.page import Section, Shown
from health_pipeline.reporting.quarterly.release_data import ALL, QuarterData
from health_pipeline.reporting.quarterly.words import figure_cell, in_words, p_value, plain, points, segment_words
from health_pipeline.reporting.tables import Cell, Table

_EFFECT = "Effect in each segment, with its interval"


def what_works(data: QuarterData) -> Section:
    """What each strategy did, over all and in each segment."""
    uplifts = [
        row for row in data.figures_of("actionability", "uplift") if row["segment"] != ALL and row["value"] is not None
    ]
    verdicts = data.figures_of("actionability", "verdict")
    rows = []
    for row in verdicts:
        overall = data.figure("actionability", row["subject"], "uplift")
        test = data.figure("actionability", row["subject"], "interaction")
        how = (overall or row)["method"]
        chance = "by chance" if "not randomised" not in how and "randomised" in how else "not by chance"
        rows.append(
            (
                Cell(plain(row["subject"]).capitalize()),
                Cell(chance if overall or data.figure("actionability", row["subject"], "raw_difference") else UNKNOWN),
                figure_cell(overall, "points"),
                Cell(p_value(test["adjusted_p_value"] if test else None)),
                Cell(row["verdict"]),
            )
        )
    table = Table(
        "Strategies that were tried",
        (
            ("Strategy", False),
            ("Who got it", False),
            ("Effect over all", True),
            ("p of a difference", True),
            ("Verdict", False),
        ),
        rows,
        empty="No strategy with a known outcome is on record.",
    )
    shown = [Shown(table=table, behind=[_every_figure(data)])]
    if uplifts:
        drawn = [
            {
                "group": plain(row["subject"]).capitalize(),
                "label": segment_words(row["segment"]),
                "value": row["value"],
                "low": row["interval_low"],
                "high": row["interval_high"],
            }
            for row in uplifts
        ]
        words = "; ".join(f"{one['group']} in {one['label']} {points(one['value'])}" for one in drawn)
        drawing = charts.intervals(
            drawn,
            f"Points with intervals of each strategy’s effect per segment: {words}.",
            "Share with it, less the share without",
            (0.0,),
        )
        shown.append(Shown(_EFFECT, drawing, _uplifts(data, uplifts), heading="In each segment"))
    return Section(
        "strategies",
        "Strategies",
        "What works where",
        "Segments are worth acting on where a strategy does more in one than in another. An interval that holds 0 is "
        "no evidence of an effect; it is not evidence of none. Where chance did not decide who got it, the figure is "
        "adjusted for what is known, or not judged.",
        shown,
    )


def _every_figure(data: QuarterData) -> Table:
    columns = (
        ("Strategy", False),
        ("Segment", False),
        ("Figure", False),
        ("Value", True),
        ("Accounts", True),
        ("Events", True),
        ("p", True),
        ("p, for many tests", True),
        ("How", False),
    )
    rows = [
        (
            Cell(plain(row["subject"]).capitalize()),
            Cell("All" if row["segment"] == ALL else segment_words(row["segment"])),
            Cell(plain(row["figure"])),
            figure_cell(row, "points" if row["figure"] in ("uplift", "raw_difference") else "number"),
            Cell(DASH if row["accounts"] is None else f"{row['accounts']:,}"),
            Cell(DASH if row["events"] is None else f"{row['events']:,}"),
            Cell(p_value(row["p_value"])),
            Cell(p_value(row["adjusted_p_value"])),
            Cell(in_words(row["method"])),
        )
        for row in data.figures_of("actionability")
    ]
    return Table("Every figure of the strategies, and how it was made", columns, rows)


def _uplifts(data: QuarterData, rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Effect of each strategy per segment",
        (("Strategy", False), ("Segment", False), ("Effect", True), ("Accounts", True)),
        [
            (
                Cell(plain(row["subject"]).capitalize()),
                Cell(segment_words(row["segment"])),
                figure_cell(row, "points"),
                Cell(f"{row['accounts']:,}"),
            )
            for row in sorted(rows, key=lambda one: (one["subject"], data.place(one["segment"])))
        ],
    )


def new_dimensions(data: QuarterData) -> Section:
    """What knowing more would add."""
    rows = [
        (
            Cell(plain(row["subject"]).capitalize()),
            Cell(plain(row["figure"])),
            figure_cell(row),
            Cell(p_value(row["p_value"])),
            Cell(p_value(row["adjusted_p_value"])),
            Cell(in_words(row["verdict"] or "")),
            Cell(in_words(row["method"])),
        )
        for row in data.figures_of("new_dimensions")
    ]
    verdicts = [row for row in data.figures_of("new_dimensions") if row["verdict"]]
    brief = Table(
        "Dimensions that were tried",
        (("Dimension", False), ("Figure", False), ("Value", True), ("p, for many tests", True), ("Verdict", False)),
        [
            (
                Cell(plain(row["subject"]).capitalize()),
                Cell(plain(row["figure"])),
                figure_cell(row),
                Cell(p_value(row["adjusted_p_value"])),
                Cell(in_words(row["verdict"])),
            )
            for row in verdicts
        ],
        empty="No dimension was judged this quarter.",
    )
    every = Table(
        "Every figure of the new dimensions",
        (
            ("Dimension", False),
            ("Figure", False),
            ("Value", True),
            ("p", True),
            ("p, for many tests", True),
            ("Verdict", False),
            ("How", False),
        ),
        rows,
    )
    tried = len({row["subject"] for row in data.figures_of("new_dimensions")})
    return Section(
        "dimensions",
        "New dimensions",
        "Would something else tell more?",
        f"{counted(tried, 'dimension')} beside the segments: does knowing it say more about the quarter after, and "
        "what would it do to the segments?"
        if tried
        else "",
        [Shown(table=brief, behind=[every])],
    )
