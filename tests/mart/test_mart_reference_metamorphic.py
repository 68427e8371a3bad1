"""What must not matter: the order of rows, how a delivery is cut into files, who else is a customer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference_company import AS_OF, BACKGROUND, POLICY, WEEKS, Company, companies, edge_company, random_company
from reference_compiled import CompiledMart

from health_pipeline.contract.content import content_hash
from health_pipeline.contract.landing import landing_tables
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.policy.documents import Document
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.scoring.weekly import PreviousWeek, score_weeks

Changed = Callable[[Company, random.Random], Company]


def shuffled(company: Company, drawn: random.Random) -> Company:
    """The same rows of every table, links and loads in another order."""

    def other_order(rows: list[Any]) -> list[Any]:
        return drawn.sample(rows, len(rows))

    landed = {table: other_order(company.landed[table]) for table in other_order(list(company.landed))}
    return Company(landed, other_order(company.loads), other_order(company.accounts), other_order(company.links))


def split(company: Company, drawn: random.Random) -> Company:
    """Every load that is not a complete extract as two, delivered at the same time, each row in one of them."""
    loads: list[dict[str, Any]] = []
    landed: dict[str, list[dict[str, Any]]] = {table: [] for table in company.landed}
    whole = {load["load_id"] for load in company.loads if load["is_complete"]}
    for load in company.loads:
        halves = [{**load, "load_sequence": 2 * load["load_sequence"]}]
        if load["load_id"] not in whole:
            sequence = 2 * load["load_sequence"] + 1
            halves.append({**load, "load_sequence": sequence, "load_id": f"{load['load_id']}-second"})
        loads += halves
        for row in company.landed.get(load["table_name"], []):
            if row["load_id"] == load["load_id"]:
                half = drawn.choice(halves)
                place = {"load_id": half["load_id"], "load_sequence": half["load_sequence"]}
                landed[load["table_name"]].append({**row, **place})
    return Company(landed, loads, company.accounts, company.links)


def with_another_account(company: Company, drawn: random.Random) -> Company:
    """One more customer: a copy of one that is there, under ids of its own."""
    landed = {table: list(rows) for table, rows in company.landed.items()}
    ids = {"source_account_id", "group_id", "project_id"} | {table.key[0] for table in landing_tables().values()}
    projects = {row["project_id"] for row in company.landed["pm_project"] if row["source_account_id"] == "a0"}
    for table, rows in company.landed.items():
        for row in rows:
            if "a0" in (row.get("source_account_id"), row.get("group_id")) or row.get("project_id") in projects:
                own = {name: f"other-{value}" for name, value in row.items() if name in ids and isinstance(value, str)}
                landed[table].append(row | own)
    accounts, links = list(company.accounts), list(company.links)
    for known in (accounts, links):
        for row in [row for row in known if row["account_id"] == "a0"]:
            ends = {name: f"other-{row[name]}" for name in row if name.endswith("source_account_id")}
            known.append(row | ends | {"account_id": "other-a0"})
    return Company(landed, company.loads, accounts, links)


CHANGES: dict[str, Changed] = {"shuffled": shuffled, "split": split, "another account": with_another_account}


def by_account(features: pa.Table) -> dict[str, tuple[str, ...]]:
    """Content hashes of every account's features, scores, contributions and changes over the weeks."""
    rows = features.select(mart_tables()["account_features_weekly"].arrow_schema.names)
    nothing = PreviousWeek(empty_table("account_health_weekly"), empty_table("score_contributions_weekly"))
    segments = pd.DataFrame(columns=["account_id", "week", "segment", "segment_model_id"])
    company = Document("company", Path("random"), POLICY, "random")
    scored = score_weeks(rows, segments, load_health_score(None), company, WEEKS, nothing)
    tables = (rows, scored.health, scored.contributions, scored.changes)
    accounts = sorted(set(rows["account_id"].to_pylist()))
    return {account: tuple(content_hash(_of(table, account)) for table in tables) for account in accounts}


def _of(table: pa.Table, account: str) -> pa.Table:
    return table.filter(pc.equal(table["account_id"], account))


def mart_of(compiled: CompiledMart, company: Company) -> pa.Table:
    return compiled.features(company.landed, company.loads, company.identity)


def changes_of(compiled: CompiledMart, company: Company, change: Changed, seed: int) -> Iterator[str]:
    """Accounts of the company that come out differently."""
    before = by_account(mart_of(compiled, company))
    after = by_account(mart_of(compiled, change(company, random.Random(seed))))
    assert {"a0", "a1", BACKGROUND} <= set(before) <= set(after)
    return (account for account in before if before[account] != after[account])


@pytest.mark.parametrize("name", CHANGES)
def test_what_must_not_matter_does_not(compiled: CompiledMart, name: str) -> None:
    for company in (edge_company(3), random_company(4, most=16)):
        assert list(changes_of(compiled, company, CHANGES[name], seed=1)) == []


@pytest.mark.long
@settings(max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))
@given(company=companies(), name=st.sampled_from(sorted(CHANGES)), seed=st.integers(0, 9))
def test_what_must_not_matter_does_not_in_many_companies(
    compiled: CompiledMart, company: Company, name: str, seed: int
) -> None:
    assert list(changes_of(compiled, company, CHANGES[name], seed)) == []


def test_the_other_account_comes_out_like_the_one_it_copies(compiled: CompiledMart) -> None:
    company = with_another_account(edge_company(3), random.Random(1))
    rows = mart_of(compiled, company).drop_columns(["account_id"])
    ids = mart_of(compiled, company)["account_id"]
    copy, original = (rows.filter(pc.equal(ids, name)) for name in ("other-a0", "a0"))
    assert copy.num_rows == len(WEEKS) and content_hash(copy) == content_hash(original)


def test_one_more_fact_of_an_account_is_noticed(compiled: CompiledMart) -> None:
    company = edge_company(3)
    tickets = company.landed["support_ticket"]
    mine = next(row for row in tickets if row["source_account_id"] == "a1" and row["load_sequence"] > 20)
    company.landed["support_ticket"] = [*tickets, mine | {"ticket_id": "one-more", "created_at": AS_OF[0]}]
    before = by_account(mart_of(compiled, edge_company(3)))
    after = by_account(mart_of(compiled, company))
    assert [account for account in before if before[account] != after[account]] == ["a1"]
