"""What became of each segment's accounts in the next quarter: segments frozen before it, outcomes not clustered on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from health_pipeline.policy.segment_review import SegmentReviewPolicy
from health_pipeline.segmentation.figures import ALL, Figure, of_interval, with_adjusted
from health_pipeline.segmentation.methods.intervals import Interval, newcombe, ratio_of_sums, wilson
from health_pipeline.segmentation.methods.multiplicity import (
    LEAST_ACCOUNTS,
    LEAST_EVENTS,
    NOT_ENOUGH,
    benjamini_hochberg,
    cohens_h,
    g_test,
    holm,
    is_enough,
)
from health_pipeline.segmentation.methods.predictive import segment_power
from health_pipeline.segmentation.methods.reconciliation import cramers_v
from health_pipeline.segmentation.methods.survival import hazard_ratios, log_rank

OUTCOMES = ("churned", "contracted", "expanded")
LABELS = {"churned": "has_churned_13w", "contracted": "has_contracted_13w", "expanded": "has_expanded_13w"}
RATES = {"churned": "churn_rate", "contracted": "contraction_rate", "expanded": "expansion_rate"}
JUDGED = "judged"


@dataclass(frozen=True)
class SegmentOutcome:
    """One segment's next quarter.

    Attributes
    ----------
    accounts : whose churn is known
    events, rates : by outcome, of the accounts of which that is known; a rate is None where it is of none
    gross_retention, net_retention : None where no revenue is known
    verdict : judged, or not enough events (under 30 accounts, or under 5 events of every kind)
    """

    segment: str
    accounts: int
    events: dict[str, int]
    rates: dict[str, Interval | None]
    gross_retention: Interval | None
    net_retention: Interval | None
    verdict: str


@dataclass(frozen=True)
class Performance:
    """Segments in the order of the model, and the figures that compare them. `reason` says why there are none."""

    segments: tuple[SegmentOutcome, ...]
    figures: tuple[Figure, ...]
    reason: str | None


def next_quarter(
    segment: pd.Series, features: pd.DataFrame, outcomes: pd.DataFrame, policy: SegmentReviewPolicy
) -> Performance:
    """Judge segments by what happened in the 13 weeks after they were frozen.

    Parameters
    ----------
    segment : by account, as of the end of the quarter before
    features : account_features_weekly of that week by account (index)
    outcomes : account_outcomes_weekly of that week by account (index), with `days_to_churn` where it is known
    policy : confidence, resamples, seeds

    Returns
    -------
    Performance
    """
    both = pd.DataFrame({"segment": segment}).join(outcomes, how="inner").join(features, rsuffix="_feature", how="left")
    if both.empty:
        return Performance((), (), "the 13 weeks after the quarter before are not over, or no outcome is known of them")
    for label in LABELS.values():
        both[label] = both[label].astype(object).where(both[label].notna(), np.nan).astype(float)
    both = both[both[LABELS["churned"]].notna()]
    if both.empty:
        return Performance((), (), "no account's outcome is known: subscriptions are not connected")
    segments = tuple(_segment(name, rows, policy) for name, rows in both.groupby("segment", sort=False))
    figures = [*_rate_tests(both), *_against_rest(both, policy), *_time_to_churn(both), *_power(both, policy)]
    return Performance(segments, tuple(figures), None)


def _segment(name: Any, rows: pd.DataFrame, policy: SegmentReviewPolicy) -> SegmentOutcome:
    n = len(rows)
    events = {outcome: int(rows[label].sum()) for outcome, label in LABELS.items()}
    start, end = _revenue(rows)
    known = ~np.isnan(start) & ~np.isnan(end) & (start > 0)
    gross = net = None
    if known.any():
        settings = (policy.bootstrap_resamples, policy.seed, policy.confidence)
        gross = ratio_of_sums(np.minimum(start, end)[known], start[known], *settings)
        net = ratio_of_sums(end[known], start[known], *settings)
    return SegmentOutcome(
        segment=str(name),
        accounts=n,
        events=events,
        rates={
            outcome: wilson(events[outcome], int(rows[label].notna().sum()), policy.confidence)
            if rows[label].notna().any()
            else None
            for outcome, label in LABELS.items()
        },
        gross_retention=gross,
        net_retention=net,
        verdict=JUDGED if is_enough(n, max(events.values())) else NOT_ENOUGH,
    )


def _revenue(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """ARR before and after in the reporting currency, both by the rate before: a currency's move is no retention."""
    start, end, reporting = (
        pd.to_numeric(rows[name].astype(object).where(rows[name].notna(), np.nan), errors="coerce").to_numpy(float)
        for name in ("arr_start", "arr_end", "arr_reporting")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return reporting, np.where(start > 0, end / start * reporting, np.nan)


def _rate_tests(both: pd.DataFrame) -> list[Figure]:
    """Whether the segments' rates differ, one declared test per outcome: effect size first, Holm over the three."""
    found = []
    for outcome, label in LABELS.items():
        counts = both.groupby("segment")[label].agg(["sum", "count"]).rename(columns={"count": "size"})
        judged = counts[[is_enough(int(n), int(e)) for e, n in zip(counts["sum"], counts["size"], strict=True)]]
        least = f"{LEAST_ACCOUNTS} accounts and {LEAST_EVENTS} events"
        method = f"G test and bias-corrected Cramer's V over segments with {least}; Holm over the outcomes"
        n, e = int(judged["size"].sum()), int(judged["sum"].sum())
        if len(judged) < 2:
            found.append(
                Figure("performance", outcome, ALL, "cramers_v", None, method, accounts=n, events=e, verdict=NOT_ENOUGH)
            )
            continue
        events, rows = judged["sum"].to_numpy(float), judged["size"].to_numpy(float)
        effect = cramers_v(np.column_stack([events, rows - events]))
        p = g_test(events.astype(int).tolist(), rows.astype(int).tolist())[2]
        found.append(Figure("performance", outcome, ALL, "cramers_v", effect, method, accounts=n, events=e, p_value=p))
    adjusted = holm([one.p_value if one.p_value is not None else float("nan") for one in found])
    return [
        one if one.p_value is None else with_adjusted([one], [p])[0] for one, p in zip(found, adjusted, strict=True)
    ]


def _against_rest(both: pd.DataFrame, policy: SegmentReviewPolicy) -> list[Figure]:
    """Each segment against all others, outcome by outcome: exploration, so Benjamini-Hochberg."""
    found: list[Figure] = []
    p_values: list[float] = []
    names = [str(name) for name in both["segment"].unique()]
    for outcome, label in LABELS.items():
        for name in names if len(names) > 1 else []:
            is_own, values = both["segment"] == name, both[label]
            own, rest = values[is_own].dropna(), values[~is_own].dropna()
            if own.empty or rest.empty:
                continue
            events, others = int(own.sum()), int(rest.sum())
            more: dict[str, Any] = {"accounts": len(own), "events": events}
            h = cohens_h(events / len(own), others / len(rest))
            enough = is_enough(len(own), events)
            more["verdict"] = None if enough else NOT_ENOUGH
            p = g_test([events, others], [len(own), len(rest)])[2] if enough else float("nan")
            p_values.append(p)
            difference = newcombe(events, len(own), others, len(rest), policy.confidence)
            method = "share less that of all other accounts, Newcombe's interval; G test, Benjamini-Hochberg over all"
            found.append(
                of_interval("performance", outcome, name, "difference_to_rest", difference, method, p_value=p, **more)
            )
            found.append(
                Figure(
                    "performance", outcome, name, "cohens_h", h, "arcsine difference to all others (Cohen 1988)", **more
                )
            )
    adjusted = benjamini_hochberg(p_values) if p_values else ()
    tested = with_adjusted([one for one in found if one.figure == "difference_to_rest"], adjusted)
    return [*tested, *(one for one in found if one.figure != "difference_to_rest")]


def _time_to_churn(both: pd.DataFrame) -> list[Figure]:
    """Age at churn by segment; accounts enter at their age when the quarter began, so nobody counts before it."""
    method = "log-rank on account age, left truncated at the quarter's start"
    age = pd.to_numeric(both["account_tenure_days"].astype(object), errors="coerce")
    rows = both[age.notna() & (both["segment"].map(both["segment"].value_counts()) >= LEAST_ACCOUNTS)]
    entry = age[rows.index].to_numpy(float)
    churned = rows[LABELS["churned"]].to_numpy(float)
    lasted = rows["days_to_churn"] if "days_to_churn" in rows else pd.Series(np.nan, index=rows.index)
    lasted = pd.to_numeric(lasted, errors="coerce").clip(lower=1, upper=91)
    exit_time = entry + np.where(churned == 1, lasted.fillna(45.5), 91.0)
    names = rows["segment"].to_numpy(object)
    events = pd.Series(churned).groupby(pd.Series(names)).sum()
    total = int(churned.sum())
    if len(events) < 2 or (events < LEAST_EVENTS).any():
        return [Figure("performance", "time_to_churn", ALL, "log_rank", None, method, accounts=len(rows), events=total,
                       verdict=NOT_ENOUGH)]  # fmt: skip
    test = log_rank(entry, exit_time, churned, names)
    found = [Figure("performance", "time_to_churn", ALL, "log_rank", test.chi_square, method, accounts=len(rows),
                    events=total, p_value=test.p_value)]  # fmt: skip
    for ratio in hazard_ratios(entry, exit_time, churned, names):
        cox = f"Cox, left truncated, Efron's ties, against {ratio.reference}"
        found.append(of_interval("performance", "time_to_churn", ratio.segment, "hazard_ratio", ratio.ratio, cox,
                                 accounts=ratio.accounts, events=ratio.events, p_value=ratio.p_value))  # fmt: skip
    return found


def numbers(features: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """Features as numbers, shape (n, columns): the median for unknown ones, with a column that says so where any is."""
    columns = []
    for name in names:
        values = pd.to_numeric(features[name].astype(object), errors="coerce").astype(float)
        if values.notna().any() and values.nunique() > 1:
            columns.append(values.fillna(values.median()).to_numpy())
            if values.isna().any():
                columns.append(values.isna().to_numpy().astype(np.float64))
    return np.column_stack(columns) if columns else np.empty((len(features), 0))


def _power(both: pd.DataFrame, policy: SegmentReviewPolicy) -> list[Figure]:
    found: list[Figure] = []
    for outcome, label in LABELS.items():
        rows = both[both[label].notna()]
        event, columns = rows[label].to_numpy(float), numbers(rows, policy.individual_features)
        rarer = int(min(event.sum(), len(event) - event.sum()))
        method = (
            f"{policy.cross_validation_repeats} x {policy.cross_validation_folds} folds, seed {policy.seed}; "
            f"the ceiling is a logistic model of {len(policy.individual_features)} features"
        )
        more: dict[str, Any] = {"accounts": len(event), "events": int(event.sum())}
        if (
            rarer < max(LEAST_EVENTS, policy.cross_validation_folds)
            or columns.shape[1] == 0
            or rows["segment"].nunique() < 2
        ):
            found.append(Figure("performance", outcome, ALL, "auc_segments", None, method, verdict=NOT_ENOUGH, **more))
            continue
        power = segment_power(
            rows["segment"].to_numpy(object), columns, event,
            policy.cross_validation_folds, policy.cross_validation_repeats, policy.seed,
        )  # fmt: skip
        names = ("auc_segments", "auc_individual", "log_loss_base", "log_loss_segments", "log_loss_individual")
        found += [Figure("performance", outcome, ALL, name, getattr(power, name), method, **more) for name in names]
        gap = power.log_loss_gap
        corrected = f"{method}; Nadeau-Bengio"
        found.append(of_interval("performance", outcome, ALL, "log_loss_gap", gap.difference, corrected,
                                 p_value=gap.p_value, **more))  # fmt: skip
    return found
