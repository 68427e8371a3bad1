"""Charts as static SVG: the report's, drawn by Altair, and tiny ones for a table cell or the Dagster UI."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

from health_pipeline.policy.wording import TIER_WORDS
from health_pipeline.reporting.figures import short_day

TIERS: tuple[str, ...] = ("at_risk", "watch", "healthy", "expansion_ready", "not_scored")
# Told apart with every common colour blindness (a test simulates three); labels and signs say the same without colour.
TIER_COLOURS = {
    "at_risk": "#c2410c",
    "watch": "#e5a100",
    "healthy": "#0f8b6d",
    "expansion_ready": "#2467b3",
    "not_scored": "#8b929c",
}
MARKDOWN_LIMIT = 1000  # above it the Dagster UI hides Markdown behind a link

# Altair draws in these colours; they become CSS variables, so that light, dark and print each have their own.
_VARIABLES = {
    "#a00001": "--at-risk",
    "#a00002": "--watch",
    "#a00003": "--healthy",
    "#a00004": "--expansion-ready",
    "#a00005": "--not-scored",
    "#a00006": "--ink-soft",
    "#a00007": "--line",
    "#a00008": "--accent",
    "#a00009": "--accent-soft",
    "#a0000a": "--ink",
}
COLOUR = {variable: colour for colour, variable in _VARIABLES.items()}
_TIER_DRAWN = {tier: COLOUR["--" + tier.replace("_", "-")] for tier in TIERS}
# Widths drawn: the whole page, half of it, a phone. Text keeps its size by drawing anew, not by scaling down.
PAGE, HALF, PHONE = 960, 500, 330


_SHORT_NUMBER = "datum.value == 0 ? '0' : replace(format(datum.value, '~s'), 'k', ' k')"


@dataclass(frozen=True)
class Drawing:
    """A chart in two widths, with what it says in words.

    Attributes
    ----------
    wide, narrow : SVG elements without any reference to the outside
    alternative : the text for those who do not see it
    """

    wide: Markup
    narrow: Markup
    alternative: str


def tier_trend(weeks: Sequence[date], counts: Mapping[tuple[date, str], int]) -> Drawing:
    """Stacked columns of accounts per tier over the weeks; at risk stands on the axis, so that it can be compared."""
    rows = [
        {
            "week": str(week),
            "label": short_day(week),
            "tier": tier,
            "order": order,
            "accounts": counts.get((week, tier), 0),
        }
        for week in weeks
        for order, tier in enumerate(TIERS)
    ]

    def draw(width: int) -> alt.Chart:
        return (
            alt.Chart(alt.Data(values=rows))
            .mark_bar(stroke=None, cornerRadius=0)
            .encode(
                x=alt.X("week:N", axis=_week_axis(weeks, width), scale=alt.Scale(paddingInner=0.22), sort=None),
                y=alt.Y(
                    "accounts:Q",
                    axis=alt.Axis(title=None, tickCount=4, format=",.0f"),
                    scale=alt.Scale(nice=False),
                ),
                color=_tier_colour(),
                order=alt.Order("order:Q"),
            )
            .properties(width=width, height=230 if width < PAGE else 260)
        )

    first, last = weeks[0], weeks[-1]
    risk = [counts.get((week, "at_risk"), 0) for week in (first, last)]
    return drawing_of(
        draw,
        f"Columns of accounts by tier for {len(weeks)} weeks. At risk: {risk[0]} in the week of {short_day(first)}, "
        f"{risk[1]} in the week of {short_day(last)}.",
    )


def revenue_at_risk(weeks: Sequence[date], revenue: Mapping[date, float], currency: str) -> Drawing:
    """A line of the revenue of the at-risk accounts over the weeks."""
    rows = [{"week": str(week), "revenue": revenue[week]} for week in weeks if week in revenue]

    def draw(width: int) -> alt.LayerChart:
        base = alt.Chart(alt.Data(values=rows)).encode(
            x=alt.X("week:N", axis=_week_axis(weeks, width), scale=alt.Scale(padding=0.4), sort=None),
            y=alt.Y(
                "revenue:Q",
                axis=alt.Axis(title=None, tickCount=4, labelExpr=_SHORT_NUMBER),
                scale=alt.Scale(zero=True, nice=True),
            ),
        )
        line = base.mark_line(color=COLOUR["--at-risk"], strokeWidth=2.25)
        dots = base.mark_point(color=COLOUR["--at-risk"], filled=True, size=26, opacity=1)
        return (line + dots).properties(width=width, height=190)

    values = [row["revenue"] for row in rows]
    return drawing_of(
        draw,
        f"Line of the annual revenue of at-risk accounts: {currency} {values[0]:,.0f} at first, "
        f"{currency} {values[-1]:,.0f} now.",
        HALF,
    )


def score_shape(scores: Sequence[tuple[float, str]]) -> Drawing:
    """Columns of accounts by score in steps of five, coloured by tier."""
    bins: dict[tuple[int, str], int] = {}
    for score, tier in scores:
        key = (min(int(score // 5) * 5, 95), tier)
        bins[key] = bins.get(key, 0) + 1
    rows = [
        {"from": start, "to": start + 5, "tier": tier, "order": TIERS.index(tier), "accounts": count}
        for (start, tier), count in sorted(bins.items())
    ]

    def draw(width: int) -> alt.Chart:
        return (
            alt.Chart(alt.Data(values=rows))
            .mark_bar(stroke=None, binSpacing=1.5)
            .encode(
                x=alt.X(
                    "from:Q",
                    bin="binned",
                    axis=alt.Axis(title="Score, 0 to 100", values=[0, 20, 40, 60, 80, 100], titlePadding=8, grid=False),
                    scale=alt.Scale(domain=[0, 100], nice=False),
                ),
                x2="to:Q",
                y=alt.Y("accounts:Q", axis=alt.Axis(title=None, tickCount=4, format=",.0f", tickMinStep=1)),
                color=_tier_colour(),
                order=alt.Order("order:Q"),
            )
            .properties(width=width, height=190)
        )

    below = sum(score < 50 for score, _ in scores)
    return drawing_of(draw, f"Columns of {len(scores)} scored accounts by score; {below} are below 50.", HALF)


def capacity_by_owner(owners: Sequence[tuple[str, float, float]]) -> Drawing:
    """Bars of hours per owner: what fits into the capacity, and what falls below the line.

    Parameters
    ----------
    owners : (label, hours within capacity, hours below the line), in the order shown
    """
    rows = [
        {"owner": label, "part": part, "order": order, "hours": hours}
        for label, within, below in owners
        for order, (part, hours) in enumerate((("within", within), ("below", below)))
    ]
    colours = [COLOUR["--accent"], COLOUR["--accent-soft"]]

    def draw(width: int) -> alt.Chart:
        return (
            alt.Chart(alt.Data(values=rows))
            .mark_bar(stroke=None)
            .encode(
                y=alt.Y(
                    "owner:N",
                    sort=None,
                    axis=alt.Axis(title=None, ticks=False, domain=False, labelLimit=int(width * 0.3)),
                    scale=alt.Scale(paddingInner=0.35),
                ),
                x=alt.X("hours:Q", axis=alt.Axis(title="Hours", tickCount=5, titlePadding=8, grid=True, domain=False)),
                color=alt.Color("part:N", scale=alt.Scale(domain=["within", "below"], range=colours), legend=None),
                order=alt.Order("order:Q"),
            )
            .properties(width=width, height=max(60, 24 * len(owners)))
        )

    below = sum(hours for _, _, hours in owners)
    return drawing_of(draw, f"Bars of hours for {len(owners)} owners; {below:,.0f} hours are below the line.")


def _week_axis(weeks: Sequence[date], width: int) -> alt.Axis:
    step = max(1, -(-len(weeks) * 46 // width))
    # Counted from the newest week, which always has its label.
    shown = [str(week) for week in weeks[::-1][::step]]
    names = "{" + ",".join(f"'{week}':'{short_day(week)}'" for week in weeks) + "}"
    return alt.Axis(
        title=None, values=shown, labelExpr=f"{names}[datum.value]", labelAngle=0, ticks=False, labelPadding=8
    )


def _tier_colour() -> alt.Color:
    return alt.Color(
        "tier:N", scale=alt.Scale(domain=list(TIERS), range=[_TIER_DRAWN[tier] for tier in TIERS]), legend=None
    )


def drawing_of(draw: Callable[[int], Any], alternative: str, width: int = PAGE) -> Drawing:
    """Draw a chart in the page's width and a phone's; `draw` takes the width, `COLOUR` has the page's colours."""
    return Drawing(_svg(draw(width)), _svg(draw(PHONE)), alternative)


