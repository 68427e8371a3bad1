"""Which observations of the policy are made in a week: features against thresholds, unknown told apart from not met."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.policy.features import KNOWN_STATUSES, feature
from health_pipeline.policy.risk_signals import Comparison, Observation
from health_pipeline.risk.model import Reading

Flags = np.ndarray
Floats = np.ndarray
COMPARATORS: dict[str, Callable[[Any, float], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
STALE = "stale"


def compare(values: Any, comparator: str, threshold: float) -> Any:
    """A number or an array of numbers against a threshold; NaN meets nothing but `!=`."""
    return COMPARATORS[comparator](values, threshold)


@dataclass(frozen=True)
class Observed:
    """What became of one observation for each row of the features.

    Attributes
    ----------
    is_met : shape (n,); every comparison is known and met
    is_unknown : shape (n,); none of the known ones fails, and one is unknown: it might be met
    """

    is_met: Flags
    is_unknown: Flags


class FeatureRows:
    """Features of some accounts and weeks as numbers; what is unknown is NaN.

    Parameters
    ----------
    rows : Table, a row per account and week, columns of account_features_weekly
    """

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows
        self._raw: dict[str, Floats] = {}
        self._statuses: dict[str, pa.ChunkedArray] = {}

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def raw(self, name: str) -> Floats:
        """The feature's values, shape (n,), whatever its domain's status says; NaN where it is null."""
        if name not in self._raw:
            column = self.rows[name].combine_chunks().cast(pa.float64())
            self._raw[name] = column.fill_null(np.nan).to_numpy(zero_copy_only=False)
        return self._raw[name]

    def known(self, name: str, is_known_when_stale: bool = False) -> Floats:
        """The feature's values, shape (n,); NaN where it is null or its domain is not known in that row."""
        statuses = (*KNOWN_STATUSES, STALE) if is_known_when_stale else KNOWN_STATUSES
        return np.where(self._has_status(feature(name).status_column, statuses), self.raw(name), np.nan)

    def _has_status(self, column: str, statuses: Sequence[str]) -> Flags:
        found = pc.is_in(self.rows[column], value_set=pa.array(statuses, pa.string()))
        return found.combine_chunks().to_numpy(zero_copy_only=False).astype(bool)


def observe(rows: FeatureRows, observation: Observation) -> Observed:
    """Make an observation on every row.

    Examples
    --------
    A backlog of 3 against `>= 3` is met; a null is unknown, never met.
    """
    is_met = np.ones(len(rows), dtype=bool)
    is_failed = np.zeros(len(rows), dtype=bool)
    for comparison in observation.when:
        values = rows.known(comparison.feature, observation.is_known_when_stale)
        is_known = ~np.isnan(values)
        holds = compare(values, comparison.comparator, comparison.threshold) & is_known
        is_met &= holds
        is_failed |= is_known & ~holds
    return Observed(is_met, ~is_met & ~is_failed)


def is_applicable(observation: Observation, not_applicable_domains: Iterable[str]) -> bool:
    """Whether the company has every domain that the observation reads; one that it does not have is not evaluated."""
    off = set(not_applicable_domains)
    return not any(feature(name).domain in off for name in observation.features)


def readings(rows: FeatureRows, observation: Observation, row: int) -> tuple[Reading, ...]:
    """The comparisons of an observation that is met in a row, with the values seen."""
    return tuple(_reading(rows, comparison, row) for comparison in observation.when)


def _reading(rows: FeatureRows, comparison: Comparison, row: int) -> Reading:
    baseline = None if comparison.baseline is None else float(rows.raw(comparison.baseline)[row])
    return Reading(
        feature=comparison.feature,
        comparator=comparison.comparator,
        threshold=comparison.threshold,
        value=float(rows.raw(comparison.feature)[row]),
        baseline=None if baseline is None or np.isnan(baseline) else baseline,
    )


def missing_domains(row: Mapping[str, Any], domains: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The domains that could not be read in a row of the features, with the status that says why, in order."""
    return tuple((domain, str(row[f"{domain}_status"])) for domain in domains if not _is_read(row, domain))


def _is_read(row: Mapping[str, Any], domain: str) -> bool:
    return row[f"{domain}_status"] in KNOWN_STATUSES
