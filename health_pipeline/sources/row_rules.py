"""What no row of a landing table may say beyond its columns' types: the contract's rules, as SQL and as a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from health_pipeline.contract.landing import LandingTable
from health_pipeline.sources.casts import quote


def rule_predicates(table: LandingTable) -> dict[str, str]:
    """What counts the rows that break each rule: a name by rule to a SQL predicate over the typed relation."""
    return {_name(number): f"coalesce({rule.refuse}, false)" for number, rule in enumerate(table.rules)}


def broken_rule(
    con: duckdb.DuckDBPyConnection, table: LandingTable, relation: str, found: Mapping[str, Any]
) -> str | None:
    """The first rule that rows break, in one sentence; None where none does.

    The row is named by its key and its value is not shown: a rule may be about a person or a text.

    Parameters
    ----------
    relation : the typed relation
    found : rows that meet each predicate of `rule_predicates`, by name
    """
    for number, rule in enumerate(table.rules):
        if broken := found.get(_name(number), 0):
            keys = ", ".join(quote(name) for name in table.key)
            query = f"select {keys} from {relation} where {rule.refuse} order by {keys} limit 1"
            first = con.execute(query).fetchall()[0]
            row = ", ".join(f"{name} {value}" for name, value in zip(table.key, first, strict=True))
            return f"column {rule.column} of the row with {row} {rule.because} ({broken:,} such rows)."
    return None


def _name(number: int) -> str:
    return f"rule {number}"
