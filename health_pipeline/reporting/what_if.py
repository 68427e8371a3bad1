"""Who would move under other policy documents: published features scored by both, side by side. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table
from health_pipeline.planning.plan import plan_weeks
from health_pipeline.policy.capacity import CapacityPolicy, load_capacity
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.policy.documents import Document, PolicyError
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score
from health_pipeline.policy.playbooks import PlaybookPolicy, load_playbooks
from health_pipeline.scoring.weekly import PreviousWeek, ScoredWeeks, score_weeks

# A contribution that differs by less is the same: replays add in another order.
SAME_POINTS = 1e-9
DOCUMENTS = ("health_score", "company", "playbooks", "capacity")


@dataclass(frozen=True)
class JudgingDocuments:
    """The documents that judge a score and draw the plan's line, as a HEALTH_POLICY folder gives them."""

    health_score: Document[HealthScorePolicy]
    company: Document[CompanyPolicy]
    playbooks: Document[PlaybookPolicy]
    capacity: Document[CapacityPolicy]

    @classmethod
    def of(cls, folder: Path | None) -> JudgingDocuments:
        """Read them as a run with that HEALTH_POLICY would: the folder's own, else the built-in ones.

        Raises
        ------
        PolicyError
            If one can't be used.
        """
        return cls(load_health_score(folder), load_company(folder), load_playbooks(folder), load_capacity(folder))


@dataclass(frozen=True)
class PublishedState:
    """What the replay starts from and reads, all of it published.

    Attributes
    ----------
    features : account_features_weekly of the weeks
    segments : DataFrame of account_id, week, segment, segment_model_id, as published
    previous : rows of the week before the first one; empty where there is none
    previous_plan : action_plan_weekly of that week
    overrides : account_id, week and the override's columns, as published; None: there are none
    """

    features: pa.Table
    segments: pd.DataFrame
    previous: PreviousWeek
    previous_plan: pa.Table
    overrides: pa.Table | None = None


@dataclass(frozen=True)
class WhatIf:
    """The comparison in the newest of the weeks.

    Attributes
    ----------
    weeks : the weeks that were scored, in order
    accounts : DataFrame, a row per account of the newest week
        account_id; tier_before, tier_after (effective tiers), score_before, score_after (0 to 100, NaN: none),
        coverage_before, coverage_after; main_measure, main_measure_change (points of its contribution);
        is_within_plan_before, is_within_plan_after (the owner's hours reach it).
    """

    weeks: tuple[Week, ...]
    accounts: pd.DataFrame

    @property
    def moved(self) -> pd.DataFrame:
        """The accounts whose tier differs, the largest change of the score first."""
        rows = self.accounts[self.accounts["tier_before"] != self.accounts["tier_after"]]
        size = (rows["score_after"] - rows["score_before"]).abs().fillna(np.inf)
        return rows.assign(size=size).sort_values(["size", "account_id"], ascending=[False, True]).drop(columns="size")

    @property
    def tiers(self) -> pd.DataFrame:
        """Accounts by tier: index tier, columns before and after."""
        counts = {side: self.accounts[f"tier_{side}"].value_counts() for side in ("before", "after")}
        return pd.DataFrame(counts).fillna(0).astype(int)

    @property
    def plan_changes(self) -> tuple[list[str], list[str]]:
        """Accounts that would enter what the plan's hours reach, and those that would leave it."""
        before, after = self.accounts["is_within_plan_before"], self.accounts["is_within_plan_after"]
        ids = self.accounts["account_id"]
        return list(ids[after & ~before]), list(ids[before & ~after])


