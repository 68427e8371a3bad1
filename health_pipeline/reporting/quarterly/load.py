"""The performance report's sections for planner, support lead and engineering manager: what a segment takes, costs."""

from __future__ import annotations

from typing import Any

from health_pipeline.reporting.figures import UNKNOWN, amount
from health_pipeline.reporting.quarterly.page import Section, Shown
from health_pipeline.reporting.quarterly.release_data import QuarterData
from health_pipeline.reporting.quarterly.words import NONE, in_words, percent, plain, segment_words
from health_pipeline.reporting.tables import Cell, Table


def what_it_takes(data: QuarterData) -> Section:
    """Capacity, support load and defects per segment."""
    planned = {row["segment"]: row for row in data.planned}
    defects = {row["segment"]: row for row in data.defect_totals}
    themes: dict[str, list[str]] = {}
    for row in data.defects:
        themes.setdefault(row["segment"], []).append(f"{plain(row['theme'])} {row['tickets']:,}")
    rows = [row for row in data.rows_per_segment if row["accounts"]]

    def count(value: Any, per: int = 0, digits: int = 0) -> Cell:
        if value is None:
            return Cell(UNKNOWN)
        return Cell(f"{float(value):,.{digits}f}", detail=f"{float(value) / per:.1f} per account" if per else "")

    capacity = Table(
        "Capacity per segment",
        (
            ("Segment", False),
            ("Accounts", True),
            ("CSM hours in the quarter", True),
            ("Hours the plan proposes", True),
            ("Of these below the line", True),
        ),
        [
            (
                Cell(segment_words(row["segment"])),
                count(row["accounts"]),
                count(row["csm_hours"], row["accounts"]),
                count((planned.get(row["segment"]) or {}).get("hours_needed", 0 if planned else None)),
                count((planned.get(row["segment"]) or {}).get("hours_below_line", 0 if planned else None)),
            )
            for row in rows
        ],
        note="CSM hours: meetings of 91 days at the policy’s hours per meeting. The plan is that of the quarter’s last "
        "week; below the line is what no owner’s capacity reaches.",
    )
    support = Table(
        "Support load per segment",
        (("Segment", False), ("Tickets in the quarter", True), ("Support hours", True), ("Open at its end", True)),
        [
            (
                Cell(segment_words(row["segment"])),
                count(row["support_tickets"], row["accounts"]),
                count(row["support_hours"]),
                count(row["open_backlog"]),
            )
            for row in rows
        ],
        note="Tickets of 91 days, hours at the policy’s hours per ticket.",
    )
    bugs = Table(
        "Defects per segment",
        (
            ("Segment", False),
            ("Defects in 4 weeks", True),
            ("Accounts behind them", True),
            ("Largest themes, tickets in 91 days", False),
        ),
        [
            (
                Cell(segment_words(row["segment"])),
                count((defects.get(row["segment"]) or {}).get("defects")),
                count(_behind(defects.get(row["segment"]))),
                Cell(", ".join(themes.get(row["segment"], [])[:3]) or NONE),
            )
            for row in rows
        ],
        note="Tickets of the type bug, incident, problem or defect in the 28 days before the quarter’s end; themes by "
        "the rules of defect_themes.yaml.",
    )
    return Section(
        "load",
        "Capacity, support, defects",
        "What each segment takes",
        "For whoever plans people’s time, leads support, or decides what is repaired first.",
        [
            Shown(heading="For the planner: capacity", table=capacity),
            Shown(heading="For the support lead: support load", table=support),
            Shown(heading="For the engineering manager: defects", table=bugs),
        ],
    )


def what_it_costs(data: QuarterData, currency: str) -> Section:
    """Cost to serve per segment, and what the strategies cost."""
    rows = []
    for row in data.rows_per_segment:
        if not row["accounts"]:
            continue
        share = None
        if row["cost_to_serve"] is not None and row["arr_reporting"]:
            share = float(row["cost_to_serve"]) / (float(row["arr_reporting"]) / 4)
        rows.append(
            (
                Cell(segment_words(row["segment"])),
                Cell(amount(row["arr_reporting"])),
                Cell(amount(row["cost_to_serve"])),
                Cell(percent(share)),
                Cell(amount(row["margin"])),
            )
        )
    table = Table(
        "Cost to serve per segment",
        (
            ("Segment", False),
            (f"Annual revenue, {currency}", True),
            (f"Cost of the quarter, {currency}", True),
            ("Of a quarter’s revenue", True),
            (f"Margin of the quarter, {currency}", True),
        ),
        rows,
        note="Cost: support and CSM hours at the policy’s rates. Margin: a quarter of the annual revenue times the "
        "policy’s gross margin, less that cost.",
    )
    spent = {row["subject"]: row for row in data.figures_of("cost", "spent")}
    savings = data.figures_of("cost", "saving")
    mix = Table(
        "What the strategies cost, and savings to look at",
        (("Strategy", False), ("Segment", False), (f"{currency}", True), ("Treated", True), ("Why", False)),
        [
            *(
                (
                    Cell(plain(name).capitalize()),
                    Cell("All: spent"),
                    Cell(amount(row["value"])),
                    Cell(NONE if row["accounts"] is None else f"{row['accounts']:,}"),
                    Cell(in_words(row["method"])),
                )
                for name, row in spent.items()
            ),
            *(
                (
                    Cell(plain(row["subject"]).capitalize()),
                    Cell(f"{segment_words(row['segment'])}: to save"),
                    Cell(amount(row["value"])),
                    Cell(NONE if row["accounts"] is None else f"{row['accounts']:,}"),
                    Cell(in_words(row["verdict"] or "")),
                )
                for row in savings
            ),
        ],
        empty="No strategy with a known outcome is on record.",
        note="A saving is a proposal to look at: no evidence of an effect is not evidence that there is none.",
    )
    return Section(
        "cost",
        "Cost",
        "What each segment costs beside what it pays",
        "",
        [Shown(table=table), Shown(heading="Strategies", table=mix)],
    )


def _behind(row: dict[str, Any] | None) -> int | None:
    """Accounts with a defect; None where defects are not known."""
    return None if row is None or row["defects"] is None else row["accounts"]
