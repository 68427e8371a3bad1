"""Why a score changed: its change since last week split into policy, coverage and data; the main driver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.scoring.scorer import NOT_ON_CARD, Codes, Flags, Floats, HealthScorer, Judged


@dataclass(frozen=True)
class ScoreBefore:
    """What is kept of the week before, rows by accounts and columns by this policy's measures.

    Attributes
    ----------
    score : shape (n,); NaN where there was none
    raw, curve_values, contributions : shape (n, measures); NaN where not known
    statuses : shape (n, measures); NOT_ON_CARD where the measure was not judged then
    is_same_judge : shape (n,); the same policy, code and scorecard judged then
    """

    score: Floats
    raw: Floats
    curve_values: Floats
    contributions: Floats
    statuses: Codes
    is_same_judge: Flags


@dataclass(frozen=True)
class ScoreChange:
    """The parts, shape (n,) each, sum to `change`; NaN where either score is missing.

    Attributes
    ----------
    driver : position of the measure whose contribution moved the most; -1 where the score did not move
    """

    change: Floats
    from_policy: Floats
    from_coverage: Floats
    from_data: Floats
    driver: Codes
    driver_change: Floats


def split_change(scorer: HealthScorer, judged: Judged, score: Floats, before: ScoreBefore) -> ScoreChange:
    """Split the change of the score in the order policy, coverage, data, by replaying last week's values.

    Last week's raw values are judged by this week's policy and scorecard (a measure the old ones did not have
    takes this week's value): the difference is the policy's. Then measures that appeared or vanished are let
    in and out while the others keep last week's values: the coverage's. The rest is data.

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
    now = judged.curve_values
    replayed, replayed_statuses = _replay(scorer, judged, before)
    after_policy = scorer.weigh(replayed, replayed_statuses, judged.scorecards).score
    after_policy = np.where(before.is_same_judge | np.isnan(after_policy), before.score, after_policy)
    covered = np.where(np.isnan(now), np.nan, np.where(np.isnan(replayed), now, replayed))
    after_coverage = scorer.weigh(covered, judged.statuses, judged.scorecards).score
    change = score - before.score
    from_policy = after_policy - before.score
    from_coverage = after_coverage - after_policy
    # Nothing appeared or vanished: the replay differs by the order of additions only.
    same_set = (np.isnan(now) == np.isnan(replayed)).all(axis=1)
    from_coverage = np.where(same_set & (np.abs(from_coverage) < 1e-9), 0.0, from_coverage)
    unknown = np.isnan(change)
    parts = [np.where(unknown, np.nan, part) for part in (from_policy, from_coverage)]
    from_data = np.where(unknown, np.nan, change - parts[0] - parts[1])
    driver, driver_change = _driver(judged, before, unknown)
    return ScoreChange(change, parts[0], parts[1], from_data, driver, driver_change)


def _replay(scorer: HealthScorer, judged: Judged, before: ScoreBefore) -> tuple[Floats, Codes]:
    curve_values, statuses = before.curve_values.copy(), before.statuses.copy()
    rows = np.flatnonzero(~before.is_same_judge & ~np.isnan(before.score))
    if len(rows):
        was_judged = before.statuses[rows] != NOT_ON_CARD
        raw = np.where(was_judged, before.raw[rows], judged.raw[rows])
        codes = np.where(was_judged, before.statuses[rows], judged.statuses[rows])
        read_values, read_statuses = scorer.read(raw, codes, judged.scorecards[rows])
        curve_values[rows] = np.where(was_judged, read_values, judged.curve_values[rows])
        statuses[rows] = np.where(was_judged, read_statuses, judged.statuses[rows])
    return curve_values, statuses


def _driver(judged: Judged, before: ScoreBefore, unknown: Flags) -> tuple[Codes, Floats]:
    moves = judged.weighed.contributions - np.nan_to_num(before.contributions)
    # Replays of the same values may differ in the last digit; nobody is driven by that.
    size = np.round(np.abs(moves), 9)
    driver = np.argmax(size, axis=1) if moves.shape[1] else np.full(len(moves), -1)
    found = np.take_along_axis(moves, driver[:, None], axis=1)[:, 0]
    still = unknown | (size.max(axis=1, initial=0.0) == 0)
    return np.where(still, -1, driver), np.where(still, np.nan, found)
