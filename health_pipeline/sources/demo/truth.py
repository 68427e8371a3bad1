"""What really happened in the demo company: for validation and tests only, never read by the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from health_pipeline.sources.demo.calendar import WEEKS, week_start
from health_pipeline.sources.demo.story_shapes import SHAPES
from health_pipeline.sources.demo.world import World

_REASONS = (None, "not_renewed", "not_paid")


@dataclass(frozen=True)
class Truth:
    """Planted stories and latent state; accounts are named by their id in the CRM.

    `stories`: crm_id, story, meaning, start_week, end_week (dates). `latent`: crm_id, week, value, sponsorship,
    quality, price_pressure, season, is_live. `ends`: crm_id, notice_at, ended_at, reason, of those who left.
    """

    stories: pd.DataFrame
    latent: pd.DataFrame
    ends: pd.DataFrame


def tell_truth(world: World) -> Truth:
    """Put the simulation's hidden state into frames."""
    crm_id = np.array(world.source_ids["crm"].to_pylist(), dtype=object)
    told = np.flatnonzero(world.stories.kind >= 0)
    stories = pd.DataFrame(
        {
            "crm_id": crm_id[told],
            "story": [SHAPES[kind].name for kind in world.stories.kind[told]],
            "meaning": [SHAPES[kind].meaning for kind in world.stories.kind[told]],
            "start_week": week_start(world.stories.start_week[told]).astype("datetime64[D]"),
            "end_week": week_start(world.stories.end_week[told]).astype("datetime64[D]"),
        }
    )
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
    left = np.flatnonzero(world.contracts.ended_at < week_start(WEEKS))
    ends = pd.DataFrame(
        {
            "crm_id": crm_id[left],
            "notice_at": world.contracts.notice_at[left],
            "ended_at": world.contracts.ended_at[left],
            "reason": [_REASONS[reason] for reason in world.contracts.churn_reason[left]],
        }
    )
    return Truth(stories, latent, ends)
