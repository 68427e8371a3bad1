"""What Dagster shows of a quarter's reports: numbers it plots over the quarters, and a small plot of stability."""

from __future__ import annotations

import base64

from health_pipeline.reporting.charts import MARKDOWN_LIMIT, sparkline_svg
from health_pipeline.reporting.quarterly.personas import CONTRADICTED, SUPPORTED, claims_of
from health_pipeline.reporting.quarterly.release_data import ALL, QuarterData
from health_pipeline.reporting.quarterly.words import short_quarter

# Figures of the whole solution that are drawn over the quarters, with their words.
DRAWN = {
    "prediction_strength": "Prediction strength",
    "ari": "Agreement with last quarter (ARI)",
    "kept_share": "Kept their segment",
}


def plotted(data: QuarterData) -> dict[str, float]:
    """Numbers of the quarter; what is not known is left out."""
    claims = [row["verdict"] for row in claims_of(data)]
    judged = [row for row in data.performance if row["outcome_verdict"] == "judged"]
    found: dict[str, float | None] = {
        "segments": len(data.names) or None,
        "claims supported": claims.count(SUPPORTED) if claims else None,
        "claims contradicted": claims.count(CONTRADICTED) if claims else None,
        "segments judged by outcomes": len(judged),
    }
    for figure, words in DRAWN.items():
        rows = [row for row in data.stability if row["segment"] == ALL and row["figure"] == figure]
        found[words.lower()] = rows[0]["value"] if rows else None
    jaccards = [row["value"] for row in data.stability_of("method", "jaccard") if row["value"] is not None]
    found["least stable segment"] = min(jaccards, default=None)
    return {name: value for name, value in found.items() if value is not None}


def stability_plot(data: QuarterData) -> str:
    """Lines of the stability figures over the quarters as Markdown that the UI shows; a sentence for fewer than two."""
    quarters = [day for day in data.quarters if day <= data.quarter.first_day]
    values = {(row["quarter"], row["figure"]): row["value"] for row in data.over_quarters}
    lines = []
    for figure, words in DRAWN.items():
        series = [values.get((day, figure)) for day in quarters]
        known = [value for value in series if value is not None]
        if len(known) < 2:
            continue
        svg = sparkline_svg(series).replace("currentColor", "#2467b3")
        encoded = base64.b64encode(svg.encode()).decode()
        lines.append(f"{words}: {known[-1]:.2f} ![{words}](data:image/svg+xml;base64,{encoded})")
    text = "\n\n".join(lines)
    while len(text) >= MARKDOWN_LIMIT:
        lines.pop()
        text = "\n\n".join(lines)
    return text or f"{short_quarter(data.quarter.first_day)} is the first quarter with these figures."
