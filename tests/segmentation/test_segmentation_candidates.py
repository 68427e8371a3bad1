"""Candidates over transforms and numbers of segments: their figures, the recommendation, and outlier groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Quarter
from health_pipeline.segmentation import candidates as candidates_module
from health_pipeline.segmentation.candidates import Candidates, below, fit_candidates, outlier_group
from health_pipeline.segmentation.quarterly import review_quarter
from health_pipeline.segmentation.registry import adopt_first, adoptions, model_of_quarter, recommended_models

Accounts = Callable[..., pa.Table]


@pytest.fixture(scope="module")
def candidates(accounts: Accounts, policy: Any) -> Candidates:
    return fit_candidates(accounts().to_pandas(), policy.model)


def test_each_transform_and_number_has_figures_and_the_planted_one_is_recommended(candidates: Candidates) -> None:
    tried = {(one.transform, one.k) for one in candidates.all}
    assert tried == {(name, k) for name in ("declared", "none", "log1p") for k in range(1, 7)}
    assert (candidates.recommended.transform, candidates.recommended.k) == ("declared", 4)
    assert candidates.shown[0] is candidates.recommended
    assert 1 < len(candidates.shown) <= 4
    four = candidates.recommended
    assert four.stability is not None
    assert four.stability.smallest > 0.95
    assert four.mixture_ari is not None
    assert four.mixture_ari > 0.9
    assert sum(four.sizes) == 240
    five = next(one for one in candidates.all if (one.transform, one.k) == ("declared", 5))
    assert not five.is_supported
    assert all((one.stability is None) == (one.k == 1) for one in candidates.all)
    assert any(failure.startswith("prediction strength 0.") for failure in five.failures)
    assert any(reason.startswith("4 segments: smallest 25% of the accounts") for reason in candidates.reasons)
    assert any(reason.startswith("not 5: ") and "prediction strength" in reason for reason in candidates.reasons)


def test_candidates_fitted_side_by_side_are_the_same(
    accounts: Accounts, policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparing = policy.model.model_copy(update={"transforms_tried": ("declared",), "most_segments": 4})
    said: list[str] = []
    one_by_one = fit_candidates(accounts().to_pandas(), sparing)
    monkeypatch.setattr(candidates_module, "SIDE_BY_SIDE_FROM", 1)
    monkeypatch.setattr(candidates_module, "cores", lambda: 3)
    assert fit_candidates(accounts().to_pandas(), sparing, said.append).figures() == one_by_one.figures()
    assert said[0] == "declared: gap statistic, 1 to 4 segments"
    assert [line.rsplit(", ", 1)[1] for line in said[1:]] == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]


def test_a_value_below_a_threshold_reads_as_below_it() -> None:
    assert below(0.7971, 0.8) == "0.79, below 0.8"
    assert below(0.3971, 0.8) == "0.40, below 0.8"


def test_the_figures_can_be_read_back_with_seeds_and_resampling(candidates: Candidates) -> None:
    figures = json.loads(json.dumps(candidates.figures()))
    assert figures["seed"] == 7
    assert figures["resampling"]["resamples"] == 8
    assert figures["resampling"]["starts"] == 20
    assert len(figures["candidates"]) == 18
    assert set(figures["gap"]) == {"declared", "none", "log1p"}
    assert len(figures["gap"]["declared"]["along_features"]) == 6


def test_a_handful_of_giants_is_an_outlier_group_and_no_segment(accounts: Accounts, policy: Any) -> None:
    rng = np.random.default_rng(3)
    frame = accounts(groups=1).to_pandas()
    frame["arr_reporting"] = rng.lognormal(9, 0.5, len(frame)).round()
    frame.loc[:4, "arr_reporting"] = 5e7
    # Raw, without winsorising, the giants pull a centre to themselves.
    raw = policy.model.model_copy(update={"winsorise": (0.0, 1.0), "transforms_tried": ("declared", "none")})
    found = fit_candidates(frame, raw)
    two = next(one for one in found.all if (one.transform, one.k) == ("none", 2))
    assert min(two.sizes) == 5
    assert outlier_group(5, 240, 0.05) in two.failures
    assert not two.is_supported
    assert outlier_group(11, 1948, 0.05) == (
        "11 of 1,948 accounts (0.6%) are an outlier group, not a segment: below the minimum share of 5%"
    )


def test_alternatives_can_be_adopted_and_are_not_by_themselves(
    accounts: Accounts, quarter: Quarter, policy: Any, tmp_path: Any
) -> None:
    review = review_quarter(accounts().to_pandas(), quarter, policy)
    assert review.alternatives.num_rows >= 1
    both = pa.concat_tables([review.alternatives, review.model])
    assert len(set(both["segment_model_id"].to_pylist())) == both.num_rows
    assert recommended_models(both).equals(review.model)
    read_back = model_of_quarter(both, review.assignments)
    assert read_back is not None
    assert review.fitted is not None
    assert read_back.names == review.fitted.names
    assert model_of_quarter(both, review.assignments.slice(0, 0)) is None
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    adopt_first(url, both, "first_automatic", datetime(2026, 10, 8, tzinfo=UTC))
    assert [one.segment_model_id for one in adoptions(url)] == review.model["segment_model_id"].to_pylist()


def test_names_stay_while_the_segments_do(accounts: Accounts, quarter: Quarter, policy: Any) -> None:
    first = review_quarter(accounts().to_pandas(), quarter, policy)
    assert first.fitted is not None
    renamed = type(first.fitted)(first.fitted.space, first.fitted.centres, ("gold", "silver", "bronze", "iron"))
    again = review_quarter(accounts(seed=5).to_pandas(), quarter, policy, renamed)
    assert again.fitted is not None
    # The four of equal revenue may be listed in another order: an account of each planted group keeps its name.
    then = renamed.assign(accounts().to_pandas())["segment"].iloc[:4].tolist()
    assert set(then) == {"gold", "silver", "bronze", "iron"}
    assert again.assignments["segment"].to_pylist()[:4] == then
    alone = review_quarter(accounts(seed=5, groups=2).to_pandas(), quarter, policy, renamed)
    assert alone.fitted is not None
    assert len(set(alone.fitted.names)) == len(alone.fitted.names)


def test_the_quarter_before() -> None:
    assert Quarter(date(2026, 1, 1)).previous == Quarter(date(2025, 10, 1))
    assert Quarter(date(2026, 3, 1), 12).previous == Quarter(date(2025, 12, 1), 12)
    assert Quarter(date(2025, 12, 1), 12).previous.next == Quarter(date(2025, 12, 1), 12)
