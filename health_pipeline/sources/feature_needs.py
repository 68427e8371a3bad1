"""Which features a set of landed columns can feed: what a load leaves out of the score before it is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from health_pipeline.contract.landing import SOURCE_COLUMNS, landing_tables
from health_pipeline.contract.yaml_text import parse_yaml

# A landed column as `table.column`.
LandedColumn = str


@cache
def feature_needs() -> dict[str, tuple[tuple[LandedColumn, ...], ...]]:
    """Features by name, each with the alternatives of landed columns it can be made from.

    Raises
    ------
    ValueError
        If the document names a column that the landing contract does not have.
    """
    document = parse_yaml(Path(__file__).with_name("feature_needs.yaml").read_text(encoding="utf-8"))
    shared = {column.name for column in SOURCE_COLUMNS}
    known = {f"{table.name}.{name}" for table in landing_tables().values() for name in {*table.column_names, *shared}}
    named = {column for ways in document.values() for way in ways for column in way}
    if named - known:
        raise ValueError(f"feature_needs.yaml names {', '.join(sorted(named - known))}, which no landing table has.")
    return {feature: tuple(tuple(way) for way in ways) for feature, ways in document.items()}


def unfed(features: Iterable[str], filled: Collection[LandedColumn]) -> dict[str, tuple[LandedColumn, ...]]:
    """The features that no landed column can feed, each with what is missing for the nearest alternative.

    Parameters
    ----------
    filled : columns that hold a value on at least one row, as `table.column`
    """
    found = {}
    for feature in features:
        gaps = [tuple(column for column in way if column not in filled) for way in feature_needs().get(feature, ())]
        if gaps and all(gaps):
            found[feature] = min(gaps, key=len)
    return found
