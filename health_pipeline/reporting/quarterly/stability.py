"""The refresh report's sections on stability: of the method, of the model, of the accounts; who moved where."""

from __future__ import annotations

from typing import Any

from health_pipeline.policy.wording import readable
from health_pipeline.reporting.quarterly import charts
from health_pipeline.reporting.quarterly.page import Section, Shown
from health_pipeline.reporting.quarterly.release_data import ALL, QuarterData
from health_pipeline.reporting.quarterly.words import (
    figure_cell,
    in_words,
    number,
    percent,
    segment_words,
    short_quarter,
)
from health_pipeline.reporting.tables import Cell, Table
from health_pipeline.segmentation.methods.clusterboot import HIGHLY_STABLE, VALID
from health_pipeline.segmentation.methods.migration import ENTERED, LEFT
from health_pipeline.segmentation.model import UNSEGMENTED


def kept_share(data: QuarterData) -> dict[str, Any] | None:
    """The share of the accounts in both quarters that kept their segment; None where nothing is compared."""
    rows = data.stability_of("accounts", "kept_share", ALL)
    return rows[0] if rows else None


def how_stable(data: QuarterData) -> Section:
    """The three stabilities."""
    shown = []
    jaccards = data.stability_of("method", "jaccard")
    if jaccards:
        points = [
            {
                "group": "",
                "label": segment_words(row["segment"]),
                "value": row["value"],
                "low": row["interval_low"],
                "high": row["interval_high"],
            }
            for row in jaccards
        ]
        words = "; ".join(f"{point['label']} {number(point['value'])}" for point in points)
        drawing = charts.intervals(
            points,
            f"Points with intervals of how much of each segment comes back: {words}; 0.75 is asked for.",
            "Share of a segment that comes back",
            (VALID, HIGHLY_STABLE),
            of_shares=False,
        )
        rows = [
            (
                Cell(segment_words(row["segment"])),
                figure_cell(row),
                Cell(f"{row['accounts']:,}"),
                Cell(row["verdict"] or ""),
            )
            for row in jaccards
        ]
        columns = (("Segment", False), ("Comes back", True), ("Accounts", True), ("Verdict", False))
        table = Table("How much of each segment comes back", columns, rows)
        shown.append(Shown("Under resampling; dashed: valid from 0.75, highly stable from 0.85", drawing, table))
    places = list(_FIGURES)
    whole = [row for row in data.stability if row["segment"] == ALL and row["kind"] in ("method", "model")]
    whole.sort(key=lambda row: places.index(row["figure"]) if row["figure"] in _FIGURES else len(places))
    figures = [
        (
            Cell(_FIGURES.get(row["figure"], row["figure"].replace("_", " "))),
            figure_cell(row),
            Cell(in_words(row["method"])),
        )
        for row in whole
    ]
    headings = (("Figure", False), ("Value", True), ("How", False))
    shown.append(
        Shown(
            heading="The solution as a whole",
            table=Table("Stability of the whole", headings, figures),
            behind=[_population(data), _history(data)],
        )
    )
    return Section(
        "stability",
        "Stability",
        "Three stabilities, never one number",
        "Of the method: do the same accounts, drawn anew, give the same segments? Of the model: does last quarter’s "
        "model still say what a new one says? Of the accounts: did they stay?",
        shown,
    )


_FIGURES = {
    "prediction_strength": "Prediction strength",
    "mixture_ari": "Agreement with a Gaussian mixture (ARI)",
    "ari": "Last quarter’s model against a refit (ARI)",
    "ami": "The same, by AMI",
    "variation_of_information": "The same, by variation of information (0 is the same)",
    "matched_share": "Accounts in matched segments of both",
    "recommended_ari": "Last quarter’s model against this one (ARI)",
    "recommended_ami": "The same, by AMI ",
    "recommended_vi": "The same, by variation of information",
}


def _population(data: QuarterData) -> Table:
    rows = [
        (
            Cell(readable(row["other_segment"]).capitalize()),
            Cell(number(row["value"], 3)),
            Cell(number(row["interval_high"], 3)),
            Cell(row["verdict"] or ""),
        )
        for row in data.stability_of("population", "psi")
    ]
    columns = (("Of", False), ("Index", True), ("Chance exceeds once in 20", True), ("Verdict", False))
    return Table("Did the accounts change? Population stability index", columns, rows)


