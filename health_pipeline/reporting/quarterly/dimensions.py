"""The performance report's section on new dimensions: would something else tell more than the segments do."""

from __future__ import annotations

from typing import Any

from health_pipeline.policy.wording import counted
from health_pipeline.reporting.quarterly.page import Section, Shown
from health_pipeline.reporting.quarterly.release_data import QuarterData
from health_pipeline.reporting.quarterly.words import (
    NONE,
    OUTCOMES,
    figure_cell,
    in_words,
    p_value,
    percent,
    plain,
)
from health_pipeline.reporting.tables import Cell, Table
from health_pipeline.segmentation.methods.multiplicity import NOT_ENOUGH

SIGNIFICANT = 0.05


def new_dimensions(data: QuarterData) -> Section:
    """What knowing more would add: a row per dimension, every figure behind it."""
    rows = data.figures_of("new_dimensions")
    tried = sorted({row["subject"] for row in rows})
    brief = Table(
        "Dimensions that were tried",
        (
            ("Dimension", False),
            *((f"Who {words.lower()}", False) for words in OUTCOMES.values()),
            ("Segments with it", False),
        ),
        [
            (
                Cell(plain(name).capitalize()),
                *(_told(data.figure("new_dimensions", name, f"nested_test ({outcome})")) for outcome in OUTCOMES),
                _with_it(data, name),
            )
            for name in tried
        ],
        empty="No dimension was judged this quarter.",
    )
    asked = (
        f"{counted(len(tried), 'dimension')} beside the segments: does knowing it say more about the quarter after, "
        "and what would it do to the segments?"
    )
    return Section(
        "dimensions",
        "New dimensions",
        "Would something else tell more?",
        asked if tried else "",
        [Shown(table=brief, behind=[_every_figure(rows)])],
    )


def _told(row: dict[str, Any] | None) -> Cell:
    """Whether a dimension tells more of an outcome than the segments do."""
    if row is None:
        return Cell(NONE)
    if row["value"] is None:
        why = "Too few events to judge" if row["verdict"] == NOT_ENOUGH else "Can’t be judged"
        return Cell(why, detail="" if row["verdict"] == NOT_ENOUGH else in_words(row["verdict"] or ""))
    tells = row["adjusted_p_value"] is not None and row["adjusted_p_value"] < SIGNIFICANT
    words = "Tells more" if tells else "No evidence that it tells more"
    return Cell(words, detail=f"p {p_value(row['adjusted_p_value'])}, for many tests")


def _with_it(data: QuarterData, name: str) -> Cell:
    agreed = data.figure("new_dimensions", name, "agreement_ari")
    stable = data.figure("new_dimensions", name, "smallest_jaccard_with")
    if agreed is None or stable is None or stable["value"] is None:
        return Cell(NONE)
    return Cell(
        f"{percent(stable['value'])} of the least stable one comes back",
        detail=f"agreement with those of now {agreed['value']:.2f} (ARI)",
    )


def _every_figure(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Every figure of the new dimensions",
        (
            ("Dimension", False),
            ("Figure", False),
            ("Value", True),
            ("Accounts", True),
            ("Events", True),
            ("p", True),
            ("p, for many tests", True),
            ("Verdict", False),
            ("How", False),
        ),
        [
            (
                Cell(plain(row["subject"]).capitalize()),
                Cell(plain(row["figure"])),
                figure_cell(row),
                Cell(NONE if row["accounts"] is None else f"{row['accounts']:,}"),
                Cell(NONE if row["events"] is None else f"{row['events']:,}"),
                Cell(p_value(row["p_value"])),
                Cell(p_value(row["adjusted_p_value"])),
                Cell(in_words(row["verdict"] or "")),
                Cell(in_words(row["method"])),
            )
            for row in rows
        ],
    )
