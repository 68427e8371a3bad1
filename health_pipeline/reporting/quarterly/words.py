"""How the quarterly reports say a figure: segments, shares with their limits, names of figures, methods."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from health_pipeline.contract.clocks import Quarter
from health_pipeline.policy.features import features
from health_pipeline.policy.wording import readable
from health_pipeline.reporting.figures import DASH, HARD_SPACE, MINUS, UNKNOWN, day
from health_pipeline.reporting.tables import Cell

NONE = DASH
OUTCOMES = {"churned": "Left", "contracted": "Shrank", "expanded": "Grew"}
# What the methods are, for a reader who wants to look them up.
METHODS = {
    "Gap statistic": "Tibshirani, Walther, Hastie, JRSS B 63 (2001): is there more structure than in uniform data?",
    "Prediction strength": "Tibshirani, Walther, JCGS 14 (2005): does one half of the accounts tell who belongs "
    "together in the other? 1 is perfectly, 0.8 is asked for.",
    "Jaccard": "Hennig, CSDA 52 (2007): accounts are drawn anew and clustered anew; how much of a segment comes back. "
    "From 0.75 a segment is valid, from 0.85 highly stable.",
    "ARI, AMI": "Agreement of two divisions of the same accounts beyond chance; 1 is the same, 0 is chance.",
    "Population index": "How far a distribution moved. Small groups move by chance, so its chi-square limit stands "
    "beside it.",
    "Intervals": "Wilson (1927) for shares, Newcombe (1998) for differences, accounts resampled for revenue retention. "
    "95 %.",
    "Many tests": "Holm for the tests that were declared, Benjamini and Hochberg for looking around.",
}


def span_of(quarter: Quarter) -> str:
    """Write a quarter: `1 July – 30 September 2026`."""
    first, last = quarter.first_day, quarter.next.first_day - timedelta(days=1)
    start = day(first) if first.year != last.year else day(first).rsplit(" ", 1)[0]
    return f"{start} {DASH} {day(last)}"


def short_quarter(first_day: date) -> str:
    """Write a quarter for an axis: `Jul 2026`."""
    return f"{day(first_day).split()[1][:3]} {first_day.year}"


def in_words(text: str) -> str:
    """A sentence with every feature's column name in words."""
    return _NAMES.sub(lambda found: readable(found.group()), text)


_NAMES = re.compile(r"\b(" + "|".join(sorted(features(), key=len, reverse=True)) + r")\b")


def segment_words(name: str) -> str:
    """A segment's name with a capital letter, and no column name in it."""
    words = in_words(name)
    return words[:1].upper() + words[1:]


def plain(key: str) -> str:
    """A name of the policy in words: `executive_alignment` is `executive alignment`."""
    return key.replace("_", " ")


def percent(share: float | None, digits: int = 0) -> str:
    """Write a share; `unknown` for None."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f}{HARD_SPACE}%".replace("-", MINUS)


def points(share: float | None) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    return UNKNOWN if share is None else f"{100 * share:+.1f} points".replace("-", MINUS)


def number(value: float | None, digits: int = 2) -> str:
    """Write a number; `unknown` for None."""
    return UNKNOWN if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def value(of: float) -> str:
    """Write a feature's value in its own units: whole from 100 on."""
    return (f"{of:,.0f}" if abs(of) >= 100 else f"{of:,.3g}").replace("-", MINUS)


def p_value(value: float | None) -> str:
    """Write a p-value; a dash where nothing was tested."""
    return NONE if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def limits(low: float | None, high: float | None, digits: int = 0) -> str:
    """Write an interval of shares: `12 to 31 %`."""
    if low is None or high is None:
        return ""
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %".replace("-", MINUS)


def share_cell(row: dict[str, Any], column: str, digits: int = 0) -> Cell:
    """A share of a row with its interval under it."""
    value = row[column]
    if value is None:
        return Cell(UNKNOWN)
    return Cell(percent(value, digits), detail=limits(row[f"{column}_low"], row[f"{column}_high"], digits))


def figure_cell(row: dict[str, Any] | None, kind: str = "number") -> Cell:
    """A row's `value` with `interval_low` and `interval_high`: a number, a share or points."""
    if row is None or row["value"] is None:
        return Cell(NONE)
    low, high = row["interval_low"], row["interval_high"]
    if kind == "number":
        detail = f"{number(low)} to {number(high)}" if low is not None and high is not None else ""
        return Cell(number(row["value"]), detail=detail)
    text = points(row["value"]) if kind == "points" else percent(row["value"])
    if kind == "points":
        return Cell(text, detail=limits(low, high, 1).replace(" %", " points"))
    return Cell(text, detail=limits(low, high))