def what_if(
    published: PublishedState, weeks: Sequence[Week], in_force: JudgingDocuments, proposed: JudgingDocuments
) -> WhatIf:
    """Score the same weeks from the same start with both sets of documents.

    Both go through `score_weeks`, as a run does, from the published tier path of the week before the first one. So with
    `proposed` equal to `in_force` nobody moves, and a run that restates these weeks with `proposed` gives these tiers.
    Features are taken as published: what a document would change about them (cutoff, rates, staleness) is not in it.

    Parameters
    ----------
    published : the state of the release
    weeks : consecutive published weeks in order
    in_force, proposed : the documents

    Returns
    -------
    WhatIf
    """
    sides = {"before": _score(published, weeks, in_force), "after": _score(published, weeks, proposed)}
    plans = {"before": in_force, "after": proposed}
    newest = weeks[-1]
    columns: dict[str, Any] = {}
    ids: pd.Index | None = None
    for side, scored in sides.items():
        health = _of_week(scored.health, newest).to_pandas().set_index("account_id")
        ids = health.index if ids is None else ids
        reached = _reached(scored, plans[side], weeks, published.previous_plan)
        columns |= {
            f"tier_{side}": health["effective_tier"].reindex(ids),
            f"score_{side}": health["score"].reindex(ids).astype(float),
            f"coverage_{side}": health["coverage"].reindex(ids),
            f"is_within_plan_{side}": ids.isin(list(reached)),
        }
    accounts = pd.DataFrame(columns, index=ids)
    drivers = _main_measures(*(_of_week(scored.contributions, newest) for scored in sides.values()))
    return WhatIf(tuple(weeks), accounts.join(drivers).reset_index())


def _score(published: PublishedState, weeks: Sequence[Week], documents: JudgingDocuments) -> ScoredWeeks:
    return score_weeks(
        published.features,
        published.segments,
        documents.health_score,
        documents.company,
        weeks,
        published.previous,
        published.overrides,
    )


def _reached(
    scored: ScoredWeeks, documents: JudgingDocuments, weeks: Sequence[Week], previous_plan: pa.Table
) -> set[str]:
    """Accounts of the newest week's plan that their owner's hours reach."""
    newest = [weeks[-1]]
    # The line does not read last week's plan: the sums' changes do, and they are not shown here.
    before = previous_plan if len(weeks) == 1 else previous_plan.schema.empty_table()
    plan = plan_weeks(
        scored.health,
        scored.contributions,
        scored.watermelons,
        scored.movements,
        newest,
        documents.playbooks,
        documents.capacity,
        before,
        empty_table("review_tasks"),
    )
    rows = plan.action_plan_accounts
    return set(rows.filter(rows["is_within_capacity"])["account_id"].to_pylist())


def _main_measures(before: pa.Table, after: pa.Table) -> pd.DataFrame:
    """The measure whose contribution differs the most, by account; None where all are the same."""
    sides = [
        side.select(["account_id", "measure", "contribution"])
        .to_pandas()
        .set_index(["account_id", "measure"])["contribution"]
        for side in (before, after)
    ]
    moves = pd.concat(sides, axis=1, keys=["before", "after"]).astype(float).fillna(0.0)
    moves["change"] = moves["after"] - moves["before"]
    moves["size"] = moves["change"].abs().round(9)
    ordered = moves.reset_index().sort_values(["size", "measure"], ascending=[False, True])
    first = ordered.drop_duplicates("account_id").set_index("account_id")
    stays = first["size"] < SAME_POINTS
    return pd.DataFrame(
        {
            "main_measure": first["measure"].astype(object).mask(stays, None),
            "main_measure_change": first["change"].mask(stays, 0.0),
        }
    )


def _of_week(table: pa.Table, week: Week) -> pa.Table:
    return table.filter(pc.equal(table["week"], pa.scalar(week.monday, pa.date32())))


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds no document that judges.

    Raises
    ------
    PolicyError
        If it is no folder, or none of `DOCUMENTS` is in it.
    """
    if not folder.is_dir():
        raise PolicyError(f"{folder} is not a folder; name a folder of policy documents.")
    names = [f"{name}.yaml" for name in DOCUMENTS]
    if not any((folder / name).is_file() for name in names):
        raise PolicyError(
            f"{folder} holds none of {', '.join(names)}; copy a document from health_pipeline/policy/documents into it "
            "and change it there."
        )
