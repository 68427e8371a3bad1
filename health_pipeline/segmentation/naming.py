"""Names and descriptions of segments, by rule from their profile; the order in which they are listed."""

from __future__ import annotations

from collections import Counter

import numpy as np

from health_pipeline.segmentation.space import Floats, Space

TYPICAL = "typical"
EVERYBODY = "all accounts"


def listing_order(space: Space, centres: Floats, first_dimension: str) -> list[int]:
    """Positions of the centres, shape (k, axes): by that dimension, highest first, then by the others."""
    keys: list[tuple[tuple[float, ...], int]] = []
    for position, centre in enumerate(centres):
        levels = space.dimension_levels(centre)
        ordered = [levels.get(first_dimension, 0.0)]
        ordered += [level for name, level in levels.items() if name != first_dimension]
        keys.append((tuple(-round(level, 6) for level in ordered), position))
    return [position for _, position in sorted(keys)]


def segment_names(space: Space, centres: Floats, name_from: float) -> list[str]:
    """Names such as 'high usage, low engagement', one per centre, all different.

    Parameters
    ----------
    space : Space
    centres : shape (k, axes), in listing order
    name_from : standard deviations from which a dimension is called high or low

    Returns
    -------
    list of str
        'all accounts' where k is 1; 'typical' where nothing stands out. Equal names are told apart by the feature that
        differs most, then by a number.
    """
    if len(centres) == 1:
        return [EVERYBODY]
    names = [_profile_name(space.dimension_levels(centre), name_from) for centre in centres]
    for name, count in Counter(names).items():
        if count > 1:
            same = [n for n, other in enumerate(names) if other == name]
            names = _told_apart(space, centres, names, same)
    return names


def description(space: Space, centre: Floats, accounts: int) -> str:
    """A sentence of figures: levels in words, the centre in the features' own units."""
    levels = ", ".join(f"{name} {level:+.1f} sd" for name, level in space.dimension_levels(centre).items())
    values = ", ".join(f"{name} {value:.4g}" for name, value in space.own_units(centre).items())
    return f"{accounts} accounts; against the mean of the quarter: {levels}; centre: {values}"


def _profile_name(levels: dict[str, float], name_from: float) -> str:
    words = [
        f"{'high' if level > 0 else 'low'} {dimension}"
        for dimension, level in levels.items()
        if abs(level) >= name_from
    ]
    return ", ".join(words) or TYPICAL


def _told_apart(space: Space, centres: Floats, names: list[str], same: list[int]) -> list[str]:
    told = list(names)
    if len(same) == 2:
        axis = int(np.argmax(np.abs(centres[same[0]] - centres[same[1]])))
        more_first = centres[same[0], axis] > centres[same[1], axis]
        for position, is_more in zip(same, (more_first, not more_first), strict=True):
            told[position] = f"{names[position]} ({'more' if is_more else 'less'} {space.axes[axis].feature})"
    else:
        for number, position in enumerate(same, start=1):
            told[position] = f"{names[position]} ({number})"
    return told
