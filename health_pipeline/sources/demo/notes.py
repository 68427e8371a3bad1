"""What notes, meetings and mails are about: the theme each account's weeks suggest, and the texts for it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from health_pipeline.sources.demo.calendar import days, week_start
from health_pipeline.sources.demo.columns import pick
from health_pipeline.sources.demo.wording import NOTE_TEXTS, NOTE_THEMES, NOTES
from health_pipeline.sources.demo.world import World

# The theme a story brings up, and how often a note is about it.
STORY_THEMES: dict[str, tuple[str, float]] = {
    "sponsor_leaves": ("sponsor_left", 0.3),
    "value_never_reached": ("no_show", 0.4),
    "defect_storm": ("defects", 0.4),
    "payment_trouble": ("payment", 0.3),
    "competitor_evaluation": ("competitor", 0.35),
    "delivery_slip": ("delivery", 0.4),
    "planned_migration": ("migration", 0.4),
    "holiday": ("holiday", 0.5),
    "expansion_pull": ("growth", 0.3),
    "automation_replaces_logins": ("automation", 0.35),
    "champion_on_leave": ("leave", 0.4),
    "rollout_questions": ("rollout", 0.45),
    "bank_change": ("bank", 0.45),
    "competitive_renewal_won": ("kept", 0.3),
    "agreed_delay": ("agreed_move", 0.35),
    "narrow_use": ("narrow", 0.35),
}
_THEME_OF_TEXT = np.array([NOTE_THEMES.index(theme) for theme, _, _ in NOTE_TEXTS])
SUBJECTS = [subject for _, subject, _ in NOTE_TEXTS]
BODIES = [body for _, _, body in NOTE_TEXTS]


def draw_texts(world: World, rng: np.random.Generator, account: np.ndarray, week: np.ndarray) -> np.ndarray:
    """A text for a note of each account and week, as an index into NOTE_TEXTS."""
    count = len(account)
    is_good = rng.random(count) < 0.9 * np.clip(world.state.value[account, week] - 0.5, 0, 1)
    theme = np.where(is_good, NOTE_THEMES.index("good"), NOTE_THEMES.index("routine"))
    state = world.state
    for name, how_bad in (
        ("no_show", 0.5 - state.sponsorship[account, week]),
        ("defects", 0.6 - state.quality[account, week]),
        ("payment", state.price_pressure[account, week] - 0.5),
        ("competitor", state.price_pressure[account, week] - 0.48),
    ):
        comes_up = rng.random(count) < np.clip(1.2 * how_bad, 0, 0.4)
        theme = np.where(comes_up, NOTE_THEMES.index(name), theme)
    for story, (name, share) in STORY_THEMES.items():
        on = world.stories.is_on(story)[account, week] & (rng.random(count) < share)
        theme = np.where(on, NOTE_THEMES.index(name), theme)
    # A few raise a theme without any story behind it, so that no phrase is a proof.
    stray = rng.random(count) < 0.01
    theme = np.where(stray, rng.integers(0, len(NOTE_THEMES), count), theme)
    first, number = np.searchsorted(_THEME_OF_TEXT, theme), np.bincount(_THEME_OF_TEXT)[theme]
    return first + rng.integers(0, 1_000_000, count) % number


def turning_points(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Notes somebody writes because a story turns: days after its start, and again half-way or at its end.

    Not every turn is written down, and not at once; so a note may be missing where the story is not.

    Returns
    -------
    account, at, text : shape (notes,) each; `text` as in `draw_texts`
    """
    stories = world.stories
    parts = []
    for story, (theme, _) in STORY_THEMES.items():
        told = np.flatnonzero(stories.accounts_in(story) & world.is_known["cs"])
        length = days(7.0) * (stories.end_week - stories.start_week)[told]
        for share, chance in ((0.0, 0.85), (0.5, 0.6)):
            at = week_start(stories.start_week[told]) + share * length + days(rng.uniform(1.3, 9.6, len(told)))
            written = rng.random(len(told)) < chance
            first = np.searchsorted(_THEME_OF_TEXT, NOTE_THEMES.index(theme))
            number = len(NOTES[theme])
            text = np.full(len(told), first + (number - 1 if share else 0))
            parts.append((told[written], at[written], text[written]))
    account, at, text = (np.concatenate(values) for values in zip(*parts, strict=True))
    kept = world.in_contract(account, at)
    return account[kept], at[kept], text[kept]


def subjects(text: np.ndarray) -> pa.Array:
    """The subjects of texts."""
    return pick(SUBJECTS, text)


def bodies(text: np.ndarray) -> pa.Array:
    """The bodies of texts."""
    return pick(BODIES, text)
