"""Last week's inputs judged again: by today's code with the policy of then, and by today's policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from health_pipeline.policy.kept import JudgingPolicy, NotKept
from health_pipeline.scoring import CODE_VERSION
from health_pipeline.scoring.scorer import Floats, HealthScorer, Judged

INPUTS_NOT_KEPT = "inputs_not_kept"


@dataclass(frozen=True)
class Replay:
    """Last week's accounts, rows in the order of the frame that was replayed.

    Attributes
    ----------
    after_code, after_policy : shape (n,), the score by today's code and the policy of then; by today's policy too,
        each account on the scorecard that today's policy would have chosen then; NaN where it can't be told
    judged : last week's inputs judged by today's code and policy
    not_split : shape (n,), why `after_code` can't be told; None where it can
    """

    after_code: Floats
    after_policy: Floats
    judged: Judged
    not_split: np.ndarray


def replay_week(
    scorer: HealthScorer,
    frame: pd.DataFrame,
    policy_version: str,
    policies: Mapping[str, JudgingPolicy | NotKept],
) -> Replay:
    """Judge a published week again, step by step.

    The same code gives the published score by the policy of then, so that policy is needed only where the code
    changed too: then, and where its documents are lost, what is the code's part and what is the policy's can't be
    told apart, and neither is guessed.

    Parameters
    ----------
    scorer : fitted HealthScorer of today's policy
    frame : DataFrame, a row per account: what any of the policies reads, with `segment`, `score` (NaN: none),
        `policy_version` and `code_version` as published
    policy_version : today's
    policies : documents by the `policy_version` they have on the rows; or why they are not there

    Returns
    -------
    Replay
    """
    judged = scorer.judge(frame)
    score = frame["score"].to_numpy(dtype=np.float64)
    after_code = score.copy()
    not_split = np.full(len(frame), None, dtype=object)
    is_other_code = (frame["code_version"] != CODE_VERSION).to_numpy() & ~np.isnan(score)
    for version in sorted(set(frame.loc[is_other_code, "policy_version"])):
        rows = np.flatnonzero(is_other_code & (frame["policy_version"] == version).to_numpy())
        kept = policies.get(version, "policy_not_kept")
        if version == policy_version:
            after_code[rows] = judged.weighed.score[rows]
        elif isinstance(kept, JudgingPolicy):
            then = HealthScorer(kept.health_score, kept.company.not_applicable_domains).fit()
            after_code[rows] = then.judge(frame.iloc[rows]).weighed.score
        else:
            after_code[rows], not_split[rows] = np.nan, kept
    is_same = (frame["policy_version"] == policy_version).to_numpy()
    after_policy = np.where(is_same, after_code, judged.weighed.score)
    # A step after which nothing of last week is measured has no part of its own; what it does shows in the next.
    nothing = np.isnan(after_code) & pd.isna(not_split)
    after_code = np.where(nothing, score, after_code)
    after_policy = np.where(np.isnan(after_policy), after_code, after_policy)
    after_policy[pd.notna(not_split)] = np.nan
    return Replay(after_code, after_policy, judged, not_split)
