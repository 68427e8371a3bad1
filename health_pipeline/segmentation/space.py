"""The space accounts are clustered in: transform, winsorise, scale; fitted once and frozen with the model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from health_pipeline.policy.features import KNOWN_STATUSES, feature
from health_pipeline.policy.segmentation import SegmentationPolicy, Transform

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Axis:
    """One feature of the space. All numbers but `scale` are in transformed units.

    Attributes
    ----------
    low, high : winsor bounds
    fill : median, which stands in for an unknown value
    mean, scale : position = (value - mean) / scale; scale holds the dimension's share, so dimensions weigh the same
    deviation : standard deviation, without the dimension's share
    """

    feature: str
    dimension: str
    transform: Transform
    low: float
    high: float
    fill: float
    mean: float
    scale: float
    deviation: float


@dataclass(frozen=True)
class Space:
    """Axes in order, how much must be known of an account, and what was left out with its reason."""

    axes: tuple[Axis, ...]
    minimum_coverage: float
    dropped: dict[str, str]

    @classmethod
    def fit(cls, features: pd.DataFrame, policy: SegmentationPolicy) -> Space:
        """Learn the axes from a quarter's accounts, shape (n, columns of account_features_weekly)."""
        dropped: dict[str, str] = {}
        kept: dict[str, Floats] = {}
        for name in policy.transforms:
            values = known_values(features, name)
            share = float(np.mean(~np.isnan(values))) if len(values) else 0.0
            if share == 0:
                dropped[name] = f"nothing is known of it: {feature(name).domain} is not connected or not applicable"
            elif share < policy.minimum_known_share:
                dropped[name] = f"known of {share:.0%} of the accounts, fewer than {policy.minimum_known_share:.0%}"
            elif np.nanmin(values) == np.nanmax(values):
                dropped[name] = "the same for every account"
            else:
                kept[name] = values
        for dimension, entry in policy.dimensions.items():
            if not kept.keys() & entry.features.keys():
                reasons = "; ".join(dict.fromkeys(dropped[name] for name in entry.features))
                dropped[dimension] = f"no feature of the dimension is left: {reasons}"
        axes = tuple(_axis(name, values, set(kept), policy) for name, values in kept.items())
        return cls(axes, policy.minimum_coverage, dropped)

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> Space:
        """The space of a frozen model."""
        axes = tuple(Axis(**axis) for axis in parameters["axes"])
        return cls(axes, parameters["minimum_coverage"], parameters["dropped"])

    def parameters(self) -> dict[str, Any]:
        """The space as plain values; `from_parameters` reads them."""
        return {
            "axes": [asdict(axis) for axis in self.axes],
            "minimum_coverage": self.minimum_coverage,
            "dropped": self.dropped,
        }

    def place(self, features: pd.DataFrame) -> tuple[Floats, Floats]:
        """Positions of accounts, shape (n, axes), and the share of the axes that is known of each, shape (n,)."""
        columns, known = [], []
        for axis in self.axes:
            values = known_values(features, axis.feature)
            known.append(~np.isnan(values))
            transformed = _transformed(np.where(known[-1], values, 0.0), axis.transform)
            bounded = np.clip(np.where(known[-1], transformed, axis.fill), axis.low, axis.high)
            columns.append((bounded - axis.mean) / axis.scale)
        if not columns or not len(features):
            return np.empty((len(features), len(columns))), np.zeros(len(features))
        return np.column_stack(columns), np.mean(known, axis=0)

    def missing_dimensions(self, features: pd.DataFrame) -> list[str]:
        """Per account the dimensions of which something is unknown, comma separated, shape (n,)."""
        unknown = {axis.dimension: np.zeros(len(features), dtype=bool) for axis in self.axes}
        for axis in self.axes:
            unknown[axis.dimension] |= np.isnan(known_values(features, axis.feature))
        return [
            ", ".join(dimension for dimension, flags in unknown.items() if flags[row]) for row in range(len(features))
        ]

    def own_units(self, centre: Floats) -> dict[str, float]:
        """A position, shape (axes,), in the features' own units."""
        found = {}
        for axis, position in zip(self.axes, centre, strict=True):
            value = float(position) * axis.scale + axis.mean
            found[axis.feature] = round(float(np.expm1(value) if axis.transform == "log1p" else value), 6)
        return found

    def dimension_levels(self, centre: Floats) -> dict[str, float]:
        """A position's mean per dimension, in standard deviations from the quarter's mean."""
        levels: dict[str, list[float]] = {}
        for axis, position in zip(self.axes, centre, strict=True):
            levels.setdefault(axis.dimension, []).append(float(position) * axis.scale / axis.deviation)
        return {dimension: float(np.mean(values)) for dimension, values in levels.items()}


def known_values(features: pd.DataFrame, name: str) -> Floats:
    """A feature's values, shape (n,); NaN where its domain is missing, stale or not applicable."""
    column = features[name].astype(object)
    values = column.where(column.notna(), np.nan).to_numpy().astype(np.float64)
    known = np.asarray(features[feature(name).status_column].isin(KNOWN_STATUSES), dtype=bool)
    return np.where(known, values, np.nan)


def _axis(name: str, values: Floats, kept: set[str], policy: SegmentationPolicy) -> Axis:
    dimension, transform = policy.transforms[name]
    transformed = _transformed(values[~np.isnan(values)], transform)
    low, high = np.quantile(transformed, policy.winsorise)
    bounded = np.clip(transformed, low, high)
    deviation = float(bounded.std()) or 1.0
    siblings = len(kept & policy.dimensions[dimension].features.keys())
    # Rounded, so that an account is assigned by the very numbers that are published.
    return Axis(
        feature=name,
        dimension=dimension,
        transform=transform,
        low=round(float(low), 9),
        high=round(float(high), 9),
        fill=round(float(np.median(bounded)), 9),
        mean=round(float(bounded.mean()), 9),
        scale=round(deviation * float(np.sqrt(siblings)), 9),
        deviation=round(deviation, 9),
    )


def _transformed(values: Floats, transform: Transform) -> Floats:
    # A negative amount (a credit above the invoices) has no logarithm; it counts as nothing.
    return np.log1p(np.maximum(values, 0.0)) if transform == "log1p" else values
