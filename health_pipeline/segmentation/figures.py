"""A figure of the quarterly review with everything a reader may ask of it, and the table of figures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import mart_tables
from health_pipeline.segmentation.methods.intervals import Interval

ALL = "all"


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes
    ----------
    analysis : performance, actionability, new_dimensions, reconciliation, personas or cost
    subject : what is judged: an outcome, a strategy, a dimension, a team, a persona, a saving
    segment : the segment, or `all`
    figure : its name
    value, low, high : the estimate with its interval; None where there is none
    accounts, events : what it rests on
    p_value, adjusted_p_value : None where nothing was tested
    method : how it was made, with its settings
    verdict : in words; None where the figure speaks for itself
    """

    analysis: str
    subject: str
    segment: str
    figure: str
    value: float | None
    method: str
    low: float | None = None
    high: float | None = None
    accounts: int | None = None
    events: int | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    verdict: str | None = None


def of_interval(
    analysis: str, subject: str, segment: str, figure: str, interval: Interval | None, method: str, **more: Any
) -> Figure:
    """A figure from an estimate with its interval; empty where it is None."""
    if interval is None:
        return Figure(analysis, subject, segment, figure, None, method, **more)
    return Figure(
        analysis, subject, segment, figure, interval.value, method, low=interval.low, high=interval.high, **more
    )


def with_adjusted(figures: Iterable[Figure], adjusted: Iterable[float]) -> list[Figure]:
    """The figures with their adjusted p-values, in the same order."""
    return [replace(one, adjusted_p_value=p) for one, p in zip(figures, adjusted, strict=True)]


def figures_table(quarter: Quarter, model_id: str | None, figures: Iterable[Figure]) -> pa.Table:
    """Rows of segment_figures_quarterly, in the order of its key.

    Raises
    ------
    ValueError
        If two figures have the same key.
    """
    schema = mart_tables()["segment_figures_quarterly"].arrow_schema
    rows: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for one in figures:
        key = (one.analysis, one.subject, one.segment, one.figure)
        if key in rows:
            raise ValueError(f"the figure {' / '.join(key)} was made twice")
        rows[key] = {
            "quarter": quarter.first_day,
            "segment_model_id": model_id,
            "analysis": one.analysis,
            "subject": one.subject,
            "segment": one.segment,
            "figure": one.figure,
            "value": known(one.value),
            "interval_low": known(one.low),
            "interval_high": known(one.high),
            "accounts": one.accounts,
            "events": one.events,
            "p_value": known(one.p_value),
            "adjusted_p_value": known(one.adjusted_p_value),
            "method": one.method,
            "verdict": one.verdict,
        }
    return pa.Table.from_pylist([rows[key] for key in sorted(rows)], schema=schema)


def known(value: float | None) -> float | None:
    """The number, or None where it is none or not finite: a table has no NaN."""
    return None if value is None or not math.isfinite(value) else float(value)
