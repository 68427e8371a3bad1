"""Weeks scored in a run: types, splitting, order, versions, movements, changes, watermelons."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.content import content_hash
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import BUILT_IN, Document
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score
from health_pipeline.scoring.weekly import PreviousWeek, ScoredWeeks, policy_version

TABLES = {
    "health": "account_health_weekly",
    "contributions": "score_contributions_weekly",
    "changes": "score_changes_weekly",
    "movements": "tier_movements_weekly",
    "watermelons": "watermelon_accounts_weekly",
}
PARTS = [f"change_from_{part}" for part in ("code", "policy", "scorecard", "coverage", "data")]
Score = Callable[..., ScoredWeeks]
Rows = Callable[..., pa.Table]


@pytest.fixture(scope="module")
def thirteen(drifting: Rows, first_week: Week) -> pa.Table:
    return drifting(40, [first_week.shift(n) for n in range(13)])


@pytest.mark.parametrize("field", TABLES)
def test_tables_are_the_contract_s(score: Score, thirteen: pa.Table, field: str) -> None:
    table = getattr(score(thirteen), field)
    contract = mart_tables()[TABLES[field]]
    assert table.schema.equals(contract.arrow_schema)
    keys = table.select(list(contract.key)).to_pandas()
    assert len(keys) > 0
    assert not keys.duplicated().any()


def test_a_run_over_weeks_and_a_run_per_week_are_the_same(score: Score, thirteen: pa.Table, first_week: Week) -> None:
    whole = score(thirteen)
    parts, before = [], PreviousWeek(whole.health.slice(0, 0), whole.contributions.slice(0, 0))
    for n in range(13):
        part = score(thirteen, weeks=[first_week.shift(n)], previous=before)
        before = PreviousWeek(part.health, part.contributions)
        parts.append(part)
    for field in TABLES:
        assert getattr(whole, field).equals(pa.concat_tables([getattr(part, field) for part in parts])), field


def test_the_order_of_rows_plays_no_part(score: Score, thirteen: pa.Table) -> None:
    shuffled = thirteen.take(np.random.default_rng(3).permutation(thirteen.num_rows))
    one, other = score(thirteen), score(shuffled)
    for field in TABLES:
        assert content_hash(getattr(one, field)) == content_hash(getattr(other, field)), field


def test_contributions_sum_to_the_score_and_are_null_without_one(score: Score, thirteen: pa.Table) -> None:
    scored = score(thirteen)
    contributions = scored.contributions.to_pandas()
    sums = contributions.groupby(["account_id", "week"])["contribution"].agg(lambda c: c.sum(min_count=1))
    scores = scored.health.to_pandas().set_index(["account_id", "week"])["score"]
    assert scores.isna().any() and scores.notna().any()
    pd.testing.assert_series_equal(sums.reindex(scores.index), scores, check_names=False, atol=1e-9, rtol=0)
    nominal = contributions[contributions["status"] != "not_applicable"].groupby(["account_id", "week"])
    assert nominal["nominal_weight"].sum().between(1 - 1e-9, 1 + 1e-9).all()
    measured = contributions[contributions["curve_value"].notna()].groupby(["account_id", "week"])["nominal_weight"]
    coverage = scored.health.to_pandas().set_index(["account_id", "week"])["coverage"]
    pd.testing.assert_series_equal(
        measured.sum().reindex(coverage.index).fillna(0), coverage, check_names=False, atol=1e-9
    )


def test_parts_sum_to_the_change(score: Score, thirteen: pa.Table) -> None:
    changes = score(thirteen).changes.to_pandas()
    known = changes.dropna(subset=["score_change"])
    parts = known[PARTS]
    np.testing.assert_allclose(parts.sum(axis=1), known["score_change"], atol=1e-9, rtol=0)
    np.testing.assert_allclose(known["score_after"] - known["score_before"], known["score_change"], atol=1e-9)
    unknown = changes[changes["score_change"].isna()]
    assert (unknown["score_before"].isna() | unknown["score_after"].isna()).all()
    assert unknown[PARTS].isna().all().all()
    assert changes["not_split_reason"].isna().all()


def change_of(scored: ScoredWeeks) -> pd.Series:
    return scored.changes.to_pandas().iloc[-1]


def test_a_changed_value_is_data(score: Score, one_account: Rows) -> None:
    change = change_of(score(one_account([{}, {"open_backlog": 10}])))
    assert change["score_change"] < 0
    assert change["change_from_data"] == pytest.approx(change["score_change"], abs=1e-12)
    assert change["change_from_policy"] == 0
    assert change["change_from_coverage"] == 0
    assert change["main_driver"] == "open_backlog"
    assert change["main_driver_change"] == pytest.approx(change["score_change"], abs=1e-9)


def test_a_measure_that_vanishes_is_coverage(score: Score, one_account: Rows) -> None:
    change = change_of(score(one_account([{"csm_sentiment": 1.0}, {"csm_sentiment": None}])))
    assert change["change_from_coverage"] > 0
    assert change["change_from_data"] == pytest.approx(0, abs=1e-9)
    assert change["change_from_coverage"] == pytest.approx(change["score_change"], abs=1e-9)


def test_nothing_changed_has_no_driver(score: Score, one_account: Rows) -> None:
    change = change_of(score(one_account([{}, {}])))
    assert change[["score_change", *PARTS]].tolist() == [0] * 6
    assert pd.isna(change["main_driver"])


def test_another_scorecard_is_the_scorecard(score: Score, one_account: Rows) -> None:
    change = change_of(score(one_account([{"lifecycle_stage": "onboarding"}, {"lifecycle_stage": "established"}])))
    assert abs(change["change_from_scorecard"]) > 0.1
    assert change["change_from_policy"] == 0


def test_a_changed_policy_is_told_apart_from_changed_values(
    score: Score, one_account: Rows, changed: Callable[..., Document[HealthScorePolicy]], policy: Any, first_week: Week
) -> None:
    table = one_account([{"open_backlog": 4}, {"open_backlog": 12}])
    before = score(table, weeks=[first_week])
    heavier = changed(groups=policy.model.groups | {"support": 29.0})
    after = score(
        table,
        weeks=[first_week.shift(1)],
        policy=heavier,
        previous=PreviousWeek(before.health, before.contributions),
    )
    change = change_of(after)
    replayed = score(table, weeks=[first_week], policy=heavier).health["score"][0].as_py()
    assert change["change_from_policy"] == pytest.approx(replayed - before.health["score"][0].as_py(), abs=1e-9)
    assert change["change_from_data"] == pytest.approx(after.health["score"][0].as_py() - replayed, abs=1e-9)
    assert change["change_from_policy"] != 0
    versions = {before.health["policy_version"][0].as_py(), after.health["policy_version"][0].as_py()}
    assert len(versions) == 2


def test_a_measure_that_the_old_policy_did_not_have_comes_with_the_policy(
    score: Score, one_account: Rows, changed: Callable[..., Document[HealthScorePolicy]], policy: Any, first_week: Week
) -> None:
    plain = policy.model.model_dump(by_alias=True)["measures"]
    fewer = changed(measures={name: measure for name, measure in plain.items() if name != "nps"})
    table = one_account([{"nps_account_90d": -90.0}, {"nps_account_90d": -90.0}])
    before = score(table, weeks=[first_week], policy=fewer)
    previous = PreviousWeek(before.health, before.contributions)
    change = change_of(score(table, weeks=[first_week.shift(1)], previous=previous))
    assert change["change_from_policy"] < -1
    assert change["change_from_policy"] == pytest.approx(change["score_change"], abs=1e-9)


def test_versions_and_clocks_are_on_every_row(score: Score, one_account: Rows, policy: Any, company: Any) -> None:
    row = score(one_account([{}])).health.to_pylist()[0]
    assert row["policy_version"] == policy_version(policy, company)
    assert row["code_version"].startswith("scoring-")
    assert row["as_of_at"].date() == row["week"] + timedelta(days=7)
    assert row["known_at"] - row["as_of_at"] == timedelta(hours=company.model.cutoff_hours)
    assert row["arr_reporting"] == Decimal("12000.00")
    assert row["effective_tier"] == row["tier"]
    assert row["override_tier"] is None


def test_segments_come_from_the_frame_and_default_to_unsegmented(
    score: Score, features: Rows, first_week: Week
) -> None:
    table = features([{"account_id": name, "week": first_week.monday} for name in ("a", "b")])
    segments = pd.DataFrame(
        {"account_id": ["a"], "week": [first_week.monday], "segment": ["high usage"], "segment_model_id": ["m1"]}
    )
    rows = score(table, segments=segments).health.to_pylist()
    assert [(row["segment"], row["segment_model_id"]) for row in rows] == [("high usage", "m1"), ("unsegmented", None)]
    as_timestamps = segments.assign(week=pd.to_datetime(segments["week"]))
    assert score(table, segments=as_timestamps).health.to_pylist() == rows


def test_movements(score: Score, features: Rows, first_week: Week) -> None:
    first, second = first_week.monday, first_week.shift(1).monday
    unknown = {"outcomes_status": "missing", "usage_status": "missing", "engagement_status": "missing"}
    notice = {"is_cancellation_scheduled": True}
    rows = [
        {"account_id": "leaves", "week": first, "arr_reporting": Decimal("7.00")},
        {"account_id": "stays", "week": first},
        {"account_id": "falls", "week": first},
        {"account_id": "rises", "week": first, **notice},
        {"account_id": "unknown", "week": first},
        {"account_id": "known", "week": first, **unknown},
        {"account_id": "new", "week": second},
        {"account_id": "stays", "week": second},
        {"account_id": "falls", "week": second, **notice},
        {"account_id": "rises", "week": second},
        {"account_id": "unknown", "week": second, **unknown},
        {"account_id": "known", "week": second},
    ]
    moved = score(features(rows)).movements.to_pandas()
    assert set(moved["week"]) == {second}, "the very first week has nothing to compare with"
    assert dict(zip(moved["account_id"], moved["movement"], strict=True)) == {
        "falls": "down",
        "known": "first_scored",
        "leaves": "left",
        "new": "appeared",
        "rises": "up",
        "unknown": "lost_score",
    }
    left = moved.set_index("account_id").loc["leaves"]
    assert (left["tier_before"], left["arr_reporting"]) == ("healthy", Decimal("7.00"))
    assert pd.isna(left["tier_after"])
    assert moved.set_index("account_id").loc["falls", "tier_reason"] == "decisive"


def test_an_account_that_left_is_in_no_later_table(score: Score, features: Rows, first_week: Week) -> None:
    rows = [
        {"account_id": name, "week": first_week.shift(n).monday} for name, n in [("a", 0), ("b", 0), ("a", 1), ("a", 2)]
    ]
    scored = score(features(rows))
    assert scored.health.filter(pc.field("week") > first_week.monday)["account_id"].to_pylist() == ["a", "a"]
    assert set(scored.contributions.filter(pc.field("week") > first_week.monday)["account_id"].to_pylist()) == {"a"}
    assert scored.movements.to_pandas()[["account_id", "movement"]].values.tolist() == [["b", "left"]]


def test_an_empty_week_is_a_week(score: Score, features: Rows, one_account: Rows, first_week: Week) -> None:
    empty = features([])
    scored = score(empty, weeks=[first_week])
    assert all(getattr(scored, field).num_rows == 0 for field in TABLES)
    before = score(one_account([{}]))
    gone = score(empty, weeks=[first_week.shift(1)], previous=PreviousWeek(before.health, before.contributions))
    assert gone.movements["movement"].to_pylist() == ["left"]


def test_services_are_scored_without_usage(score: Score, one_account: Rows) -> None:
    folder = BUILT_IN / "professional_services"
    table = one_account([{"usage_status": "not_applicable", "license_utilisation": None}])
    scored = score(table, policy=load_health_score(folder), company=load_company(folder))
    row = scored.health.to_pylist()[0]
    assert (row["tier"], row["coverage"]) == ("healthy", pytest.approx(1.0))
    assert "usage" not in scored.contributions["measure_group"].to_pylist()


def test_wrong_input_is_refused_in_a_sentence(score: Score, one_account: Rows, first_week: Week) -> None:
    table = one_account([{}, {}])
    with pytest.raises(ValueError, match="the tier path needs every week in order"):
        score(table, weeks=[first_week, first_week.shift(2)])
    with pytest.raises(ValueError, match="no week to score"):
        score(table, weeks=[])
    scored = score(table)
    with pytest.raises(ValueError, match=f"continues from {first_week.shift(4)}, but the previous health hold"):
        score(table, weeks=[first_week.shift(5)], previous=PreviousWeek(scored.health, scored.contributions))
    with pytest.raises(ValueError, match=f"account a has two rows in week {first_week}"):
        score(pa.concat_tables([table, table]))
    with pytest.raises(ValueError, match="lack open_backlog; build account_features_weekly anew"):
        score(table.drop_columns(["open_backlog"]))
    twice = pd.DataFrame(
        {
            "account_id": ["a", "a"],
            "week": [first_week.monday] * 2,
            "segment": ["x", "y"],
            "segment_model_id": ["m", "m"],
        }
    )
    with pytest.raises(ValueError, match="account a has two segments"):
        score(table, segments=twice)


def test_ten_thousand_accounts_are_scored_in_seconds(score: Score, drifting: Rows, first_week: Week) -> None:
    some = drifting(200, [first_week])
    rows = some.take(np.arange(10_000) % some.num_rows)
    position = rows.schema.get_field_index("account_id")
    many = rows.set_column(position, "account_id", pa.array([f"account-{n:05d}" for n in range(10_000)]))
    started = time.perf_counter()
    scored = score(many)
    # Half a second on two idle cores; the bound leaves room for a loaded machine.
    assert time.perf_counter() - started < 5
    assert scored.health.num_rows == 10_000
    assert isinstance(scored.health["week"][0].as_py(), date)
