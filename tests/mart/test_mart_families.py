"""Who stands above whom: the macro's doublings against a walk from parent to parent, on any hierarchy, circles too."""

from __future__ import annotations

import re

import duckdb
import jinja2
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.dbt import DBT_PROJECT

MACRO = (DBT_PROJECT / "macros" / "reading" / "families.sql").read_text()
SQL = jinja2.Environment().from_string(MACRO + "with {{ ancestors('edges', 'above') }} select * from above").render()
MOST_STEPS = 32

parents = st.integers(min_value=1, max_value=12).flatmap(
    lambda size: st.dictionaries(st.integers(0, size), st.integers(0, size), max_size=size + 1)
)


def walked(parent_of: dict[int, int]) -> set[tuple[int, int, int]]:
    """Account, ancestor and steps: from parent to parent, up to 32 steps, round and round in a circle."""
    found = set()
    for account in parent_of:
        above, steps = account, 0
        while above in parent_of and steps < MOST_STEPS:
            above, steps = parent_of[above], steps + 1
            found.add((account, above, steps))
    return found


def by_sql(parent_of: dict[int, int]) -> list[tuple[int, int, int]]:
    edges = pa.table(
        {
            "week": pa.array([1] * len(parent_of), pa.int64()),
            "account_id": pa.array(parent_of.keys(), pa.int64()),
            "parent_account_id": pa.array(parent_of.values(), pa.int64()),
        }
    )
    with duckdb.connect() as connection:
        connection.register("edges", edges)
        return connection.execute(f"select account_id, ancestor_account_id, steps from ({SQL})").fetchall()


@settings(max_examples=60)
@given(parents)
def test_the_doublings_find_whom_a_walk_finds_and_nobody_twice(parent_of):
    found = by_sql(parent_of)
    assert len(found) == len(set(found))
    assert set(found) == walked(parent_of)


def test_a_hierarchy_of_33_levels_is_seen_to_its_top_and_one_of_34_is_not():
    chain = {account: account + 1 for account in range(33)}
    assert max(steps for account, _, steps in by_sql(chain) if account == 1) == 32
    assert (0, 32, 32) in by_sql(chain)
    assert (0, 33, 33) not in by_sql(chain)


def test_each_feature_says_what_null_means():
    for column in mart_tables()["account_features_weekly"].built_columns:
        if column.name not in {"account_id", "week", "as_of_at", "known_at"}:
            assert re.search(r"\bnull\b", column.description), column.name
