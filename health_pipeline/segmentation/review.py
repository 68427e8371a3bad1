"""The whole quarterly review as one pure function: the fit, and everything that is asked of the segments."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.policy.documents import Document
from health_pipeline.policy.personas import PersonaPolicy
from health_pipeline.policy.segment_review import SegmentReviewPolicy
from health_pipeline.policy.segmentation import SegmentationPolicy
from health_pipeline.policy.team_segments import TeamSegmentsPolicy
from health_pipeline.segmentation.alignment import PersonaResult, align, alignment_figures, alignment_table
from health_pipeline.segmentation.candidates import Progress
from health_pipeline.segmentation.costs import SegmentCost, cost_by_segment, named_savings
from health_pipeline.segmentation.figures import Figure, figures_table, known
from health_pipeline.segmentation.model import SegmentModel
from health_pipeline.segmentation.new_dimensions import dimension_figures, segmentation_figures
from health_pipeline.segmentation.outcomes import OUTCOMES, RATES, Performance, SegmentOutcome, next_quarter
from health_pipeline.segmentation.quarterly import QuarterlyReview, review_quarter
from health_pipeline.segmentation.stability import OverTime, compare_over_time, stability_table
from health_pipeline.segmentation.strategies import StrategyResult, judge_strategies
from health_pipeline.segmentation.teams import TeamResult, reconcile, reconciliation_figures, reconciliation_table

NO_QUARTER_BEFORE = "no model of the quarter before: its outcomes and its stability are judged from the next quarter on"


@dataclass(frozen=True)
class ReviewInputs:
    """What a quarter's review reads; every frame as of its own time.

    Attributes
    ----------
    features : account_features_weekly of the quarter's last week
    before : the model that the quarter before recommended; None for the first
    features_before : account_features_weekly of the last week of the quarter before; empty for the first
    outcomes : account_outcomes_weekly of that week, with `days_to_churn` of accounts that churned
    treatments : strategies with arm, features and labels of the week before each assignment, as
        `strategies.judge_strategies` wants them but for `segment`
    """

    quarter: Quarter
    features: pd.DataFrame
    before: SegmentModel | None
    features_before: pd.DataFrame
    outcomes: pd.DataFrame
    treatments: pd.DataFrame


@dataclass(frozen=True)
class ReviewPolicies:
    """The documents that the review goes by."""

    segmentation: Document[SegmentationPolicy]
    review: Document[SegmentReviewPolicy]
    personas: Document[PersonaPolicy]
    teams: Document[TeamSegmentsPolicy]


@dataclass(frozen=True)
class SegmentationReview:
    """Everything the review found, for tables, reports and notebooks.

    Attributes
    ----------
    fit : candidates, recommended model, assignments
    over_time : None without a model of the quarter before
    performance : of the segments of the quarter before, in this quarter
    strategies, personas, teams, costs, figures : see their modules
    tables : the mart's tables by name, but segment_models, which is a registry
    """

    quarter: Quarter
    fit: QuarterlyReview
    over_time: OverTime | None
    performance: Performance
    strategies: tuple[StrategyResult, ...]
    personas: tuple[PersonaResult, ...]
    teams: tuple[TeamResult, ...]
    costs: dict[str, SegmentCost]
    figures: tuple[Figure, ...]
    tables: dict[str, pa.Table]


def review_segments(
    inputs: ReviewInputs, policies: ReviewPolicies, progress: Progress | None = None
) -> SegmentationReview:
    """Refit, and judge: stability, performance, actionability, personas, new dimensions, teams and cost.

    Parameters
    ----------
    inputs : what is known at the quarter's end
    policies : documents
    progress : told what is being worked on

    Raises
    ------
    ValueError
        As `quarterly.review_quarter`.
    """
    say = progress or (lambda _: None)
    fit = review_quarter(inputs.features, inputs.quarter, policies.segmentation, inputs.before, say)
    rows = inputs.features.sort_values("account_id", kind="stable").reset_index(drop=True)
    # Assignments are in the order of the account, as the sorted rows are.
    segment = pd.Series(fit.assignments["segment"].to_pylist(), index=rows.index, dtype=object)
    last_day = inputs.quarter.last_week.as_of_at.date()
    names = fit.fitted.names if fit.fitted is not None else ()
    over_time, performance, dimensions = _against_before(inputs, policies, fit, rows, say)
    say("strategies")
    treated = _with_segment(inputs)
    strategies = judge_strategies(treated, policies.review.model) if len(treated) else ()
    say("personas, teams, cost")
    personas = align(segment, rows, names, policies.personas.model, last_day)
    teams = reconcile(segment, rows, policies.teams.model, last_day)
    costs = cost_by_segment(segment, rows, policies.review.model.cost)
    if fit.fitted is not None:
        dimensions += segmentation_figures(fit.fitted, rows, policies.review.model, policies.segmentation.model)
    figures = [
        *performance.figures,
        *(figure for one in strategies for figure in one.figures),
        *dimensions,
        *alignment_figures(personas),
        *reconciliation_figures(teams),
        *named_savings(strategies, treated, policies.review.model),
    ]
    model_id = fit.model["segment_model_id"][0].as_py() if fit.model.num_rows else None
    stability = empty_table("segment_stability_quarterly")
    if fit.candidates is not None and fit.fitted is not None and model_id is not None:
        stability = stability_table(inputs.quarter, model_id, fit.fitted.names, fit.candidates.recommended, over_time)
    tables = {
        "segment_assignments_quarterly": fit.assignments,
        "segment_performance_quarterly": performance_table(fit, inputs, performance, costs),
        "segment_stability_quarterly": stability,
        "persona_alignment_quarterly": alignment_table(inputs.quarter, personas),
        "segment_reconciliation_quarterly": reconciliation_table(inputs.quarter, teams, segment, rows),
        "segment_figures_quarterly": figures_table(inputs.quarter, model_id, figures),
    }
    return SegmentationReview(
        inputs.quarter, fit, over_time, performance, strategies, personas, teams, costs, tuple(figures), tables
    )


def _against_before(
    inputs: ReviewInputs, policies: ReviewPolicies, fit: QuarterlyReview, rows: pd.DataFrame, say: Progress
) -> tuple[OverTime | None, Performance, list[Figure]]:
    if inputs.before is None or inputs.features_before.empty:
        return None, Performance((), (), NO_QUARTER_BEFORE), []
    earlier = inputs.features_before.sort_values("account_id", kind="stable").reset_index(drop=True)
    over_time = None
    if fit.fitted is not None:
        say("stability over time")
        over_time = compare_over_time(inputs.before, fit.fitted, earlier, rows, policies.segmentation.model)
    say("performance")
    by_account = earlier.set_index("account_id")
    segment = inputs.before.assign(earlier).set_axis(earlier["account_id"])["segment"]
    outcomes = inputs.outcomes.set_index("account_id") if len(inputs.outcomes) else pd.DataFrame()
    performance = next_quarter(segment, by_account, outcomes, policies.review.model)
    say("new dimensions")
    tested = [] if performance.reason else dimension_figures(segment, by_account, outcomes, policies.review.model)
    return over_time, performance, tested


def _with_segment(inputs: ReviewInputs) -> pd.DataFrame:
    """The treatments with the segment that the model of the quarter before gives each account as of its assignment."""
    if inputs.before is None or inputs.treatments.empty:
        return inputs.treatments.iloc[:0].assign(segment=pd.Series(dtype=object))
    return inputs.treatments.assign(segment=inputs.before.assign(inputs.treatments)["segment"])


def performance_table(
    fit: QuarterlyReview, inputs: ReviewInputs, performance: Performance, costs: dict[str, SegmentCost]
) -> pa.Table:
    """Rows of segment_performance_quarterly: the model's segments, then those of the last model that are no more."""
    schema = mart_tables()["segment_performance_quarterly"].arrow_schema
    by_name = {one.segment: one for one in performance.segments}
    rows = [
        row | _cost(costs.get(row["segment"])) | _outcome(by_name.pop(row["segment"], None), performance)
        for row in fit.performance.to_pylist()
    ]
    model_id = fit.model["segment_model_id"][0].as_py() if fit.model.num_rows else None
    for name, one in sorted(by_name.items()):
        gone: dict[str, Any] = {
            "quarter": inputs.quarter.first_day,
            "segment_model_id": model_id,
            "segment": name,
            "accounts": 0,
            "accounts_share": 0.0,
        }
        rows.append(gone | _cost(None) | _outcome(one, performance))
    return pa.Table.from_pylist(rows, schema=schema)


def _cost(cost: SegmentCost | None) -> dict[str, Any]:
    names = (
        "support_tickets", "meetings", "open_backlog", "support_hours", "csm_hours", "cost_to_serve", "margin"
    )  # fmt: skip
    return {name: None if cost is None else getattr(cost, name) for name in names}


def _outcome(one: SegmentOutcome | None, performance: Performance) -> dict[str, Any]:
    if one is None:
        return {"outcome_verdict": performance.reason or "no account was in it a quarter before"}
    row: dict[str, Any] = {"outcome_accounts": one.accounts, "outcome_verdict": one.verdict}
    for outcome in OUTCOMES:
        row[f"{outcome}_accounts"] = one.events[outcome]
        row |= _limits(RATES[outcome], one.rates[outcome])
    row |= _limits("gross_revenue_retention", one.gross_retention)
    return row | _limits("net_revenue_retention", one.net_retention)


def _limits(name: str, interval: Any) -> dict[str, float | Decimal | None]:
    if interval is None:
        return {}
    return {name: known(interval.value), f"{name}_low": known(interval.low), f"{name}_high": known(interval.high)}
