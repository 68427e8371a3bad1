"""The latent state of each account and week, of which every record in every source is a noisy consequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.sources.demo.accounts import Accounts
from health_pipeline.sources.demo.calendar import WEEKS, random_stream, week_index
from health_pipeline.sources.demo.stories import Stories
from health_pipeline.sources.demo.story_shapes import SHAPES

# Weeks with Christmas and New Year, and the August weeks, of the two years.
_YEAR_END = {5: 0.66, 6: 0.62, 57: 0.66, 58: 0.62}
_AUGUST = (37, 38, 39, 89, 90, 91)
# A release of the product that went wrong for everybody.
_BAD_RELEASE = (74, 78)


@dataclass(frozen=True)
class LatentState:
    """What really goes on; every array has shape (accounts, weeks), states 0 to 1.

    `season` multiplies activity (working weeks, holidays, the planted dips); it says nothing about health.
    """

    value: np.ndarray
    sponsorship: np.ndarray
    quality: np.ndarray
    price_pressure: np.ndarray
    season: np.ndarray

    def trouble(self) -> np.ndarray:
        """How much speaks for leaving; about 0 on average."""
        return (
            -8.0 * (self.value - 0.62)
            - 5.5 * (self.sponsorship - 0.64)
            - 4.0 * (self.quality - 0.68)
            + 5.5 * (self.price_pressure - 0.35)
        )


def _wandering(rng: np.random.Generator, count: int, spread: float, persistence: float) -> np.ndarray:
    """Autoregressive noise of that standard deviation; shape (accounts, weeks)."""
    noise = rng.normal(0, spread, (count, WEEKS))
    step = np.sqrt(1 - persistence**2)
    for week in range(1, WEEKS):
        noise[:, week] = persistence * noise[:, week - 1] + step * noise[:, week]
    return noise


def _season(accounts: Accounts, stories: Stories) -> np.ndarray:
    season = np.ones((accounts.count, WEEKS))
    for week, factor in _YEAR_END.items():
        season[:, week] = factor
    season[:, _AUGUST] = 0.9
    dips = stories.is_on("seasonal_dip")
    # Both years: the story's own eight weeks, and the same weeks of the year before, which give it away.
    season *= np.where(dips | np.roll(dips, -52, axis=1), 0.35, 1.0)
    return season * np.where(stories.is_on("holiday"), 0.2, 1.0)


def simulate_state(seed: int, accounts: Accounts, stories: Stories) -> LatentState:
    """Draw the latent state: a level of each account's own, slow noise, and what the stories do."""
    rng = random_stream(seed, "latent", accounts.count)
    count = accounts.count
    shifts = {name: np.zeros((count, WEEKS)) for name in ("value", "sponsorship", "quality", "price_pressure")}
    for shape in SHAPES:
        if shape.meaning == "lookalike":
            continue
        intensity = stories.intensity(shape.name)
        for name in shifts:
            shifts[name] += getattr(shape, name) * intensity

    def state(name: str, level: float, between: float, within: float, persistence: float) -> np.ndarray:
        own = rng.normal(level, between, count)[:, None]
        return own + _wandering(rng, count, within, persistence) + shifts[name]

    value = state("value", 0.63, 0.11, 0.07, 0.95)
    sponsorship = state("sponsorship", 0.65, 0.11, 0.07, 0.96)
    quality = state("quality", 0.69, 0.07, 0.05, 0.92)
    price_pressure = state("price_pressure", 0.34, 0.1, 0.06, 0.96)
    quality[:, slice(*_BAD_RELEASE)] -= 0.1
    # Value takes half a year to build up in a new account.
    age = np.arange(WEEKS)[None, :] - week_index(accounts.started_at)[:, None]
    value -= 0.22 * np.clip(1 - age / 24, 0, 1)
    return LatentState(
        value=np.clip(value, 0.03, 0.97),
        sponsorship=np.clip(sponsorship, 0.03, 0.97),
        quality=np.clip(quality, 0.05, 0.97),
        price_pressure=np.clip(price_pressure, 0.02, 0.97),
        season=_season(accounts, stories),
    )
