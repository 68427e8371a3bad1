"""The performance report's section on strategies: what works where."""

from __future__ import annotations

from typing import Any

from health_pipeline.reporting.figures import DASH, UNKNOWN, listed
from health_pipeline.reporting.quarterly import charts
from health_pipeline.reporting.quarterly.page import Section, Shown
from health_pipeline.reporting.quarterly.release_data import ALL, QuarterData
from health_pipeline.reporting.quarterly.words import (
    figure_cell,
    in_words,
    limits,
    p_value,
    plain,
    points,
    segment_words,
)
from health_pipeline.reporting.tables import Cell, Table
from health_pipeline.segmentation.strategies import CANNOT, DIFFERS

_EFFECT = "Effect in each segment, with its interval"


_OUTCOMES = {"churned": "that left", "contracted": "that shrank", "expanded": "that grew"}


def works_in_some(data: QuarterData) -> list[str]:
    """Strategies that do more in one segment than in another, beyond chance."""
    return [row["subject"] for row in data.figures_of("actionability", "verdict") if row["verdict"] == DIFFERS]


def finding(data: QuarterData, verdict: dict[str, Any]) -> str:
    """What a strategy did, as half a sentence for a reader who is not a statistician; never `equal`, never `none`."""
    overall = data.figure("actionability", verdict["subject"], "uplift")
    if overall is None or overall["value"] is None:
        reason = (verdict["verdict"] or "").removeprefix(f"{CANNOT}: ")
        return f"can’t be judged, since {in_words(reason)}" if reason else "can’t be judged"
    if verdict["verdict"] == DIFFERS:
        rows = [row for row in _uplift_rows(data) if row["subject"] == verdict["subject"]]
        worked = [row for row in rows if row["interval_low"] > 0]
        others = [row for row in rows if row not in worked]
        parts = [f"{points(row['value'])} in “{segment_words(row['segment'])}” ({_between(row)})" for row in worked]
        if others:
            names = [f"“{segment_words(row['segment'])}”" for row in others]
            parts.append(f"no effect seen in {listed(names)}")
        return "; ".join(parts)
    text = f"no effect seen ({_between(overall)})"
    if overall["interval_low"] > 0 or overall["interval_high"] < 0:
        text = f"{points(overall['value'])} ({_between(overall)}), no evidence that it differs between segments"
    raw = data.figure("actionability", verdict["subject"], "raw_difference")
    if raw is not None and raw["value"] is not None:
        text += f"; it looks like {points(raw['value'])} until adjusted for who got it, which chance did not decide"
    return text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _between(row: dict[str, Any]) -> str:
    return limits(row["interval_low"], row["interval_high"], 1).replace(" %", " points")


def _uplift_rows(data: QuarterData) -> list[dict[str, Any]]:
    rows = data.figures_of("actionability", "uplift")
    return [row for row in rows if row["segment"] != ALL and row["value"] is not None]


def _aim(method: str) -> str:
    """What a strategy is to bring about: the part of the method before the comparison."""
    aim = method.split(", treated less control", maxsplit=1)[0]
    for word, words in _OUTCOMES.items():
        aim = aim.replace(word, words)
    return aim.capitalize()


def what_works(data: QuarterData) -> Section:
    """What each strategy did, over all and in each segment."""
    uplifts = _uplift_rows(data)
    verdicts = data.figures_of("actionability", "verdict")
    rows = []
    for row in verdicts:
        overall = data.figure("actionability", row["subject"], "uplift")
        test = data.figure("actionability", row["subject"], "interaction")
        how = (overall or row)["method"]
        chance = "by chance" if "not randomised" not in how and "randomised" in how else "not by chance"
        rows.append(
            (
                Cell(plain(row["subject"]).capitalize(), detail=_aim(overall["method"]) if overall else ""),
                Cell(chance if overall or data.figure("actionability", row["subject"], "raw_difference") else UNKNOWN),
                figure_cell(overall, "points"),
                Cell(p_value(test["adjusted_p_value"] if test else None)),
                Cell(_capital(finding(data, row)), detail=in_words(row["verdict"] or "")),
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