def _svg(chart: Any) -> Markup:
    configured = (
        chart.configure(font="Arial", background="transparent", padding={"left": 2, "right": 6, "top": 6, "bottom": 2})
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=COLOUR["--ink-soft"],
            titleColor=COLOUR["--ink-soft"],
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            gridColor=COLOUR["--line"],
            domainColor=COLOUR["--line"],
            tickColor=COLOUR["--line"],
        )
        .configure_axisX(grid=False)
        .configure_axisY(domain=False, ticks=False, labelPadding=8)
    )
    return inlined(vl_convert.vegalite_to_svg(configured.to_dict()))


def inlined(svg: str) -> Markup:
    """Make an SVG part of the page: colours by variable, the page's font, no size, role or name of its own.

    The figure around it carries the text alternative, so the marks' own roles would be read out twice.
    """
    found = re.search(r'viewBox="([^"]+)"', svg)
    box = found.group(1) if found else "0 0 100 100"
    body = svg[svg.index(">") + 1 :]
    for colour, variable in _VARIABLES.items():
        body = body.replace(f'"{colour}"', f'"var({variable})"')
    body = re.sub(r' (?:aria-[a-z]+|role|class|font-family|pointer-events)="[^"]*"', "", body)
    body = re.sub(r'<rect [^>]*fill="transparent"/>', "", body)
    # Vega draws empty frames for every group; the page needs none of them.
    body = re.sub(r'<path d="(?:M0,0h0v0h0Z)?"(?: display="none")?/>', "", body)
    width, height = box.split()[2:]
    return Markup(  # noqa: S704  drawn from numbers; labels were escaped by the SVG writer
        f'<svg viewBox="{box}" style="aspect-ratio:{width}/{height}" focusable="false">{body}'
    )