def _history(data: QuarterData) -> Table:
    rows = [
        (
            Cell(short_quarter(row["quarter"])),
            Cell(_FIGURES.get(row["figure"], row["figure"].replace("_", " "))),
            Cell(number(row["value"])),
        )
        for row in data.over_quarters
    ]
    return Table("The figures over the quarters", (("Quarter", False), ("Figure", False), ("Value", True)), rows)


def who_moved(data: QuarterData) -> Section | None:
    """Accounts from segment to segment; None where there is nothing to compare with."""
    cells = [row for row in data.stability_of("accounts", "migration") if row["accounts"]]
    if not cells:
        return None
    rows = [
        {"before": _end(row["segment"]), "after": _end(row["other_segment"]), "accounts": row["accounts"]}
        for row in cells
    ]
    order = {
        _end(name): place
        for name, place in ((n, data.place(n)) for row in cells for n in (row["segment"], row["other_segment"]))
    }
    last = {_end(UNSEGMENTED): 1, _end(ENTERED): 2, _end(LEFT): 2}
    before, after = (
        sorted({row[side] for row in rows}, key=lambda name: (last.get(name, 0), order[name]))
        for side in ("before", "after")
    )
    stayed = sum(row["accounts"] for row in rows if row["before"] == row["after"])
    drawing = charts.flow(
        rows,
        before,
        after,
        f"Ribbons from the segments a quarter before to those now: {stayed:,} accounts stayed in the segment of the "
        f"same name, {sum(row['accounts'] for row in rows) - stayed:,} moved, came or left.",
    )
    table = Table(
        "From segment to segment",
        (("From", False), ("To", False), ("Accounts", True), ("Share of those from there", True)),
        [
            (
                Cell(_end(row["segment"])),
                Cell(_end(row["other_segment"])),
                Cell(f"{row['accounts']:,}"),
                figure_cell(row, "share"),
            )
            for row in cells
        ],
    )
    changes = [
        (
            Cell(segment_words(row["segment"])),
            Cell(segment_words(row["other_segment"]) if row["other_segment"] else "–"),
            Cell(number(row["value"])),
            Cell(in_words(row["verdict"] or "")),
        )
        for row in [*data.stability_of("model", "successor_jaccard"), *data.stability_of("model", "born")]
    ]
    columns = (("Segment before", False), ("Now", False), ("Overlap (Jaccard)", True), ("What became of it", False))
    kept = kept_share(data)
    lede = "Accounts a quarter before, on the left, and now. "
    if kept:
        lede += (
            f"{percent(kept['value'])} of those in both quarters kept their segment "
            f"({percent(kept['interval_low'])} to {percent(kept['interval_high'])})."
        )
    return Section(
        "moves",
        "Who moved",
        "Who moved",
        lede,
        [
            Shown(
                "Accounts from the quarter before to this one",
                drawing,
                table,
                (("accent-soft", "same segment"), ("watch", "moved, came or left")),
                beside=False,
                is_wide=True,
            ),
            Shown(
                heading="Segments: kept, split, merged, new",
                table=Table("What became of each segment", columns, changes),
            ),
        ],
    )


def _end(name: str) -> str:
    return {ENTERED: "Was not there", LEFT: "No longer there"}.get(name, segment_words(name))


def not_placed(data: QuarterData) -> Section:
    """Accounts without a segment, and why."""
    rows = [
        (Cell(in_words(row["unsegmented_reason"] or "unknown")), Cell(f"{row['accounts']:,}"))
        for row in data.assignments
        if row["segment"] == UNSEGMENTED
    ]
    table = Table(
        "Accounts without a segment", (("Why", False), ("Accounts", True)), rows, empty="Every account has one."
    )
    return Section(
        "apart",
        "Not placed",
        "Accounts without a segment",
        "Unknown is not zero: an account of which too little is known is put into no segment.",
        [Shown(table=table)],
    )
