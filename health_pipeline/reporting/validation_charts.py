"""The validation page's charts: gain curve, rates by tier, lead times. Static SVG, like the weekly report's."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from health_pipeline.policy.wording import TIER_WORDS
from health_pipeline.reporting.charts import COLOUR, HALF, Drawing, drawing_of
from health_pipeline.scoring.validation.assessment import Validation
from health_pipeline.scoring.validation.lead_time import LeadTimes

# Lines are told apart by their dashes too, not by colour alone.
LINES = {
    "score": ("--accent", [1, 0], 3.0, "The score", "Score"),
    "usage_change": ("--at-risk", [6, 3], 2.0, "Last month's change of usage", "Usage change"),
    "tenure_and_arr": ("--not-scored", [2, 3], 2.0, "Tenure and annual revenue", "Tenure, revenue"),
}
# Pixels the names on the left take: the drawing as a whole keeps its width, and its text its size.
_LABELS = 110
WARNINGS = {
    "all": ("--at-risk", "At risk, notices included"),
    "by_score": ("--accent", "At risk before or without a notice"),
    "stayers": ("--not-scored", "Those that stayed, same weeks"),
}


def gain_chart(found: Validation) -> Drawing:
    """Share of those that left found among the accounts looked at first, for score and baselines; chance is dotted."""
    gain = found.gain[found.gain["of"].isin(list(LINES))]
    present = [name for name in LINES if (gain["of"] == name).any()]
    scale = alt.Scale(domain=present, range=[COLOUR[LINES[name][0]] for name in present])
    dashes = alt.Scale(domain=present, range=[LINES[name][1] for name in present])
    sizes = alt.Scale(domain=present, range=[LINES[name][2] for name in present])

    def draw(width: int) -> alt.LayerChart:
        ticks = [0, 0.25, 0.5, 0.75, 1] if width < HALF else [0, 0.2, 0.4, 0.6, 0.8, 1]
        percent = "round(datum.value * 100) + ' %'"
        x = alt.X(
            "looked_at:Q",
            axis=alt.Axis(title="Accounts looked at, worst first", values=ticks, labelExpr=percent, titlePadding=8),
        )
        y = alt.Y("found:Q", axis=alt.Axis(title=None, values=ticks, labelExpr=percent))
        chance = pd.DataFrame({"looked_at": [0.0, 1.0], "found": [0.0, 1.0]})
        diagonal = alt.Chart(_values(chance)).mark_line(color=COLOUR["--line"], strokeWidth=1.5).encode(x=x, y=y)
        lines = (
            alt.Chart(_values(gain))
            .mark_line()
            .encode(
                x=x,
                y=y,
                color=alt.Color("of:N", scale=scale, legend=None),
                strokeDash=alt.StrokeDash("of:N", scale=dashes, legend=None),
                strokeWidth=alt.StrokeWidth("of:N", scale=sizes, legend=None),
            )
        )
        return (diagonal + lines).properties(width=width, height=280 if width >= HALF else 220)

    tenth = gain[(gain["of"] == "score") & (gain["looked_at"].round(2) == 0.2)]["found"]
    said = f"{100 * float(tenth.iloc[0]):.0f} percent of those that left" if len(tenth) else "no known share"
    return drawing_of(draw, f"Lines of the share of leavers found; the 20 percent lowest scores held {said}.", HALF)


def calibration_chart(found: Validation) -> Drawing:
    """Share that left by tier, each with its interval; the rate of all as a line."""
    tiers = found.calibrations["churned"].tiers
    overall = float(tiers["events"].sum() / tiers["readings"].sum())
    tiers = pd.DataFrame(tier_rows(found, "churned"))
    tiers = tiers[tiers["rate"].notna()]
    domain = list(dict.fromkeys(tiers["tier"]))
    colours = alt.Scale(domain=domain, range=[COLOUR["--" + tier.replace("_", "-")] for tier in domain])

    def draw(width: int) -> alt.LayerChart:
        base = alt.Chart(_values(tiers)).encode(
            y=alt.Y("label:N", sort=None, axis=alt.Axis(title=None, ticks=False, domain=False)),
            color=alt.Color("tier:N", scale=colours, legend=None),
        )
        axis = alt.Axis(
            title="Left within 13 weeks",
            labelExpr="round(datum.value * 100) + ' %'",
            tickCount=5,
            titlePadding=8,
            grid=True,
        )
        intervals = base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=alt.X("low:Q", axis=axis), x2="high:Q")
        points = base.mark_point(filled=True, size=110, opacity=1).encode(x="rate:Q")
        line = alt.Chart(_values(pd.DataFrame({"rate": [overall]}))).mark_rule(
            color=COLOUR["--ink-soft"], strokeDash=[3, 3]
        )
        return (line.encode(x="rate:Q") + intervals + points).properties(width=width - _LABELS, height=40 * len(tiers))

    words = ", ".join(f"{row['label'].lower()} {100 * row['rate']:.0f} percent" for row in tiers.to_dict("records"))
    return drawing_of(draw, f"Points with intervals of the share that left within 13 weeks: {words}.", HALF)


def tier_rows(found: Validation, outcome: str) -> list[dict[str, Any]]:
    """A row per tier with its words; at risk once more without those that had given notice."""
    calibration = found.calibrations[outcome]
    rows: list[dict[str, Any]] = [
        {**{str(name): value for name, value in row.items()}, "label": TIER_WORDS[row["tier"]]}
        for row in calibration.tiers.to_dict("records")
    ]
    if calibration.without_notice is not None:
        rows.insert(1, {**calibration.without_notice, "label": f"{TIER_WORDS['at_risk']}, no notice"})
    return rows


def lead_chart(found: Validation) -> Drawing:
    """Share of those that left that had been at risk so long before; the same of those that stayed beside it."""
    rows = lead_rows(found.leads, found.leads_by_score)
    rows["horizon"] = [f"{weeks} weeks before" for weeks in rows["weeks"]]
    kinds = list(WARNINGS)
    colours = alt.Scale(domain=kinds, range=[COLOUR[WARNINGS[kind][0]] for kind in kinds])

    def draw(width: int) -> alt.LayerChart:
        base = alt.Chart(_values(rows)).encode(
            y=alt.Y("horizon:N", sort=None, axis=alt.Axis(title=None, ticks=False, domain=False)),
            yOffset=alt.YOffset("kind:N", sort=kinds, scale=alt.Scale(paddingInner=0.25)),
        )
        axis = alt.Axis(
            title="Had been at risk at least so long before",
            labelExpr="round(datum.value * 100) + ' %'",
            tickCount=5,
            titlePadding=8,
            grid=True,
            domain=False,
        )
        bars = base.mark_bar(stroke=None).encode(
            x=alt.X("share:Q", axis=axis, scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("kind:N", scale=colours, legend=None),
        )
        limits = base.mark_rule(color=COLOUR["--ink"], strokeWidth=1.25).encode(x="low:Q", x2="high:Q")
        return (bars + limits).properties(width=width - _LABELS, height=76 * rows["horizon"].nunique())

    first = found.leads.seen[0]
    return drawing_of(
        draw,
        f"Bars by weeks before leaving: {first.seen} of {first.events} had been at risk at least {first.weeks} weeks "
        f"before, {found.leads_by_score.seen[0].seen} of them before or without a notice.",
        HALF,
    )


def lead_rows(every: LeadTimes, by_score: LeadTimes) -> pd.DataFrame:
    """Shares by horizon and kind of warning; a kind with too few events is left out."""
    rows = [
        (seen.weeks, kind, seen.share.value, seen.share.low, seen.share.high)
        for kind, leads in (("all", every), ("by_score", by_score))
        for seen in leads.seen
        if seen.share is not None
    ]
    stayers = [(seen.weeks, seen.stayers_share) for seen in every.seen if seen.share is not None]
    rows += [(weeks, "stayers", share, share, share) for weeks, share in stayers]
    return pd.DataFrame(rows, columns=["weeks", "kind", "share", "low", "high"]).sort_values("weeks", kind="stable")


def _values(frame: pd.DataFrame) -> alt.Data:
    return alt.Data(values=frame.to_dict("records"))
