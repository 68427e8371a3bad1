"""The quarterly reports' charts: profiles, figures over k, solution tree, migration flow, rates with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import numpy as np

from health_pipeline.reporting.charts import COLOUR, HALF, PAGE, Drawing, drawing_of
from health_pipeline.reporting.quarterly.tree import SolutionTree

Values = list[dict[str, Any]]
# Names are broken at their commas, so that a segment's name takes lines instead of width.
_BROKEN = "split(datum.label, ', ')"
_PERCENT = "round(datum.value * 100) + ' %'"
_GROUP_HEADER = alt.Header(
    title=None,
    labelOrient="top",
    labelAnchor="start",
    labelFontSize=12,
    labelFontWeight="bold",
    labelPadding=2,
    labelColor=COLOUR["--ink"],
)


def profiles(rows: Values, alternative: str) -> Drawing:
    """Bars from the quarter's mean, in standard deviations, per segment and dimension.

    `rows` have segment, dimension and level, in the order shown.
    """
    highest = max(0.6, *(abs(row["level"]) for row in rows)) * 1.08
    segments = list(dict.fromkeys(row["segment"] for row in rows))

    def draw(width: int) -> Any:
        scale = alt.Scale(domain=[-highest, highest], nice=False)
        x = alt.X(
            "level:Q",
            scale=scale,
            axis=alt.Axis(
                title="Standard deviations from the mean", tickCount=5, titlePadding=8, grid=True, domain=False
            ),
        )
        y = alt.Y("dimension:N", sort=None, axis=alt.Axis(title=None), scale=alt.Scale(paddingInner=0.3))
        bars = alt.Chart().mark_bar(stroke=None, color=COLOUR["--accent"]).encode(x=x, y=y)
        zero = alt.Chart().mark_rule(color=COLOUR["--ink-soft"]).encode(x=alt.datum(0, type="quantitative"))
        return (
            alt.layer(bars, zero, data=alt.Data(values=rows))
            .properties(width=width - 95, height=24 * len({row["dimension"] for row in rows}))
            .facet(row=alt.Row("segment:N", sort=segments, header=_GROUP_HEADER), spacing=12)
        )

    return drawing_of(draw, alternative, HALF)


def intervals(
    rows: Values, alternative: str, title: str, marks: Sequence[float] = (), of_shares: bool = True
) -> Drawing:
    """Points with intervals by label, one panel per group. Rows have group ('' for one panel), label, value, low, high.

    `marks` are thresholds, drawn as dashed lines. `of_shares` writes the axis in per cent.
    """
    labels = list(dict.fromkeys(row["label"] for row in rows))
    groups = list(dict.fromkeys(row["group"] for row in rows))
    lines = max(row["label"].count(", ") + 1 for row in rows)
    step = max(30, 15 * lines + 8)

    def draw(width: int) -> Any:
        y = alt.Y("label:N", sort=labels, axis=alt.Axis(title=None, labelExpr=_BROKEN, labelLimit=int(width * 0.45)))
        axis = alt.Axis(title=title, tickCount=4 if width < HALF else 5, titlePadding=8, grid=True, domain=False)
        if of_shares:
            axis.labelExpr = _PERCENT
        scale = alt.Scale(zero=of_shares and not marks, nice=True)
        base = alt.Chart().encode(y=y)
        limits = base.mark_rule(strokeWidth=3, opacity=0.5, color=COLOUR["--accent"]).encode(
            x=alt.X("low:Q", axis=axis, scale=scale), x2="high:Q"
        )
        points = base.mark_point(filled=True, size=95, opacity=1, color=COLOUR["--accent"]).encode(
            x=alt.X("value:Q", axis=axis, scale=scale)
        )
        layers: list[Any] = [
            alt.Chart()
            .mark_rule(color=COLOUR["--ink-soft"], strokeDash=[4, 3])
            .encode(x=alt.datum(m, type="quantitative"))
            for m in marks
        ]
        chart = alt.layer(*layers, limits, points, data=alt.Data(values=rows))
        chart = chart.properties(width=width - 150, height=step * len(labels))
        if groups == [""]:
            return chart
        return chart.facet(row=alt.Row("group:N", sort=groups, header=_GROUP_HEADER), spacing=14)

    return drawing_of(draw, alternative, HALF)


def over_k(rows: Values, gates: dict[str, float], alternative: str) -> Drawing:
    """Lines over the number of segments: rows have k, figure ('strength' or 'jaccard') and value."""
    colours = {"strength": COLOUR["--accent"], "jaccard": COLOUR["--at-risk"]}
    present = [name for name in colours if any(row["figure"] == name for row in rows)]
    scale = alt.Scale(domain=present, range=[colours[name] for name in present])
    dashes = alt.Scale(domain=present, range=[[1, 0] if name == "strength" else [5, 3] for name in present])

    def draw(width: int) -> Any:
        x = alt.X("k:O", axis=alt.Axis(title="Number of segments", labelAngle=0, titlePadding=8))
        y = alt.Y("value:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(title=None, tickCount=5, format=".1f"))
        base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=alt.Color("figure:N", scale=scale, legend=None))
        lines = base.mark_line(strokeWidth=2.25).encode(
            strokeDash=alt.StrokeDash("figure:N", scale=dashes, legend=None)
        )
        dots = base.mark_point(filled=True, size=55, opacity=1)
        rules = [
            alt.Chart(alt.Data(values=[{"value": gate}]))
            .mark_rule(color=colours[name], strokeDash=[2, 3], opacity=0.8)
            .encode(y="value:Q")
            for name, gate in gates.items()
            if name in present
        ]
        return alt.layer(*rules, lines, dots).properties(width=width - 30, height=230)

    return drawing_of(draw, alternative, HALF)


def solution_tree(tree: SolutionTree, chosen: int, alternative: str) -> Drawing:
    """Segments of each number of segments, and which accounts of one became part of which of the next."""
    places = {(node.k, node.place): (node.position, node) for node in tree.nodes}
    nodes = [
        {
            "k": node.k,
            "x": node.position,
            "share": node.share,
            "is_chosen": node.k == chosen,
            "text": f"{100 * node.share:.0f} %",
        }
        for node in tree.nodes
    ]
    links = [
        {
            "k": link.k,
            "x": places[link.k, link.place][0],
            "k2": link.k + 1,
            "x2": places[link.k + 1, link.into][0],
            "share": link.share,
        }
        for link in tree.links
    ]
    most = max(node.k for node in tree.nodes)

    def draw(width: int) -> Any:
        y_axis = alt.Axis(title="Segments", values=list(range(1, most + 1)), format="d", titlePadding=8, grid=False)
        y = alt.Y("k:Q", scale=alt.Scale(domain=[most + 0.3, 0.6], nice=False), axis=y_axis)
        x = alt.X("x:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=None)
        strokes = alt.StrokeWidth("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.6, 16]), legend=None)
        edges = (
            alt.Chart(alt.Data(values=links))
            .mark_rule(color=COLOUR["--accent-soft"], strokeCap="round")
            .encode(x=x, y=y, x2="x2:Q", y2="k2:Q", strokeWidth=strokes)
        )
        base = alt.Chart(alt.Data(values=nodes)).encode(x=x, y=y)
        dots = base.mark_point(filled=True, opacity=1).encode(
            size=alt.Size("share:Q", scale=alt.Scale(domain=[0, 1], range=[40, 500]), legend=None),
            color=alt.condition("datum.is_chosen", alt.value(COLOUR["--accent"]), alt.value(COLOUR["--not-scored"])),
        )
        words = base.mark_text(dy=-17, fontSize=11, color=COLOUR["--ink"]).encode(text="text:N")
        return alt.layer(edges, dots, words).properties(width=width - 40, height=58 * most)

    return drawing_of(draw, alternative, HALF)


def flow(rows: Values, before: Sequence[str], after: Sequence[str], alternative: str) -> Drawing:
    """Ribbons of accounts from the segments before (left) to those now (right); rows have before, after, accounts."""
    left = _stack(rows, "before", before)
    right = _stack(rows, "after", after)
    starts, ends = dict(left), dict(right)
    shapes: Values = []
    curve = np.linspace(0, 1, 25)
    eased = curve * curve * (3 - 2 * curve)
    for number, row in enumerate(sorted(rows, key=lambda r: (before.index(r["before"]), after.index(r["after"])))):
        a = starts[row["before"]]
        starts[row["before"]] = a + row["accounts"]
        row["_left"], row["_number"] = a, number
    for row in sorted(rows, key=lambda r: (after.index(r["after"]), before.index(r["before"]))):
        b = ends[row["after"]]
        ends[row["after"]] = b + row["accounts"]
        shapes += [
            {
                "flow": row["_number"],
                "t": float(t),
                "low": float(row["_left"] + (b - row["_left"]) * e),
                "high": float(row["_left"] + (b - row["_left"]) * e + row["accounts"]),
                "same": row["before"] == row["after"],
            }
            for t, e in zip(curve, eased, strict=True)
        ]
    labels = [
        {"side": side, "x": x, "y": top + size / 2, "label": f"{name} ({size:,})", "low": top, "high": top + size}
        for side, x, stacked, column in (("left", 0, left, "before"), ("right", 1, right, "after"))
        for name, top in stacked.items()
        if (size := sum(row["accounts"] for row in rows if row[column] == name))
    ]
    total = max(label["high"] for label in labels)

    def draw(width: int) -> Any:
        y = alt.Y("low:Q", scale=alt.Scale(domain=[total * 1.01, 0], nice=False, zero=False), axis=None)
        x = alt.X("t:Q", scale=alt.Scale(domain=[-0.01, 1.01], nice=False), axis=None)
        ribbons = (
            alt.Chart(alt.Data(values=shapes))
            .mark_area(opacity=0.6, stroke=None)
            .encode(
                x=x,
                y=y,
                y2="high:Q",
                detail="flow:N",
                color=alt.Color(
                    "same:N",
                    legend=None,
                    scale=alt.Scale(domain=[True, False], range=[COLOUR["--accent-soft"], COLOUR["--watch"]]),
                ),
            )
        )
        base = alt.Chart(alt.Data(values=labels))
        ends_of = base.mark_rule(strokeWidth=5, color=COLOUR["--accent"]).encode(
            x=alt.X("x:Q", scale=alt.Scale(domain=[-0.01, 1.01], nice=False), axis=None), y=y, y2="high:Q"
        )
        room = 135 if width < HALF else 230
        sides: tuple[tuple[str, Literal["left", "right"], int], ...] = (
            ("left", "right", -8),
            ("right", "left", 8),
        )
        texts = [
            base.transform_filter(f"datum.side == '{side}'")
            .transform_calculate(lines=_BROKEN)
            .mark_text(
                align=align, dx=shift, fontSize=12, lineHeight=14, limit=room, baseline="middle", color=COLOUR["--ink"]
            )
            .encode(x=alt.X("x:Q", axis=None), y=alt.Y("y:Q", axis=None), text="lines:N")
            for side, align, shift in sides
        ]
        return alt.layer(ribbons, ends_of, *texts).properties(
            width=width - 2 * room if width >= HALF else 90, height=300
        )

    return drawing_of(draw, alternative, PAGE)


def _stack(rows: Values, column: str, order: Sequence[str]) -> dict[str, float]:
    """Where each name starts, from the top, with a gap between names."""
    gap = sum(row["accounts"] for row in rows) * 0.09
    starts, at = {}, 0.0
    for name in order:
        size = sum(row["accounts"] for row in rows if row[column] == name)
        starts[name] = at
        at += size + (gap if size else 0)
    return starts
