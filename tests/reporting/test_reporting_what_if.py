"""Who would move under other documents: exact against the runs that would be made."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from rich.console import Console

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.policy.documents import BUILT_IN, PolicyError
from health_pipeline.policy.features import features as known_features
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.reporting.what_if import JudgingDocuments, PublishedState, WhatIf, check_folder, what_if
from health_pipeline.reporting.what_if_text import changed_features, what_if_text, write_csv
from health_pipeline.scoring.weekly import PreviousWeek, ScoredWeeks, score_weeks

WEEKS = [Week(date(2026, 9, 7)).shift(n) for n in range(6)]


def drifting_features(accounts: int = 120, seed: int = 5) -> pa.Table:
    """Accounts whose every feature follows a level that drifts; a fifth of the domains is not known."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0.62, 0.2, accounts)
    names = [name for name in mart_tables()["account_features_weekly"].arrow_schema.names if name.endswith("_status")]
    rows = []
    for week in WEEKS:
        level = level + rng.normal(0, 0.07, accounts)
        as_of_at = week.as_of_at.replace(tzinfo=None)
        clocks = {"week": week.monday, "as_of_at": as_of_at, "known_at": as_of_at + timedelta(hours=6)}
        for n in range(accounts):
            row: dict[str, Any] = {"account_id": f"acc_{n:03d}", "lifecycle_stage": "established", **clocks}
            row |= {name: str(rng.choice(["measured", "missing"], p=[0.85, 0.15])) for name in names}
            row |= {name: _drawn(rng, name, float(level[n])) for name in known_features()}
            rows.append(row | {"owner_email": f"owner{n % 3}@example.com"})
    return pa.Table.from_pylist(rows, schema=mart_tables()["account_features_weekly"].arrow_schema)


MEASURES = {measure.feature: measure for measure in load_health_score(None).model.measures.values()}


def _drawn(rng: np.random.Generator, name: str, level: float) -> Any:
    """A value about as good as the level, where the policy has a measure of the feature."""
    good = float(np.clip(level + rng.normal(0, 0.12), 0, 1))
    kind = known_features()[name].type
    if kind == "decimal":
        return Decimal(int(rng.integers(1_000, 90_000)))
    measure = MEASURES.get(name)
    if measure is None:
        return False if kind == "boolean" else 1
    values = [band.from_ or 0 for band in measure.bands] or [raw for raw, _ in measure.curve]
    share = good if measure.direction == "higher_is_better" else 1 - good
    value = min(values) + share * (max(values) - min(values))
    return bool(round(value)) if kind == "boolean" else round(value) if kind == "integer" else value


@pytest.fixture(scope="module")
def features() -> pa.Table:
    return drifting_features()


