"""Why a score changed: its change since last week split into code, policy, scorecard, coverage, data; the driver."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from health_pipeline.scoring.scorer import Codes, Flags, Floats, HealthScorer, Judged

# Below this a step is the order of additions, not a change.
NOISE = 1e-10


@dataclass(frozen=True)
class ScoreBefore:
    """What the week before leaves behind, rows by accounts and columns by this policy's measures.

    Attributes
    ----------
    score : shape (n,), as published; NaN where there was none
    after_code, after_policy, after_scorecard : shape (n,), last week's inputs judged by today's code and the policy
        of then; by today's policy too; on this week's scorecard too. NaN where it can't be told
    curve_values : shape (n, measures), last week's inputs under this week's policy and scorecard
    contributions : shape (n, measures), as published
    not_split : shape (n,), why the steps can't be told; None where they can
    """

    score: Floats
    after_code: Floats
    after_policy: Floats
    after_scorecard: Floats
    curve_values: Floats
    contributions: Floats
    not_split: np.ndarray


@dataclass(frozen=True)
class ScoreChange:
    """The parts, shape (n,) each, sum to `change`; NaN where either score is missing or the change can't be split.

    Attributes
    ----------
    not_split : why a change has no parts; None where it has, or where there is no change
    driver : position of the measure whose contribution moved the most; -1 where the score did not move
    """

    change: Floats
    from_code: Floats
    from_policy: Floats
    from_scorecard: Floats
    from_coverage: Floats
    from_data: Floats
    not_split: np.ndarray
    driver: Codes
    driver_change: Floats


def split_change(scorer: HealthScorer, judged: Judged, score: Floats, before: ScoreBefore) -> ScoreChange:
    """Split the change of the score in the order code, policy, scorecard, coverage, data.

    Each step changes one thing and keeps the others at last week's: the difference is that thing's part. The first
    three are replays of last week's inputs (`ScoreBefore`). Then measures that appeared or vanished are let in
    and out while the others keep last week's values: the coverage's. The rest is data.

    Parameters
    ----------
    scorer : fitted HealthScorer
    judged : this week's accounts, shape (n, ...)
    score : shape (n,), NaN where not scored
    before : the same accounts a week earlier

    Returns
    -------
    ScoreChange
    """
    now, then = judged.curve_values, before.curve_values
    covered = np.where(np.isnan(now), np.nan, np.where(np.isnan(then), now, then))
    after_coverage = scorer.weigh(covered, judged.statuses, judged.scorecards).score
    # Nothing appeared or vanished: the same sum as before.
    same_set = (np.isnan(now) == np.isnan(then)).all(axis=1)
    after_coverage = np.where(same_set, before.after_scorecard, after_coverage)
    steps = (before.score, before.after_code, before.after_policy, before.after_scorecard, after_coverage)
    change = score - before.score
    unknown = np.isnan(change)
    is_split = ~unknown & pd.isna(before.not_split)
    code, policy, scorecard, coverage = (np.where(is_split, _quiet(b - a), np.nan) for a, b in pairwise(steps))
    data = _quiet(np.where(is_split, change - code - policy - scorecard - coverage, np.nan))
    not_split = before.not_split.copy()
    not_split[unknown] = None
    driver, driver_change = _driver(judged, before, unknown)
    return ScoreChange(change, code, policy, scorecard, coverage, data, not_split, driver, driver_change)


def _quiet(part: Floats) -> Floats:
    return np.where(np.abs(part) < NOISE, 0.0, part)


def _driver(judged: Judged, before: ScoreBefore, unknown: Flags) -> tuple[Codes, Floats]:
    moves = judged.weighed.contributions - np.nan_to_num(before.contributions)
    # Replays of the same values may differ in the last digit; nobody is driven by that.
    size = np.round(np.abs(moves), 9)
    driver = np.argmax(size, axis=1) if moves.shape[1] else np.full(len(moves), -1)
    found = np.take_along_axis(moves, driver[:, None], axis=1)[:, 0]
    still = unknown | (size.max(axis=1, initial=0.0) == 0)
    return np.where(still, -1, driver), np.where(still, np.nan, found)
