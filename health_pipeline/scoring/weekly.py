"""Scores the weeks of a run in order: scores, contributions, changes, tier movements, watermelons."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.policy.documents import Document
from health_pipeline.policy.health_score import HealthScorePolicy
from health_pipeline.policy.kept import JudgingPolicy
from health_pipeline.scoring import tables
from health_pipeline.scoring.changes import ScoreChange, split_change
from health_pipeline.scoring.conditions import condition_features, meets
from health_pipeline.scoring.families import Families, roll_up
from health_pipeline.scoring.overrides import override_columns, override_frame
from health_pipeline.scoring.scorer import Codes, Flags, Floats, HealthScorer, Judged, as_floats
from health_pipeline.scoring.state import AccountsBefore, PreviousWeek, read_previous
from health_pipeline.scoring.tier_path import REASONS, TIERS, TierState, TierStep, step_tiers
from health_pipeline.scoring.watermelons import watermelon_reasons

__all__ = ["PreviousWeek", "ScoredWeeks", "policy_version", "score_weeks"]

UNSEGMENTED = "unsegmented"


@dataclass(frozen=True)
class ScoredWeeks:
    """The run's weeks in the mart's types, ordered by week and account."""

    health: pa.Table
    contributions: pa.Table
    changes: pa.Table
    movements: pa.Table
    watermelons: pa.Table


@dataclass(frozen=True)
class _Run:
    """What is the same in every week of the run."""

    scorer: HealthScorer
    company: CompanyPolicy
    version: str
    features: pa.Table
    segments: pd.DataFrame
    overrides: pd.DataFrame


@dataclass(frozen=True)
class _JudgedWeek:
    """One week's accounts after the step: inputs and outcomes, rows by account."""

    week: Week
    rows: pa.Table
    positions: Codes
    judged: Judged
    is_scored: Flags
    score: Floats
    step: TierStep
    families: Families
    before: TierState
    change: ScoreChange
    watermelons: Flags


def policy_version(policy: Document[HealthScorePolicy], company: Document[CompanyPolicy]) -> str:
    """Hash of the documents that judge a score, 16 hexadecimal digits."""
    return hashlib.sha256(f"{policy.hash}|{company.hash}".encode()).hexdigest()[:16]


def score_weeks(
    features: pa.Table,
    segments: pd.DataFrame,
    policy: Document[HealthScorePolicy],
    company: Document[CompanyPolicy],
    weeks: Sequence[Week],
    previous: PreviousWeek,
    overrides: pa.Table | None = None,
) -> ScoredWeeks:
    """Score every account of every week and fold the tier path over the weeks in order.

    One call over many weeks and a call per week that hands the published rows on give the same tables.

    Parameters
    ----------
    features : Table, a row per account and week, columns of account_features_weekly; other weeks are ignored
    segments : DataFrame of account_id, week, segment, segment_model_id; accounts without a row: 'unsegmented'
    policy, company : the documents that judge; their hashes become `policy_version`
    weeks : consecutive weeks in order
    previous : published rows of the week before the first one, and the policies that judged it
    overrides : a row per account and week in which a person's override holds: account_id, week, override_tier,
        override_reason, override_approved_by, override_expires_at; None: there are none

    Returns
    -------
    ScoredWeeks

    Raises
    ------
    ValueError
        If the weeks are not consecutive, an account has two rows, segments or overrides in a week, a column is
        not there, or `previous` is of another week.
    """
    _check_consecutive(weeks)
    scorer = HealthScorer(policy.model, company.model.not_applicable_domains).fit()
    version = policy_version(policy, company)
    run = _Run(scorer, company.model, version, features, _segment_frame(segments), override_frame(overrides))
    ids = set(pc.unique(features["account_id"]).to_pylist()) | set(previous.health["account_id"].to_pylist())
    accounts = pd.Index(sorted(ids), dtype=object)
    before = read_previous(previous, accounts, scorer, version, weeks[0], _inputs_before(run, previous, weeks[0]))
    has_before = previous.health.num_rows > 0
    slices: list[ScoredWeeks] = []
    for week in weeks:
        judged_week, after = _judge_week(run, week, before)
        slices.append(_week_tables(run, judged_week, before, has_before))
        before, has_before = after, True
    return ScoredWeeks(
        *(
            pa.concat_tables([empty_table(name), *(getattr(part, field) for part in slices)])
            for field, name in _TABLES.items()
        )
    )