def sparkline_svg(values: Sequence[float | None], width: int = 96, height: int = 24) -> str:
    """Draw a few values as a line with a dot on the last one.

    Parameters
    ----------
    values : in order; None leaves a gap in time, the line goes on
    width, height : pixels

    Returns
    -------
    str
        An SVG element in the text colour around it; an empty one where there is no value.
    """
    known = [(index, float(value)) for index, value in enumerate(values) if value is not None]
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    if not known:
        return start + "</svg>"
    low, high = min(value for _, value in known), max(value for _, value in known)
    last = max(len(values) - 1, 1)

    def place(index: int, value: float) -> tuple[float, float]:
        across = 3 + (width - 6) * index / last
        # A flat line runs through the middle.
        up = 0.5 if high == low else (value - low) / (high - low)
        return round(across, 1), round(height - 3 - (height - 6) * up, 1)

    points = [place(index, value) for index, value in known]
    line = " ".join(f"{x:g},{y:g}" for x, y in points)
    x, y = points[-1]
    return (
        f'{start}<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5" '
        f'stroke-linejoin="round"/><circle cx="{x:g}" cy="{y:g}" r="2.2" fill="currentColor"/></svg>'
    )


def tier_plot_markdown(weeks: Sequence[date], counts: Mapping[str, Sequence[int]]) -> str:
    """Draw the tiers over the weeks for the Dagster UI, which shows an SVG as a data URI and strips HTML.

    Parameters
    ----------
    weeks : in order
    counts : tier to accounts, one number per week

    Returns
    -------
    str
        Markdown of fewer than 1,000 characters; older weeks are left out until it fits. Empty without a week.
    """
    words = ", ".join(f"{TIER_WORDS[tier].lower()} {counts[tier][-1]}" for tier in TIERS if counts.get(tier))
    for kept in range(min(len(weeks), 26), 0, -1):
        svg = _tier_lines({tier: list(counts[tier])[-kept:] for tier in TIERS if counts.get(tier)})
        encoded = base64.b64encode(svg.encode()).decode()
        text = f"![{words}](data:image/svg+xml;base64,{encoded})\n\n{short_day(weeks[-1])}: {words}"
        if len(text) < MARKDOWN_LIMIT:
            return text
    return ""


def _tier_lines(counts: Mapping[str, Sequence[int]]) -> str:
    highest = max((max(values) for values in counts.values()), default=0) or 1
    lines = []
    for tier, values in counts.items():
        step = 200 / max(len(values) - 1, 1)
        points = " ".join(f"{index * step:.0f},{58 - 56 * value / highest:.0f}" for index, value in enumerate(values))
        lines.append(f'<polyline stroke="{TIER_COLOURS[tier]}" points="{points}"/>')
    body = "".join(lines)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="120" viewBox="0 0 200 60">'
        f'<g fill="none" stroke-width="1.5">{body}</g></svg>'
    )