@pytest.fixture(scope="module")
def documents() -> JudgingDocuments:
    return JudgingDocuments.of(None)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> JudgingDocuments:
    """A folder with another health score: use weighs less, healthy starts later, the margin is small."""
    content = yaml.safe_load((BUILT_IN / "health_score.yaml").read_text())
    content["groups"]["usage"] = 8
    content["margin"] = 1
    content["tiers"][1]["below"] = content["tiers"][2]["from"] = 76
    folder = tmp_path_factory.mktemp("policy")
    (folder / "health_score.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return JudgingDocuments.of(folder)


def unsegmented(features: pa.Table) -> pd.DataFrame:
    rows = features.select(["account_id", "week"]).to_pandas()
    return rows.assign(segment="small", segment_model_id="m1")


def of_weeks(table: pa.Table, weeks: Sequence[Week]) -> pa.Table:
    return table.filter(pc.is_in(table["week"], pa.array([week.monday for week in weeks], pa.date32())))


def run(features: pa.Table, week: Week, documents: JudgingDocuments, before: PreviousWeek) -> ScoredWeeks:
    """One weekly run: what it publishes is handed on to the next."""
    score = (documents.health_score, documents.company)
    return score_weeks(features, unsegmented(features), *score, [week], before)


@pytest.fixture(scope="module")
def published(features: pa.Table, documents: JudgingDocuments) -> dict[Week, ScoredWeeks]:
    """Six weeks as they were published under the documents in force, a run each."""
    before = PreviousWeek(empty_table("account_health_weekly"), empty_table("score_contributions_weekly"))
    done = {}
    for week in WEEKS:
        done[week] = run(features, week, documents, before)
        before = PreviousWeek(done[week].health, done[week].contributions)
    return done


def state(features: pa.Table, published: dict[Week, ScoredWeeks], weeks: Sequence[Week]) -> PublishedState:
    before = published[weeks[0].shift(-1)]
    return PublishedState(
        of_weeks(features, weeks),
        unsegmented(features),
        PreviousWeek(before.health, before.contributions),
        empty_table("action_plan_weekly"),
    )


@pytest.mark.parametrize("count", [1, 3])
def test_the_documents_in_force_move_nobody(
    features: pa.Table, published: dict[Week, ScoredWeeks], documents: JudgingDocuments, count: int
) -> None:
    weeks = WEEKS[-count:]
    compared = what_if(state(features, published, weeks), weeks, documents, documents)
    assert len(compared.accounts) == 120 and compared.moved.empty
    assert compared.plan_changes == ([], [])
    assert compared.accounts["main_measure"].isna().all()
    assert (compared.accounts["score_before"].fillna(-1) == compared.accounts["score_after"].fillna(-1)).all()
    # and what it calls "before" is what was published
    health = published[WEEKS[-1]].health.to_pandas()
    assert list(compared.accounts["tier_before"]) == list(health["effective_tier"])


@pytest.mark.parametrize("count", [1, 3])
def test_a_run_with_the_folder_gives_the_tiers_that_were_said(
    features: pa.Table,
    published: dict[Week, ScoredWeeks],
    documents: JudgingDocuments,
    other: JudgingDocuments,
    count: int,
) -> None:
    weeks = WEEKS[-count:]
    compared = what_if(state(features, published, weeks), weeks, documents, other)
    assert len(compared.moved) > 5
    assert {"healthy", "watch"} <= set(compared.moved["tier_before"]) | set(compared.moved["tier_after"])
    done = published[weeks[0].shift(-1)]
    for week in weeks:
        done = run(features, week, other, PreviousWeek(done.health, done.contributions))
    health = done.health.to_pandas()
    said = compared.accounts
    assert list(said["account_id"]) == list(health["account_id"])
    assert list(said["tier_after"]) == list(health["effective_tier"])
    assert np.array_equal(said["score_after"], health["score"], equal_nan=True)


def test_the_main_measure_is_the_one_whose_contribution_moved_most(
    features: pa.Table, published: dict[Week, ScoredWeeks], documents: JudgingDocuments, other: JudgingDocuments
) -> None:
    week = WEEKS[-1]
    compared = what_if(state(features, published, [week]), [week], documents, other)
    driven = compared.moved[compared.moved["main_measure"].notna()]
    account = driven["account_id"].iloc[-1]
    before = PreviousWeek(published[WEEKS[-2]].health, published[WEEKS[-2]].contributions)
    sides = []
    for judging in (documents, other):
        rows = run(features, week, judging, before).contributions.to_pylist()
        sides.append({row["measure"]: row["contribution"] or 0.0 for row in rows if row["account_id"] == account})
    moves = {name: sides[1][name] - sides[0][name] for name in sides[0]}
    expected = max(moves, key=lambda name: abs(moves[name]))
    row = driven.iloc[-1]
    assert row["main_measure"] == expected
    assert row["main_measure_change"] == pytest.approx(moves[expected])


def test_what_a_person_decided_stays_on_both_sides(
    features: pa.Table, published: dict[Week, ScoredWeeks], documents: JudgingDocuments, other: JudgingDocuments
) -> None:
    week = [WEEKS[-1]]
    schema = mart_tables()["account_health_weekly"].arrow_schema
    decided = {"account_id": "acc_000", "week": WEEKS[-1].monday, "override_tier": "at_risk", "override_reason": "left"}
    start = replace(state(features, published, week), overrides=pa.Table.from_pylist([decided], schema=schema))
    compared = what_if(start, week, documents, other)
    row = compared.accounts.set_index("account_id").loc["acc_000"]
    assert (row["tier_before"], row["tier_after"]) == ("at_risk", "at_risk")
    assert "acc_000" not in set(compared.moved["account_id"])


def test_more_hours_bring_accounts_into_the_plan(
    features: pa.Table, published: dict[Week, ScoredWeeks], documents: JudgingDocuments
) -> None:
    week = [WEEKS[-1]]
    capacity = documents.capacity.model
    generous = replace(
        documents, capacity=replace(documents.capacity, model=capacity.model_copy(update={"hours_per_owner_week": 60}))
    )
    compared = what_if(state(features, published, week), week, documents, generous)
    enters, leaves = compared.plan_changes
    assert compared.moved.empty and len(enters) > 3 and not leaves


def compared_by_hand() -> WhatIf:
    columns = {
        "account_id": ["acc_1", "acc_2", "acc_3"],
        "tier_before": ["healthy", "watch", "watch"],
        "tier_after": ["watch", "watch", "not_scored"],
        "score_before": [73.0, 65.0, 66.0],
        "score_after": [70.0, 66.0, np.nan],
        "coverage_before": [1.0, 1.0, 0.6],
        "coverage_after": [1.0, 1.0, 0.4],
        "main_measure": ["stickiness", None, "csm_pulse"],
        "main_measure_change": [-2.5, 0.0, -9.0],
        "is_within_plan_before": [True, True, False],
        "is_within_plan_after": [True, False, True],
    }
    return WhatIf((WEEKS[-1],), pd.DataFrame(columns))


def test_the_text_says_who_moves_and_how_it_was_made() -> None:
    written = io.StringIO()
    console = Console(file=written, width=200, highlight=False)
    for part in what_if_text(compared_by_hand(), ["A [note]."], {"acc_1": "Nordlicht"}, Path("proposed")):
        console.print(part)
    text = " ".join(written.getvalue().split())
    for words in (
        "proposed against the documents in force, on the week of 2026-10-12",
        "scored anew from the published tier path of 2026-10-05 on. Nothing is published.",
        "A [note].",
        "healthy 1 0 -1",
        "not scored 0 1 +1",
        "2 accounts of 3 would move in 2026-10-12",
        "acc_1 Nordlicht healthy watch 73.00 70.00 stickiness (-2.50)",
        "acc_3 watch not scored 66.00 none CSM pulse (-9.00)",
        "Plan: 1 account would come within the owners' hours, 1 would leave them.",
    ):
        assert words in text, words


def test_the_csv_has_a_row_per_account_and_no_name(tmp_path: Path) -> None:
    write_csv(compared_by_hand(), tmp_path / "out.csv")
    rows = pd.read_csv(tmp_path / "out.csv")
    assert list(rows["account_id"]) == ["acc_1", "acc_2", "acc_3"]
    assert not [column for column in rows.columns if "name" in column]


def test_a_folder_without_a_judging_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="is not a folder"):
        check_folder(tmp_path / "nowhere")
    (tmp_path / "segmentation.yaml").write_text("{}")
    with pytest.raises(PolicyError, match=r"holds none of health_score\.yaml, company\.yaml"):
        check_folder(tmp_path)


def test_a_change_of_the_features_is_named(documents: JudgingDocuments) -> None:
    company = documents.company
    changed = replace(
        company, model=company.model.model_copy(update={"cutoff_hours": 12, "not_applicable_domains": ("usage",)})
    )
    assert changed_features(company, changed) == ["cutoff_hours"]
