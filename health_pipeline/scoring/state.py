"""What a week hands to the next one, read from published rows or kept while a run goes on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week
from health_pipeline.policy.features import STATUSES
from health_pipeline.scoring import CODE_VERSION
from health_pipeline.scoring.changes import ScoreBefore
from health_pipeline.scoring.scorer import NOT_ON_CARD, Codes, Flags, Floats, HealthScorer, Judged
from health_pipeline.scoring.tier_path import NO_TIER, TIERS, TierState


@dataclass(frozen=True)
class PreviousWeek:
    """Published rows of the week before the first one; empty tables when there is none."""

    health: pa.Table
    contributions: pa.Table


@dataclass
class AccountsBefore:
    """Every account of the run as its last week left it: rows by `accounts`, columns by measures.

    Attributes
    ----------
    accounts : sorted ids of all accounts of the run and of the week before it
    is_there : shape (n,); the account has a row in the week before
    arr_reporting : shape (n,), decimals of the week before
    """

    accounts: pd.Index
    is_there: Flags
    tiers: TierState
    score: Floats
    scorecards: Codes
    raw: Floats
    curve_values: Floats
    contributions: Floats
    statuses: Codes
    is_same_policy: Flags
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
            scorecards=zeros - 1,
            raw=nothing.copy(),
            curve_values=nothing.copy(),
            contributions=nothing.copy(),
            statuses=np.full((n, measures), NOT_ON_CARD, dtype=np.int64),
            is_same_policy=np.zeros(n, dtype=bool),
            arr_reporting=np.full(n, None, dtype=object),
        )

    def tiers_of(self, rows: Codes) -> TierState:
        """The tier state of those accounts."""
        t = self.tiers
        return TierState(t.tier[rows], t.pending[rows], t.weeks_in_tier[rows], t.healthy_weeks[rows], t.reference[rows])

    def score_of(self, rows: Codes, scorecards: Codes) -> ScoreBefore:
        """What the change of the score is split against."""
        same = self.is_same_policy[rows] & (self.scorecards[rows] == scorecards)
        return ScoreBefore(
            self.score[rows],
            self.raw[rows],
            self.curve_values[rows],
            self.contributions[rows],
            self.statuses[rows],
            same,
        )

    def after(
        self, rows: Codes, judged: Judged, score: Floats, tiers: TierState, arr_reporting: np.ndarray
    ) -> AccountsBefore:
        """The same accounts a week later; those without a row this week have none before the next."""
        new = AccountsBefore.empty(self.accounts, judged.raw.shape[1])
        for name in ("tier", "pending", "weeks_in_tier", "healthy_weeks", "reference"):
            getattr(new.tiers, name)[rows] = getattr(tiers, name)
        new.is_there[rows] = True
        new.score[rows] = score
        new.scorecards[rows] = judged.scorecards
        new.raw[rows] = judged.raw
        new.curve_values[rows] = judged.curve_values
        new.contributions[rows] = judged.weighed.contributions
        new.statuses[rows] = judged.statuses
        new.is_same_policy[rows] = True
        new.arr_reporting[rows] = arr_reporting
        return new


def read_previous(
    previous: PreviousWeek, accounts: pd.Index, scorer: HealthScorer, policy_version: str, first: Week
) -> AccountsBefore:
    """Lay the published week before `first` out as arrays.

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
    rows = accounts.get_indexer(pd.Index(health["account_id"].to_pylist()))
    frame = health.select(["tier", "pending_tier", "weeks_in_tier", "healthy_weeks", "score", "scorecard"]).to_pandas()
    before.is_there[rows] = True
    before.tiers.tier[rows] = _positions(frame["tier"], TIERS)
    before.tiers.pending[rows] = _positions(frame["pending_tier"], TIERS)
    before.tiers.weeks_in_tier[rows] = frame["weeks_in_tier"].to_numpy(dtype=np.int64)
    before.tiers.healthy_weeks[rows] = frame["healthy_weeks"].to_numpy(dtype=np.int64)
    before.score[rows] = frame["score"].to_numpy(dtype=np.float64)
    before.scorecards[rows] = _positions(frame["scorecard"], tuple(scorer.scorecards_))
    versions = health.select(["policy_version", "code_version"]).to_pandas()
    before.is_same_policy[rows] = (
        (versions["policy_version"] == policy_version) & (versions["code_version"] == CODE_VERSION)
    ).to_numpy()
    before.arr_reporting[rows] = np.array(health["arr_reporting"].to_pylist(), dtype=object)
    _read_contributions(previous.contributions, accounts, scorer, before)
    return before


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

    before.raw[place] = numbers("raw_value")
    before.curve_values[place] = numbers("curve_value")
    before.contributions[place] = numbers("contribution")
    before.tiers.reference[place] = numbers("reference_curve_value")
    before.statuses[place] = _positions(table["status"].to_pandas(), STATUSES)[kept]


def _positions(column: pd.Series, names: tuple[str, ...]) -> Codes:
    """Positions in `names`; -1 for a null and for a name that is not there."""
    return np.asarray(pd.Index(names).get_indexer(pd.Index(column)), dtype=np.int64)
