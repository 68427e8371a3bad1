"""What really happened in the demo company: for validation and tests only, never read by the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from health_pipeline.sources.demo.calendar import END, WEEKS, days, week_index, week_start
from health_pipeline.sources.demo.evidence import EVIDENCE
from health_pipeline.sources.demo.story_shapes import SHAPES
from health_pipeline.sources.demo.trials import EFFECTS, STRATEGIES
from health_pipeline.sources.demo.world import World

_REASONS = (None, "not_renewed", "not_paid")
# What happens within half a year after a story is over may follow from it.
_FOLLOWS_WITHIN_DAYS = 26 * 7


@dataclass(frozen=True)
class Truth:
    """Planted stories and latent state; accounts are named by their id in the CRM.

    `stories`: crm_id, story, meaning, resembles, start_week, end_week (dates), and what came of it between its start
    and half a year after its end: `churned`, `expanded`, `contracted`, `stayed`, or `open` where the simulation ends
    before. `turning_points`: crm_id, story, at (date), what. `evidence`: crm_id, story, source_kind, table, what,
    direction, of the systems that know the account. `latent`: crm_id, week, value, sponsorship, quality,
    price_pressure, season, is_live. `ends`: crm_id, notice_at, ended_at, recorded_at, returned_at, reason.
    `trials`: crm_id, strategy, is_treated, is_randomised, at, and `effect`, what the strategy really does.
    """

    stories: pd.DataFrame
    turning_points: pd.DataFrame
    evidence: pd.DataFrame
    latent: pd.DataFrame
    ends: pd.DataFrame
    trials: pd.DataFrame


def tell_truth(world: World) -> Truth:
    """Put the simulation's hidden state into frames."""
    crm_id = np.array(world.source_ids["crm"].to_pylist(), dtype=object)
    stories = _stories(world, crm_id)
    trials = pd.DataFrame(
        {
            "crm_id": crm_id[world.trials.account],
            "strategy": np.array(STRATEGIES)[world.trials.strategy],
            "is_treated": world.trials.is_treated,
            "is_randomised": world.trials.is_randomised,
            "at": world.trials.at,
            "effect": np.array(EFFECTS)[world.trials.strategy],
        }
    )
    return Truth(stories, _turning_points(world, stories), _evidence(world, stories), *_states(world, crm_id), trials)


def _stories(world: World, crm_id: np.ndarray) -> pd.DataFrame:
    told = np.flatnonzero(world.stories.kind >= 0)
    shapes = [SHAPES[kind] for kind in world.stories.kind[told]]
    begin, end = week_start(world.stories.start_week[told]), week_start(world.stories.end_week[told])
    return pd.DataFrame(
        {
            "account": told,
            "crm_id": crm_id[told],
            "story": [shape.name for shape in shapes],
            "meaning": [shape.meaning for shape in shapes],
            "resembles": [shape.resembles or None for shape in shapes],
            "start_week": begin.astype("datetime64[D]"),
            "end_week": end.astype("datetime64[D]"),
            "outcome": _outcomes(world, told, begin, end + days(_FOLLOWS_WITHIN_DAYS)),
        }
    )


def _outcomes(world: World, told: np.ndarray, begin: np.ndarray, until: np.ndarray) -> list[str]:
    contracts = world.contracts
    over, until = until <= END, np.minimum(until, END)
    then, now = (contracts.seats[told, np.clip(week_index(at), 0, WEEKS - 1)] for at in (begin, until - days(1.0)))
    left = (contracts.ended_at[told] >= begin) & (contracts.ended_at[told] < until)
    chosen = np.select([left, now > then, now < then, over], ["churned", "expanded", "contracted", "stayed"], "open")
    return [str(outcome) for outcome in chosen]


def _turning_points(world: World, stories: pd.DataFrame) -> pd.DataFrame:
    rows = [stories.assign(at=stories["start_week"], what="begins")]
    ramp = {shape.name: shape.ramp_weeks for shape in SHAPES}
    full = stories["start_week"] + pd.to_timedelta(7 * stories["story"].map(ramp), unit="D")
    rows.append(stories.assign(at=full, what="in full")[stories["meaning"] != "lookalike"])
    rows.append(stories.assign(at=stories["end_week"], what="is over"))
    contracts = world.contracts
    account = stories["account"].to_numpy()
    for what, at in (
        ("falls past due", contracts.past_due_at),
        ("pays", contracts.settled_at),
        ("gives notice", contracts.notice_at),
        ("ends", contracts.ended_at),
        ("returns", contracts.returned_at),
    ):
        rows.append(stories.assign(at=at[account].astype("datetime64[D]"), what=what).dropna(subset="at"))
    points = pd.concat(rows, ignore_index=True)
    points = points[points["at"] < pd.Timestamp(END)]
    return points.sort_values(["crm_id", "at", "what"], ignore_index=True)[["crm_id", "story", "at", "what"]]


def _evidence(world: World, stories: pd.DataFrame) -> pd.DataFrame:
    catalogue = pd.DataFrame(
        [
            {
                "story": story,
                "source_kind": evidence.source_kind,
                "table": evidence.table,
                "what": evidence.what,
                "direction": evidence.direction,
            }
            for story, kinds in EVIDENCE.items()
            for evidence in kinds
        ]
    )
    expected = stories[["account", "crm_id", "story"]].merge(catalogue, on="story")
    known = [
        world.is_known[kind][account]
        for kind, account in zip(expected["source_kind"], expected["account"], strict=True)
    ]
    return expected[known].drop(columns="account").reset_index(drop=True)


def _states(world: World, crm_id: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The latent state of each account and week, and the accounts that left."""
    state = world.state
    latent = pd.DataFrame(
        {
            "crm_id": np.repeat(crm_id, WEEKS),
            "week": np.tile(week_start(np.arange(WEEKS)).astype("datetime64[D]"), world.count),
            "value": state.value.ravel(),
            "sponsorship": state.sponsorship.ravel(),
            "quality": state.quality.ravel(),
            "price_pressure": state.price_pressure.ravel(),
            "season": state.season.ravel(),
            "is_live": world.contracts.is_live.ravel(),
        }
    )
    contracts = world.contracts
    left = np.flatnonzero(contracts.ended_at < END)
    ends = pd.DataFrame(
        {
            "crm_id": crm_id[left],
            "notice_at": contracts.notice_at[left],
            "ended_at": contracts.ended_at[left],
            "recorded_at": contracts.end_recorded_at[left],
            "returned_at": contracts.returned_at[left],
            "reason": [_REASONS[reason] for reason in contracts.churn_reason[left]],
        }
    )
    return latent, ends
