"""The features a policy document may name: the columns of `account_features_weekly` that read as a number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from pydantic import Field, model_validator

from health_pipeline.contract.closest import closest
from health_pipeline.contract.landing import ColumnType
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.company import Domain
from health_pipeline.policy.documents import PolicyModel

FEATURE_TABLE = "account_features_weekly"
NUMERIC_TYPES: tuple[ColumnType, ...] = ("integer", "number", "decimal", "boolean")
STATUSES: tuple[str, ...] = ("measured", "zero", "missing", "stale", "not_applicable")
KNOWN_STATUSES: tuple[str, ...] = ("measured", "zero")

Operator = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Feature:
    """A feature that reads as a number: its type, and the domain whose status says whether it is known."""

    name: str
    type: ColumnType
    domain: Domain

    @property
    def status_column(self) -> str:
        """The column of its domain's status."""
        return f"{self.domain}_status"


@cache
def features() -> dict[str, Feature]:
    """Every numeric feature by name; its domain is that of the contract's next `<domain>_status` column."""
    found: dict[str, Feature] = {}
    waiting: list[tuple[str, ColumnType]] = []
    domains: dict[str, Domain] = {f"{domain}_status": domain for domain in get_args(Domain)}
    for column in mart_tables()[FEATURE_TABLE].columns:
        if column.name in domains:
            found |= {name: Feature(name, kind, domains[column.name]) for name, kind in waiting}
            waiting = []
        elif column.type in NUMERIC_TYPES and not column.name.endswith("_newest_fact_age_days"):
            waiting.append((column.name, column.type))
    return found


def feature(name: str) -> Feature:
    """The feature of that name.

    Raises
    ------
    ValueError
        If the contract has no numeric feature of that name; the message names the nearest one.
    """
    if name in features():
        return features()[name]
    raise ValueError(f"{FEATURE_TABLE} has no numeric feature {name!r}; {nearest(name, features())}")


def nearest(name: str, names: Iterable[str]) -> str:
    """The closest of `names` in words, or where to look when none is close."""
    close = closest(name, names)
    return f"the nearest name is {close!r}" if close else "see docs/data-dictionary.md for the names there are"


class Condition(PolicyModel):
    """A feature, or the value of a group of measures, against a number; what is unknown never meets it."""

    feature: str | None = None
    group: str | None = None
    operator: Operator
    value: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _names_one_known_thing(self) -> Condition:
        if (self.feature is None) == (self.group is None):
            raise ValueError("a condition names either a feature or a group, and not both")
        if self.feature is not None:
            feature(self.feature)
        return self

    def __str__(self) -> str:
        return f"{self.feature or self.group} {self.operator} {self.value:g}"