_TABLES = {
    "health": "account_health_weekly",
    "contributions": "score_contributions_weekly",
    "changes": "score_changes_weekly",
    "movements": "tier_movements_weekly",
    "watermelons": "watermelon_accounts_weekly",
}


def _judge_week(run: _Run, week: Week, before: AccountsBefore) -> tuple[_JudgedWeek, AccountsBefore]:
    scorer = run.scorer
    rows = _rows_of(run.features, week)
    frame = _frame(run, rows, week)
    positions = np.asarray(before.accounts.get_indexer(pd.Index(frame["account_id"])), dtype=np.int64)
    judged = scorer.judge(frame)
    is_scored = scorer.is_scored(judged.weighed)
    score = np.where(is_scored, judged.weighed.score, np.nan)
    groups = judged.weighed.group_values
    policy = scorer.policy_
    decisive = [meets(c, frame, groups, scorer, demand_known=False) for c in policy.decisive]
    expansion = [meets(c, frame, groups, scorer) for c in policy.expansion_ready.all_of]
    tiers_before = before.tiers_of(positions)
    step = step_tiers(
        scorer,
        judged,
        is_scored=is_scored,
        is_decisive=np.logical_or.reduce([np.zeros(len(frame), dtype=bool), *decisive]),
        may_expand=np.logical_and.reduce([np.ones(len(frame), dtype=bool), *expansion]),
        before=tiers_before,
    )
    change = split_change(scorer, judged, score, before.score_of(positions, scorer, judged.scorecards))
    watermelons = watermelon_reasons(scorer, frame, judged, step.state.tier)
    money = np.array(rows["arr_reporting"].to_pylist(), dtype=object)
    topmost = rows["ultimate_parent_account_id"].to_pylist()
    families = roll_up(list(frame["account_id"]), topmost, score, step.state.tier, as_floats(pd.Series(money)))
    done = _JudgedWeek(
        week, rows, positions, judged, is_scored, score, step, families, tiers_before, change, watermelons
    )
    return done, before.after(positions, frame, judged, score, step.state, money)


def _week_tables(run: _Run, done: _JudgedWeek, before: AccountsBefore, has_before: bool) -> ScoredWeeks:
    scorer, week, rows = run.scorer, done.week, done.rows
    known_at = week.known_at(run.company.cutoff_hours)
    accounts = np.array(rows["account_id"].to_pylist(), dtype=object)
    n = len(accounts)
    health = tables.health_columns(scorer, rows, done.judged, score=done.score, step=done.step, before=done.before)
    segments = _segments_of(run, accounts, week)
    health |= override_columns(accounts, week, health["tier"], run.overrides)
    health |= tables.family_columns(done.families)
    health |= {
        "segment": segments["segment"].to_numpy(dtype=object),
        "segment_model_id": segments["segment_model_id"].to_numpy(dtype=object),
        "policy_version": run.version,
    }
    contributions, count = tables.contribution_columns(scorer, accounts, done.judged, done.is_scored, done.step.state)
    score_before = before.score[done.positions]
    changes = tables.change_columns(scorer, accounts, done.score, score_before, done.change)
    melons, words, counts = tables.watermelon_columns(done.watermelons)
    watermelons = {
        "account_id": accounts[melons],
        "reasons": words,
        "reasons_count": counts,
        "score": done.score[melons],
        "arr_reporting": rows["arr_reporting"].take(melons),
        "owner_email": rows["owner_email"].take(melons),
    }
    movements, moved = _movements(scorer, done, before, accounts, has_before)
    return ScoredWeeks(
        tables.week_table("account_health_weekly", health, week, known_at, n),
        tables.week_table("score_contributions_weekly", contributions, week, known_at, count),
        tables.week_table("score_changes_weekly", changes, week, known_at, n),
        tables.week_table("tier_movements_weekly", movements, week, known_at, moved),
        tables.week_table("watermelon_accounts_weekly", watermelons, week, known_at, len(melons)),
    )


