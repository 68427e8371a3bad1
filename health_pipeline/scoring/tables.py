"""The room's rows in the mart's types: health, contributions, changes, movements, watermelons."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from health_pipeline.contract.clocks import Week, naive_utc
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.features import STATUSES
from health_pipeline.scoring import CODE_VERSION
from health_pipeline.scoring.changes import ScoreChange
from health_pipeline.scoring.families import Families
from health_pipeline.scoring.scorer import (
    MISSING,
    NOT_APPLICABLE,
    NOT_ON_CARD,
    Codes,
    Flags,
    Floats,
    HealthScorer,
    Judged,
)
from health_pipeline.scoring.tier_path import NO_TIER, NOT_SCORED, REASONS, TIERS, TierState, TierStep
from health_pipeline.scoring.watermelons import WATERMELON_REASONS


def week_table(name: str, columns: dict[str, Any], week: Week, known_at: datetime, rows: int) -> pa.Table:
    """Rows of one week with its clocks, in the contract's columns and types.

    Raises
    ------
    KeyError
        If a column of the contract is not given.
    """
    schema = mart_tables()[name].arrow_schema
    constants = {"week": week.monday, "as_of_at": naive_utc(week.as_of_at), "known_at": naive_utc(known_at)}
    arrays = []
    for field in schema:
        if field.name in constants:
            arrays.append(pa.repeat(pa.scalar(constants[field.name], field.type), rows))
        else:
            arrays.append(_array(columns[field.name], field.type, rows))
    return pa.Table.from_arrays(arrays, schema=schema)


def health_columns(
    scorer: HealthScorer, rows: pa.Table, judged: Judged, *, score: Floats, step: TierStep, before: TierState
) -> dict[str, Any]:
    """Columns of account_health_weekly that follow from the facts and the policy alone."""
    return {
        "score": score,
        "coverage": judged.weighed.coverage,
        "score_tier": names(step.score_tier, TIERS),
        "tier": names(step.state.tier, TIERS),
        "tier_reason": names(step.reason, REASONS),
        "pending_tier": names(step.state.pending, TIERS),
        "weeks_in_tier": step.state.weeks_in_tier,
        "healthy_weeks": step.state.healthy_weeks,
        "previous_tier": names(before.tier, TIERS),
        "scorecard": names(judged.scorecards, tuple(scorer.scorecards_)),
        "code_version": CODE_VERSION,
        **{name: rows[name] for name in COPIED},
    }


COPIED = ("account_id", "lifecycle_stage", "arr", "currency", "arr_reporting", "owner_email")


def family_columns(families: Families) -> dict[str, Any]:
    """The family's columns of account_health_weekly."""
    return {
        "family_id": families.ids,
        "family_accounts": families.accounts,
        "family_scored_accounts": families.scored_accounts,
        "family_score": families.score,
        "family_lowest_tier": names(families.lowest_tier, TIERS),
    }


def contribution_columns(
    scorer: HealthScorer, accounts: np.ndarray, judged: Judged, is_scored: Flags, tiers: TierState
) -> tuple[dict[str, Any], int]:
    """Columns of score_contributions_weekly, a row per account and measure of its scorecard; the rows."""
    on_card = judged.statuses != NOT_ON_CARD
    row, column = np.nonzero(on_card)
    measures = list(scorer.measures_.values())
    status = judged.statuses[on_card]
    raw = np.where(np.isin(status, (MISSING, NOT_APPLICABLE)), np.nan, judged.raw[on_card])
    contribution = np.where(is_scored[row], judged.weighed.contributions[on_card], np.nan)
    columns = {
        "account_id": _taken(accounts, row),
        "measure": _taken(list(scorer.measures_), column),
        "measure_group": _taken([measure.group for measure in measures], column),
        "feature": _taken([measure.feature for measure in measures], column),
        "raw_value": raw,
        "curve_value": judged.curve_values[on_card],
        "weight": judged.weighed.weights[on_card],
        "nominal_weight": judged.weighed.nominal_weights[on_card],
        "contribution": contribution,
        "status": _taken(STATUSES, status),
        "reference_curve_value": tiers.reference[on_card],
    }
    return columns, len(row)


def change_columns(
    scorer: HealthScorer, accounts: np.ndarray, score: Floats, before: Floats, change: ScoreChange
) -> dict[str, Any]:
    """Columns of score_changes_weekly."""
    return {
        "account_id": accounts,
        "score_before": before,
        "score_after": score,
        "score_change": change.change,
        "change_from_code": change.from_code,
        "change_from_policy": change.from_policy,
        "change_from_scorecard": change.from_scorecard,
        "change_from_coverage": change.from_coverage,
        "change_from_data": change.from_data,
        "not_split_reason": change.not_split,
        "main_driver": names(change.driver, tuple(scorer.measures_)),
        "main_driver_change": change.driver_change,
    }


def movement_names(tier: Codes, before: Codes) -> np.ndarray:
    """What moved, shape (n,); None where nothing did. `before` is NO_TIER for an account that is new."""
    moved = np.full(len(tier), None, dtype=object)
    scored, was_scored = tier != NOT_SCORED, before != NOT_SCORED
    moved[scored & was_scored & (tier > before)] = "up"
    moved[scored & was_scored & (tier < before)] = "down"
    moved[scored & ~was_scored] = "first_scored"
    moved[~scored & was_scored] = "lost_score"
    moved[before == NO_TIER] = "appeared"
    return moved


def watermelon_columns(holds: Flags) -> tuple[np.ndarray, list[str], Codes]:
    """The accounts that have a reason (positions), the reasons in words, and how many."""
    found = np.flatnonzero(holds.any(axis=1))
    words = [",".join(np.array(WATERMELON_REASONS)[row]) for row in holds[found]]
    return found, words, holds[found].sum(axis=1)


def names(codes: Codes, vocabulary: tuple[str, ...]) -> np.ndarray:
    """Codes as names, shape (n,); None where the code is negative."""
    return np.array([*vocabulary, None], dtype=object)[codes]


def _taken(values: Any, positions: np.ndarray) -> pa.Array:
    dictionary = pa.array(list(values), pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(positions, pa.int32()), dictionary).cast(pa.string())


def _array(value: Any, kind: pa.DataType, rows: int) -> pa.Array:
    if value is None or isinstance(value, str):
        return pa.repeat(pa.scalar(value, kind), rows)
    if isinstance(value, pa.ChunkedArray):
        return value.combine_chunks().cast(kind)
    if isinstance(value, pa.Array):
        return value.cast(kind)
    return pa.array(value, kind, from_pandas=True)
