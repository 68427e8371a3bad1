"""Whether a strategy works differently in different segments: that, and not different levels, makes them actionable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from health_pipeline.policy.segment_review import SegmentReviewPolicy, StrategyOutcome
from health_pipeline.segmentation.figures import ALL, Figure, of_interval, with_adjusted
from health_pipeline.segmentation.methods.doubly_robust import adjusted_effect, heterogeneity, mean_effect
from health_pipeline.segmentation.methods.intervals import Interval, newcombe
from health_pipeline.segmentation.methods.multiplicity import LEAST_ACCOUNTS, holm
from health_pipeline.segmentation.methods.treatment import SegmentCounts, count_arms, interaction, uplift
from health_pipeline.segmentation.outcomes import LABELS, numbers

HORIZON_DAYS = 91
DIFFERS, SAME = "works differently between segments", "no evidence that it works differently between segments"
CANNOT = "can't be judged"


@dataclass(frozen=True)
class StrategyResult:
    """One strategy.

    Attributes
    ----------
    is_randomised : chance decided about every account
    effect : over all accounts; adjusted where it is not randomised; None where it can't be judged
    raw : difference of the arms as they are
    by_segment : uplift by segment; None where an arm has fewer than 10 accounts
    p_interaction : that the effect is the same in every segment
    reason : why it can't be judged; None where it can
    """

    strategy: str
    is_randomised: bool
    accounts: int
    treated: int
    effect: Interval | None
    raw: Interval | None
    by_segment: dict[str, Interval | None]
    p_interaction: float | None
    reason: str | None
    figures: tuple[Figure, ...]


def judge_strategies(treated: pd.DataFrame, policy: SegmentReviewPolicy) -> tuple[StrategyResult, ...]:
    """Judge every strategy that was tried.

    Parameters
    ----------
    treated : one row per account and strategy with strategy, arm (treated or control), is_randomised, segment (by last
        quarter's frozen model on the features before the assignment), the labels and arr_start and arr_end of the 13
        weeks after, and the policy's covariates as of the assignment

    Returns
    -------
    tuple of StrategyResult
        By strategy; the interactions' p-values are Holm's over the strategies.
    """
    results = [_strategy(str(name), rows, policy) for name, rows in treated.groupby("strategy", sort=True)]
    adjusted = holm([one.p_interaction if one.p_interaction is not None else float("nan") for one in results])
    return tuple(_with_verdict(one, p, policy) for one, p in zip(results, adjusted, strict=True))


def happened(rows: pd.DataFrame, outcome: StrategyOutcome) -> pd.Series:
    """Whether the outcome came about, by row; NaN where it is not known."""
    label = rows[LABELS[outcome.outcome]].astype(object)
    found = label.where(label.notna(), np.nan).astype(float)
    if outcome.by and outcome.outcome != "churned":
        start, end = (pd.to_numeric(rows[name].astype(object), errors="coerce") for name in ("arr_start", "arr_end"))
        change = end / start - 1
        found = found.where(found != 1, (change.abs() >= outcome.by).astype(float).where(change.notna(), np.nan))
    return found


def _strategy(name: str, rows: pd.DataFrame, policy: SegmentReviewPolicy) -> StrategyResult:
    outcome = policy.strategies.outcome_of(name)
    rows = rows.assign(happened=happened(rows, outcome))
    rows = rows[rows["happened"].notna() & rows["arm"].isin(["treated", "control"])].reset_index(drop=True)
    on = rows["arm"].eq("treated").to_numpy()
    is_randomised = bool(len(rows)) and bool(rows["is_randomised"].eq(True).all())
    event = rows["happened"].to_numpy(float) == 1
    few = min(int(on.sum()), int((~on).sum()))
    if few < LEAST_ACCOUNTS:
        arm = "treated" if on.sum() < (~on).sum() else "control"
        reason = f"{few} {arm} accounts with a known outcome, {LEAST_ACCOUNTS} are needed in each arm"
        return StrategyResult(name, is_randomised, len(rows), int(on.sum()), None, None, {}, None, reason, ())
    raw = newcombe(int(event[on].sum()), int(on.sum()), int(event[~on].sum()), int((~on).sum()), policy.confidence)
    if is_randomised:
        return _randomised(name, rows, on, event, raw, policy)
    return _adjusted(name, rows, on, event, raw, policy)


def _randomised(
    name: str, rows: pd.DataFrame, on: np.ndarray, event: np.ndarray, raw: Interval, policy: SegmentReviewPolicy
) -> StrategyResult:
    counts = count_arms(rows["segment"].tolist(), on.tolist(), event.tolist())
    judged = [one for one in counts if min(one.treated, one.control) >= 10]
    by_segment = {one.segment: uplift(one, policy.confidence) if one in judged else None for one in counts}
    test = interaction(judged, policy.strategies.scale) if len(judged) > 1 else None
    method = _question(name, policy)
    figures = [of_interval("actionability", name, ALL, "uplift", raw, f"{method}; randomised; Newcombe's interval",
                           accounts=len(rows), events=int(event.sum()))]  # fmt: skip
    figures += [_uplift_figure(name, one, by_segment[one.segment], method) for one in counts]
    if test is not None:
        likelihood = f"{method}; likelihood-ratio test of a common effect, scale {test.scale}"
        figures.append(Figure("actionability", name, ALL, "interaction", test.chi_square, likelihood,
                              accounts=len(rows), p_value=test.p_value))  # fmt: skip
    p = None if test is None else test.p_value
    return StrategyResult(name, True, len(rows), int(on.sum()), raw, raw, by_segment, p, None, tuple(figures))


def _uplift_figure(name: str, counts: SegmentCounts, found: Interval | None, method: str) -> Figure:
    more: dict[str, Any] = {
        "accounts": counts.treated + counts.control,
        "events": counts.treated_events + counts.control_events,
    }
    if found is None:
        more["verdict"] = "fewer than 10 accounts in an arm"
    return of_interval("actionability", name, counts.segment, "uplift", found, f"{method}; Newcombe's interval", **more)


def _adjusted(
    name: str, rows: pd.DataFrame, on: np.ndarray, event: np.ndarray, raw: Interval, policy: SegmentReviewPolicy
) -> StrategyResult:
    columns = covariates(rows, policy)
    found = adjusted_effect(columns, on, event, policy.cross_validation_folds, policy.seed, policy.confidence)
    question = _question(name, policy)
    method = (
        f"{question}; not randomised: augmented inverse propensity weighting on "
        f"{', '.join(policy.strategies.covariates)}, {found.folds} folds, seed {found.seed}"
    )
    overlap = found.overlap
    figures = [
        of_interval("actionability", name, ALL, "raw_difference", raw, f"{question}; the arms as they are",
                    accounts=len(rows), events=int(event.sum())),
        Figure("actionability", name, ALL, "overlap_share", overlap.inside_share, f"{method}; within [.1, .9]",
               accounts=len(rows), verdict=overlap.reason),
        Figure("actionability", name, ALL, "largest_difference", overlap.largest_difference,
               "largest standardised difference of a covariate between the arms", accounts=len(rows)),
    ]  # fmt: skip
    by_segment: dict[str, Interval | None] = {}
    p = None
    if found.effect is not None:
        inside = rows.loc[found.inside, "segment"].to_numpy(object)
        enough = {name for name in set(inside) if (inside == name).sum() >= LEAST_ACCOUNTS}
        for segment in sorted(set(rows["segment"])):
            own = found.influence[inside == segment]
            by_segment[segment] = mean_effect(own, policy.confidence) if segment in enough else None
            figures.append(
                of_interval("actionability", name, segment, "uplift", by_segment[segment], method, accounts=len(own))
            )
        kept = np.isin(inside, list(enough))
        q, _, p_value = heterogeneity(found.influence[kept], inside[kept])
        p = p_value if np.isfinite(p_value) else None
        figures.append(of_interval("actionability", name, ALL, "uplift", found.effect, method, accounts=len(inside)))
        figures.append(Figure("actionability", name, ALL, "interaction", q, f"{method}; Cochran's Q", p_value=p))
    return StrategyResult(
        name, False, len(rows), int(on.sum()), found.effect, raw, by_segment, p, overlap.reason, tuple(figures)
    )


def covariates(rows: pd.DataFrame, policy: SegmentReviewPolicy) -> np.ndarray:
    """The policy's covariates as numbers; with the renewal's date comes whether it is within the 13 weeks looked at."""
    columns = numbers(rows, policy.strategies.covariates)
    if "days_to_renewal" in policy.strategies.covariates:
        until = pd.to_numeric(rows["days_to_renewal"].astype(object), errors="coerce")
        renews = (until <= HORIZON_DAYS).to_numpy(float)
        if renews.min(initial=1) < renews.max(initial=0):
            columns = np.column_stack([columns, renews])
    return columns


def _question(name: str, policy: SegmentReviewPolicy) -> str:
    outcome = policy.strategies.outcome_of(name)
    size = f" by at least {outcome.by:.0%}" if outcome.by else ""
    return f"share {outcome.outcome}{size} within 13 weeks, treated less control"


def _with_verdict(result: StrategyResult, adjusted: float, policy: SegmentReviewPolicy) -> StrategyResult:
    level = policy.strategies.significance
    differs = bool(np.isfinite(adjusted)) and adjusted < level
    verdict = f"{CANNOT}: {result.reason}" if result.reason else DIFFERS if differs else SAME
    method = f"Holm over the strategies at {level:g}; no evidence is not the same as an equal effect: see the intervals"
    figures = [with_adjusted([one], [adjusted])[0] if one.figure == "interaction" else one for one in result.figures]
    figures.append(
        Figure(
            "actionability", result.strategy, ALL, "verdict", None, method, accounts=result.accounts, verdict=verdict
        )
    )
    return StrategyResult(**{**result.__dict__, "figures": tuple(figures)})