def _movements(
    scorer: HealthScorer, done: _JudgedWeek, before: AccountsBefore, accounts: np.ndarray, has_before: bool
) -> tuple[dict[str, object], int]:
    """Columns of tier_movements_weekly; none in the very first week: there is nothing to compare with."""
    state = done.step.state
    movement = tables.movement_names(state.tier, done.before.tier)
    stays = np.flatnonzero(pd.notna(movement)) if has_before else np.empty(0, dtype=np.int64)
    gone = before.is_there.copy()
    gone[done.positions] = False
    left = np.flatnonzero(gone)
    nothing = np.full(len(left), None, dtype=object)
    reasons = tables.names(done.step.reason, REASONS)
    drivers = tables.names(done.change.driver, tuple(scorer.measures_))
    money = np.array(done.rows["arr_reporting"].to_pylist(), dtype=object)
    ids = np.concatenate([accounts[stays], np.asarray(before.accounts[left], dtype=object)])
    order = np.argsort(ids.astype(str), kind="stable")
    columns = {
        "account_id": ids,
        "movement": np.concatenate([movement[stays], np.full(len(left), "left", dtype=object)]),
        "tier_before": np.concatenate(
            [tables.names(codes, TIERS) for codes in (done.before.tier[stays], before.tiers.tier[left])]
        ),
        "tier_after": np.concatenate([tables.names(state.tier[stays], TIERS), nothing]),
        "tier_reason": np.concatenate([reasons[stays], nothing]),
        "main_driver": np.concatenate([drivers[stays], nothing]),
        "arr_reporting": np.concatenate([money[stays], before.arr_reporting[left]]),
    }
    return {name: list(values[order]) for name, values in columns.items()}, len(order)


def _check_consecutive(weeks: Sequence[Week]) -> None:
    if not weeks:
        raise ValueError("no week to score; name at least one")
    for week, following in pairwise(weeks):
        if following != week.shift(1):
            raise ValueError(f"{following} follows {week}; the tier path needs every week in order")


def _rows_of(features: pa.Table, week: Week) -> pa.Table:
    """The week's rows by account, so that the order of the rows that came in plays no part."""
    rows = features.filter(pc.equal(features["week"], pa.scalar(week.monday, pa.date32())))
    rows = rows.take(pc.sort_indices(rows, sort_keys=[("account_id", "ascending")]))
    ids = rows["account_id"].to_pylist()
    for one, other in pairwise(ids):
        if one == other:
            raise ValueError(f"account {one} has two rows in week {week}; account_features_weekly has one")
    return rows


def _inputs_before(run: _Run, previous: PreviousWeek, first: Week) -> pd.DataFrame:
    """What the week before the first one was judged by: its features as published, for today's and its own policy."""
    week = first.shift(-1)
    rows = _rows_of(run.features if previous.features is None else previous.features, week)
    kept = [policy for policy in previous.policies.values() if isinstance(policy, JudgingPolicy)]
    scorers = [run.scorer, *(HealthScorer(policy.health_score).fit() for policy in kept)]
    return _selected(rows, week, [name for scorer in scorers for name in scorer.feature_names_in_])


def _frame(run: _Run, rows: pa.Table, week: Week) -> pd.DataFrame:
    policy = run.scorer.policy_
    some = (*policy.decisive, *policy.expansion_ready.all_of, *policy.watermelon.conditions)
    frame = _selected(rows, week, [*run.scorer.feature_names_in_, *condition_features(some)])
    accounts = np.asarray(frame["account_id"], dtype=object)
    return frame.assign(segment=_segments_of(run, accounts, week)["segment"].to_numpy(dtype=object))


def _selected(rows: pa.Table, week: Week, names: Sequence[str]) -> pd.DataFrame:
    needed = dict.fromkeys(["account_id", *names])
    if lacking := [name for name in needed if name not in rows.column_names]:
        raise ValueError(f"the features of {week} lack {', '.join(lacking)}; build account_features_weekly anew")
    return rows.select(list(needed)).to_pandas()


def _segment_frame(segments: pd.DataFrame) -> pd.DataFrame:
    by_week = segments.assign(week=pd.to_datetime(segments["week"]).dt.date)
    if by_week.duplicated(["account_id", "week"]).any():
        row = by_week[by_week.duplicated(["account_id", "week"])].iloc[0]
        raise ValueError(f"account {row['account_id']} has two segments in {row['week']}; one can be in force")
    return by_week.set_index(["week", "account_id"])[["segment", "segment_model_id"]].sort_index()


def _segments_of(run: _Run, accounts: np.ndarray, week: Week) -> pd.DataFrame:
    given = run.segments
    weeks = given.index.get_level_values("week")
    found = given[weeks == week.monday].droplevel("week").reindex(accounts)
    segment = found["segment"].astype(object)
    model = found["segment_model_id"].astype(object)
    return pd.DataFrame(
        {
            "segment": segment.where(segment.notna(), UNSEGMENTED),
            "segment_model_id": model.where(model.notna(), None),
        }
    )
