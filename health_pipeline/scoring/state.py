"""What a week hands to the next one, read from published rows or kept while a run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week
from health_pipeline.policy.kept import JudgingPolicy, NotKept
from health_pipeline.scoring import CODE_VERSION
from health_pipeline.scoring.changes import ScoreBefore
from health_pipeline.scoring.replay import INPUTS_NOT_KEPT, replay_week
from health_pipeline.scoring.scorer import Codes, Flags, Floats, HealthScorer, Judged
from health_pipeline.scoring.tier_path import NO_TIER, TIERS, TierState


@dataclass(frozen=True)
class PreviousWeek:
    """Published rows of the week before the first one, and what judged it; empty tables when there is none.

    Attributes
    ----------
    health, contributions : rows of account_health_weekly and score_contributions_weekly
    features : rows of account_features_weekly; None: those of that week among the features that are scored
    policies : the documents behind each `policy_version` in `health` that is not today's, or why they are not there
    """

    health: pa.Table
    contributions: pa.Table
    features: pa.Table | None = None
    policies: Mapping[str, JudgingPolicy | NotKept] = field(default_factory=dict)


@dataclass
class AccountsBefore:
    """Every account of the run as its last week left it: rows by `accounts`, columns by measures.

    Attributes
    ----------
    accounts : sorted ids of all accounts of the run and of the week before it
    is_there : shape (n,); the account has a row in the week before
    score, contributions : as published
    after_code, after_policy : shape (n,), as in `ScoreBefore`
    scorecards, curve_values : that week's inputs judged by today's policy
    not_split : shape (n,), why the steps to `after_policy` can't be told; None where they can
    inputs : the rows that were judged; `input_row` says which is an account's (-1: none)
    arr_reporting : shape (n,), decimals of the week before
    """

    accounts: pd.Index
    is_there: Flags
    tiers: TierState
    score: Floats
    after_code: Floats
    after_policy: Floats
    scorecards: Codes
    curve_values: Floats
    contributions: Floats
    not_split: np.ndarray
    inputs: pd.DataFrame
    input_row: Codes
    arr_reporting: np.ndarray

    @classmethod
    def empty(cls, accounts: pd.Index, measures: int) -> AccountsBefore:
        """Nobody has a week before."""
        n = len(accounts)
        nothing = np.full((n, measures), np.nan)
        zeros = np.zeros(n, dtype=np.int64)
        tiers = TierState(zeros + NO_TIER, zeros + NO_TIER, zeros.copy(), zeros.copy(), nothing)
        return cls(
            accounts=accounts,
            is_there=np.zeros(n, dtype=bool),
            tiers=tiers,
            score=np.full(n, np.nan),
            after_code=np.full(n, np.nan),
            after_policy=np.full(n, np.nan),
            scorecards=zeros - 1,
            curve_values=nothing.copy(),
            contributions=nothing.copy(),
            not_split=np.full(n, None, dtype=object),
            inputs=pd.DataFrame(),
            input_row=zeros - 1,
            arr_reporting=np.full(n, None, dtype=object),
        )

    def tiers_of(self, rows: Codes) -> TierState:
        """The tier state of those accounts."""
        t = self.tiers
        return TierState(t.tier[rows], t.pending[rows], t.weeks_in_tier[rows], t.healthy_weeks[rows], t.reference[rows])

    def score_of(self, rows: Codes, scorer: HealthScorer, scorecards: Codes) -> ScoreBefore:
        """What the change of the score is split against: last week's inputs moved to this week's scorecards."""
        after_scorecard = self.after_policy[rows].copy()
        curve_values, not_split = self.curve_values[rows].copy(), self.not_split[rows].copy()
        moved = np.flatnonzero((self.scorecards[rows] != scorecards) & ~np.isnan(self.after_policy[rows]))
        inputs = self.input_row[rows[moved]]
        not_split[moved[inputs < 0]] = INPUTS_NOT_KEPT
        moved, inputs = moved[inputs >= 0], inputs[inputs >= 0]
        if len(moved):
            judged = scorer.judge(self.inputs.iloc[inputs], scorecards[moved])
            curve_values[moved] = judged.curve_values
            replayed = judged.weighed.score
            after_scorecard[moved] = np.where(np.isnan(replayed), after_scorecard[moved], replayed)
        return ScoreBefore(
            self.score[rows],
            self.after_code[rows],
            self.after_policy[rows],
            after_scorecard,
            curve_values,
            self.contributions[rows],
            not_split,
        )

    def after(
        self,
        rows: Codes,
        inputs: pd.DataFrame,
        judged: Judged,
        score: Floats,
        tiers: TierState,
        arr_reporting: np.ndarray,
    ) -> AccountsBefore:
        """The same accounts a week later; those without a row this week have none before the next."""
        new = AccountsBefore.empty(self.accounts, judged.raw.shape[1])
        for name in ("tier", "pending", "weeks_in_tier", "healthy_weeks", "reference"):
            getattr(new.tiers, name)[rows] = getattr(tiers, name)
        new.is_there[rows] = True
        for values in (new.score, new.after_code, new.after_policy):
            values[rows] = score
        new.scorecards[rows] = judged.scorecards
        new.curve_values[rows] = judged.curve_values
        new.contributions[rows] = judged.weighed.contributions
        new.inputs, new.input_row[rows] = inputs, np.arange(len(rows))
        new.arr_reporting[rows] = arr_reporting
        return new


def read_previous(
    previous: PreviousWeek,
    accounts: pd.Index,
    scorer: HealthScorer,
    policy_version: str,
    first: Week,
    inputs: pd.DataFrame,
) -> AccountsBefore:
    """Lay the published week before `first` out as arrays, and replay it under today's code and policy.

    Parameters
    ----------
    inputs : that week's features as published, a row per account with `account_id`; `segment` is read from `previous`

    Raises
    ------
    ValueError
        If the rows are of another week: the tier path needs its predecessor.
    """
    before = AccountsBefore.empty(accounts, len(scorer.measures_))
    health = previous.health
    if health.num_rows == 0:
        return before
    expected = first.shift(-1).monday
    for name, table in (("health", health), ("contributions", previous.contributions)):
        if other := sorted(set(pc.unique(table["week"]).to_pylist()) - {expected}):
            raise ValueError(
                f"the tier path of {first} continues from {expected}, but the previous {name} hold "
                f"{other[0]}; give the published week before the first one"
            )
    names = ["account_id", "tier", "pending_tier", "weeks_in_tier", "healthy_weeks", "score", "scorecard", "segment"]
    frame = health.select([*names, "policy_version", "code_version"]).to_pandas()
    rows = accounts.get_indexer(pd.Index(frame["account_id"]))
    before.is_there[rows] = True
    before.tiers.tier[rows] = _positions(frame["tier"], TIERS)
    before.tiers.pending[rows] = _positions(frame["pending_tier"], TIERS)
    before.tiers.weeks_in_tier[rows] = frame["weeks_in_tier"].to_numpy(dtype=np.int64)
    before.tiers.healthy_weeks[rows] = frame["healthy_weeks"].to_numpy(dtype=np.int64)
    before.arr_reporting[rows] = np.array(health["arr_reporting"].to_pylist(), dtype=object)
    _read_contributions(previous.contributions, accounts, scorer, before)
    _read_published(frame, rows, scorer, policy_version, before)
    given = frame[["account_id", "segment", "score", "policy_version", "code_version"]]
    joined = inputs.drop(columns="segment", errors="ignore").merge(given, on="account_id", how="inner")
    if len(joined):
        _read_replay(joined, scorer, policy_version, previous.policies, before)
    return before


def _read_published(
    frame: pd.DataFrame, rows: Codes, scorer: HealthScorer, policy_version: str, before: AccountsBefore
) -> None:
    """What the published rows alone say: the steps of accounts that the same code and policy judged."""
    score = frame["score"].to_numpy(dtype=np.float64)
    is_same = ((frame["policy_version"] == policy_version) & (frame["code_version"] == CODE_VERSION)).to_numpy()
    before.score[rows] = score
    before.after_code[rows] = np.where(is_same, score, np.nan)
    before.after_policy[rows] = np.where(is_same, score, np.nan)
    before.scorecards[rows] = np.where(is_same, _positions(frame["scorecard"], tuple(scorer.scorecards_)), -1)
    before.not_split[rows[~is_same & ~np.isnan(score)]] = INPUTS_NOT_KEPT


def _read_replay(
    inputs: pd.DataFrame,
    scorer: HealthScorer,
    policy_version: str,
    policies: Mapping[str, JudgingPolicy | NotKept],
    before: AccountsBefore,
) -> None:
    """What judging the kept inputs again says, in the place of what the published rows alone say."""
    rows = before.accounts.get_indexer(pd.Index(inputs["account_id"]))
    replay = replay_week(scorer, inputs, policy_version, policies)
    before.after_code[rows], before.after_policy[rows] = replay.after_code, replay.after_policy
    before.scorecards[rows] = replay.judged.scorecards
    before.curve_values[rows] = replay.judged.curve_values
    before.not_split[rows] = replay.not_split
    before.inputs, before.input_row[rows] = inputs, np.arange(len(inputs))


def _read_contributions(table: pa.Table, accounts: pd.Index, scorer: HealthScorer, before: AccountsBefore) -> None:
    names = list(scorer.measures_)
    features = np.array([measure.feature for measure in scorer.measures_.values()], dtype=object)
    rows = accounts.get_indexer(pd.Index(table["account_id"].to_pandas()))
    columns = pd.Index(names).get_indexer(pd.Index(table["measure"].to_pandas()))
    # A measure that the policy no longer has, or has with another feature, has no old value to compare with.
    kept = (rows >= 0) & (columns >= 0)
    kept &= features[columns] == table["feature"].to_pandas().to_numpy(dtype=object)
    place = (rows[kept], columns[kept])

    def numbers(name: str) -> Floats:
        return np.asarray(table[name].to_pandas(), dtype=np.float64)[kept]

    before.curve_values[place] = numbers("curve_value")
    before.contributions[place] = numbers("contribution")
    before.tiers.reference[place] = numbers("reference_curve_value")


def _positions(column: pd.Series, names: tuple[str, ...]) -> Codes:
    """Positions in `names`; -1 for a null and for a name that is not there."""
    return np.asarray(pd.Index(names).get_indexer(pd.Index(column)), dtype=np.int64)
