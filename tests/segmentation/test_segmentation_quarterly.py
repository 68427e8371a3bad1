"""The quarter's review: planted groups are found, named and assigned; what can't be clustered is said so."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.content import content_hash
from health_pipeline.contract.mart import mart_tables
from health_pipeline.segmentation.model import SegmentModel
from health_pipeline.segmentation.quarterly import QuarterlyReview, review_quarter

Accounts = Callable[..., pa.Table]


@pytest.fixture(scope="module")
def review(accounts: Accounts, quarter: Quarter, policy: Any) -> QuarterlyReview:
    return review_quarter(accounts().to_pandas(), quarter, policy)


def test_planted_groups_are_found_and_named(review: QuarterlyReview) -> None:
    row = review.model.to_pylist()[0]
    assert (row["k"], row["status"], row["accounts"], row["n_init"]) == (4, "candidate", 240, 20)
    names = [segment["name"] for segment in json.loads(row["segments"])]
    assert names[0] == "high usage, high engagement, high revenue"
    assert {name.split(", high revenue")[0].split(", low revenue")[0] for name in names} == {
        "high usage, high engagement",
        "high usage, low engagement",
        "low usage, high engagement",
        "low usage, low engagement",
    }
    groups = pd.Series(review.assignments["segment"].to_pylist()).groupby(np.arange(240) % 4).nunique()
    assert (groups == 1).all()


def test_tables_are_the_contract_s(review: QuarterlyReview) -> None:
    for name, table in (
        ("segment_models", review.model),
        ("segment_assignments_quarterly", review.assignments),
        ("segment_performance_quarterly", review.performance),
    ):
        assert table.schema.equals(mart_tables()[name].arrow_schema), name
    assert review.assignments["account_id"].to_pylist() == sorted(review.assignments["account_id"].to_pylist())


def test_performance_adds_up(review: QuarterlyReview, accounts: Accounts) -> None:
    performance = review.performance.to_pylist()
    assert sum(row["accounts"] for row in performance) == 240
    assert sum(row["accounts_share"] for row in performance) == pytest.approx(1)
    assert sum(row["arr_share"] for row in performance) == pytest.approx(1)
    assert sum(row["arr_reporting"] for row in performance) == sum(accounts()["arr_reporting"].to_pylist())
    assert performance[0]["segment"] == "high usage, high engagement, high revenue"
    assert "unsegmented" not in {row["segment"] for row in performance}


def test_a_company_without_recurring_revenue_has_none_that_is_known(
    accounts: Accounts, quarter: Quarter, policy: Any
) -> None:
    features = accounts().to_pandas()
    features["arr_reporting"] = None
    performance = review_quarter(features, quarter, policy).performance.to_pylist()
    assert sum(row["accounts"] for row in performance) == 240
    assert {(row["arr_reporting"], row["arr_share"]) for row in performance} == {(None, None)}


def test_the_published_row_is_enough_to_assign(review: QuarterlyReview, accounts: Accounts) -> None:
    model = SegmentModel.from_json(review.model["parameters"][0].as_py())
    again = model.assign(accounts().to_pandas())
    assert again["segment"].tolist() == review.assignments["segment"].to_pylist()
    np.testing.assert_array_equal(again["distance_to_centre"], review.assignments["distance_to_centre"].to_pandas())
    alone = model.assign(accounts().to_pandas().iloc[[17]])
    assert alone["segment"].iloc[0] == review.assignments["segment"][17].as_py()


def test_the_order_of_rows_plays_no_part_and_the_data_does(
    review: QuarterlyReview, accounts: Accounts, quarter: Quarter, policy: Any
) -> None:
    shuffled = accounts().take(np.random.default_rng(1).permutation(240)).to_pandas()
    again = review_quarter(shuffled, quarter, policy)
    assert again.model.equals(review.model)
    assert content_hash(again.assignments) == content_hash(review.assignments)
    other = review_quarter(accounts(seed=9).to_pandas(), quarter, policy)
    assert other.model["segment_model_id"][0] != review.model["segment_model_id"][0]


def test_noise_is_one_segment(as_table: Any, quarter: Quarter, policy: Any) -> None:
    rng = np.random.default_rng(4)
    rows = [
        {
            "account_id": f"a{n:03d}",
            "active_users_28d": int(rng.lognormal(3, 0.5)),
            "license_utilisation": float(rng.uniform()),
            "active_days_28d": int(rng.normal(14, 4)),
            "feature_breadth_28d": int(rng.normal(20, 5)),
            "meetings_91d": int(rng.lognormal(3, 0.5)),
            "engaged_contacts_91d": int(rng.lognormal(3, 0.5)),
            "arr_reporting": Decimal(int(rng.lognormal(9, 1))),
            "invoiced_amount_91d": Decimal(int(rng.lognormal(8, 1))),
        }
        for n in range(250)
    ]
    found = review_quarter(as_table(rows).to_pandas(), quarter, policy)
    assert found.model["k"].to_pylist() == [1]
    assert set(found.assignments["segment"].to_pylist()) == {"all accounts"}
    assert found.model["silhouette"].to_pylist() == [None]


def test_too_little_known_is_unsegmented_with_a_reason(accounts: Accounts, quarter: Quarter, policy: Any) -> None:
    frame = accounts().to_pandas()
    frame.loc[3, ["usage_status", "engagement_status"]] = "missing"
    frame.loc[4, "meetings_91d"] = None
    found = review_quarter(frame, quarter, policy)
    row = found.assignments.to_pylist()[3]
    assert row["segment"] == "unsegmented"
    assert row["unsegmented_reason"] == "14% of the features are known, 60% are needed; missing: usage, engagement"
    assert row["distance_to_centre"] is None
    assert found.assignments.to_pylist()[4]["segment"] != "unsegmented"
    assert found.performance.to_pylist()[-1]["segment"] == "unsegmented"
    assert found.model["accounts"].to_pylist() == [239]


def test_a_dimension_without_a_source_is_dropped_and_named(accounts: Accounts, quarter: Quarter, policy: Any) -> None:
    frame = accounts(usage_status="missing").to_pandas()
    found = review_quarter(frame, quarter, policy)
    assert found.dropped["usage"] == (
        "no feature of the dimension is left: nothing is known of it: usage is not connected or not applicable"
    )
    assert "usage" not in found.performance["segment"][0].as_py()
    assert json.loads(found.model["features"][0].as_py())[0] == "meetings_91d"
    kept = json.loads(found.model["parameters"][0].as_py())["space"]["dropped"]
    assert kept == found.dropped


def test_nothing_connected_segments_nobody(accounts: Accounts, quarter: Quarter, policy: Any) -> None:
    statuses = dict.fromkeys(("usage_status", "engagement_status", "commercial_status"), "missing")
    found = review_quarter(accounts(**statuses).to_pandas(), quarter, policy)
    assert found.unfitted_reason == "no dimension of the policy is connected"
    assert found.model.num_rows == 0
    assert set(found.assignments["segment"].to_pylist()) == {"unsegmented"}


@pytest.mark.parametrize("few", [0, 1, 59])
def test_a_tiny_quarter_segments_nobody_and_does_not_fail(
    accounts: Accounts, quarter: Quarter, policy: Any, few: int
) -> None:
    found = review_quarter(accounts().slice(0, few).to_pandas(), quarter, policy)
    assert found.unfitted_reason is not None
    assert found.model.num_rows == 0
    assert found.assignments.num_rows == few
    assert found.assignments["segment_model_id"].to_pylist() == [None] * few
    assert set(found.assignments["unsegmented_reason"].to_pylist()) <= {found.unfitted_reason}
    assert found.performance["accounts"].to_pylist() == ([few] if few else [])


def test_outliers_and_credits_move_no_centre_far(
    review: QuarterlyReview, accounts: Accounts, quarter: Quarter, policy: Any
) -> None:
    frame = accounts().to_pandas()
    frame.loc[0, "arr_reporting"] = Decimal("99999999999.00")
    frame.loc[1, "invoiced_amount_91d"] = Decimal("-500.00")
    found = review_quarter(frame, quarter, policy)
    assert found.model["k"].to_pylist() == [4]
    assert np.isfinite(found.assignments["distance_to_centre"].to_pandas()).all()


def test_wrong_input_is_refused_in_a_sentence(accounts: Accounts, quarter: Quarter, policy: Any) -> None:
    frame = accounts(accounts=20).to_pandas()
    with pytest.raises(ValueError, match="is reviewed on its last week 2026-09-28, but the features hold 2026-09-21"):
        review_quarter(frame.assign(week=date(2026, 9, 21)), quarter, policy)
    with pytest.raises(ValueError, match="account account-0000 has two rows"):
        review_quarter(pd.concat([frame, frame]), quarter, policy)
    with pytest.raises(ValueError, match="lack meetings_91d"):
        review_quarter(frame.drop(columns="meetings_91d"), quarter, policy)
