"""scikit-learn's own checks of an estimator: on the scorer where they apply, and on it behind columns of numbers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

from health_pipeline.policy.features import feature
from health_pipeline.scoring.scorer import HealthScorer

NAMED = "reads columns by name, numbers beside statuses: a check that gives numbers without names can't be judged"
# Everything that hands in an array. The first test keeps this list as short as it can be.
NOT_FOR_NAMED_COLUMNS = dict.fromkeys(
    (
        "check_fit_score_takes_y", "check_estimators_overwrite_params", "check_dont_overwrite_parameters",
        "check_estimators_fit_returns_self", "check_readonly_memmap_input", "check_n_features_in_after_fitting",
        "check_positive_only_tag_during_fit", "check_estimators_dtypes", "check_complex_data", "check_dtype_object",
        "check_estimators_empty_data_messages", "check_pipeline_consistency", "check_estimator_sparse_tag",
        "check_estimator_sparse_array", "check_estimator_sparse_matrix", "check_estimators_pickle",
        "check_f_contiguous_array_estimator", "check_transformer_data_not_an_array", "check_transformer_general",
        "check_transformer_preserve_dtypes", "check_transformers_unfitted_stateless",
        "check_methods_sample_order_invariance", "check_methods_subset_invariance", "check_fit2d_1sample",
        "check_fit2d_1feature", "check_dict_unchanged", "check_fit_idempotent", "check_fit_check_is_fitted",
        "check_n_features_in", "check_fit1d", "check_fit2d_predict1d",
    ),
    NAMED,
)  # fmt: skip


class FromNumbers(HealthScorer):
    """The scorer behind an array: its columns are the policy's first features, all measured; the others are missing."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        tags.input_tags.string = False
        return tags

    def fit(self, X: Any, y: Any = None) -> FromNumbers:
        numbers = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64)
        super().fit()
        self.n_features_in_ = numbers.shape[1]
        del self.feature_names_in_
        return self

    def transform(self, X: Any) -> Any:
        check_is_fitted(self, "measures_")
        numbers = validate_data(self, X, reset=False, ensure_all_finite="allow-nan", dtype=np.float64)
        names = list(dict.fromkeys(measure.feature for measure in self.measures_.values()))
        given = dict(zip(names, numbers.T, strict=False))
        columns: dict[str, Any] = {name: given.get(name, np.full(len(numbers), np.nan)) for name in names}
        columns |= {feature(name).status_column: np.full(len(numbers), "measured") for name in names}
        return super().transform(pd.DataFrame(columns | {"lifecycle_stage": "established"}))

    def _check_columns(self, X: pd.DataFrame) -> None:
        """Columns are made here."""


def statuses(estimator: HealthScorer, expected: dict[str, str]) -> dict[str, set[str]]:
    """Names of scikit-learn's checks by what came of them."""
    found: dict[str, set[str]] = {}
    for result in check_estimator(estimator, expected_failed_checks=expected, on_fail=None, on_skip=None):
        found.setdefault(result["status"], set()).add(result["check_name"])
    return found


def test_the_checks_that_need_no_array_pass_on_the_scorer() -> None:
    found = statuses(HealthScorer(), NOT_FOR_NAMED_COLUMNS)
    assert "failed" not in found
    assert found["xfail"] == set(NOT_FOR_NAMED_COLUMNS), "one passes by now: take it off the list"
    assert {"check_estimator_cloneable", "check_no_attributes_set_in_init", "check_set_params"} < found["passed"]


def test_behind_columns_of_numbers_every_check_passes() -> None:
    found = statuses(FromNumbers(), {})
    assert set(found) == {"passed", "skipped"}
    # scikit-learn leaves it out where its environment does not ask for it.
    assert found["skipped"] == {"check_array_api_input"}
    # What needs no fit is checked on the scorer itself; this one has to learn how many columns there are.
    assert set(NOT_FOR_NAMED_COLUMNS) - found["passed"] == {"check_transformers_unfitted_stateless"}


@pytest.fixture
def frame(features: Callable[..., pa.Table], first_week: Any) -> pd.DataFrame:
    rows = [{"account_id": f"a{n}", "week": first_week.monday, "open_backlog": n} for n in range(4)]
    return features(rows).to_pandas().set_index("account_id", drop=False)


def test_names_in_and_out(frame: pd.DataFrame) -> None:
    scorer = HealthScorer().fit(frame)
    assert scorer.n_features_in_ == len(scorer.feature_names_in_) == len(set(scorer.feature_names_in_))
    assert set(scorer.feature_names_in_) < set(frame.columns)
    names = scorer.get_feature_names_out()
    assert names.dtype == object
    assert scorer.transform(frame).shape == (4, len(names))
    # Columns are read by name: others beside them, and their order, play no part.
    only = frame[list(reversed(scorer.feature_names_in_))]
    np.testing.assert_array_equal(scorer.transform(only), scorer.transform(frame))


def test_pandas_output_keeps_the_rows(frame: pd.DataFrame) -> None:
    scorer = HealthScorer().set_output(transform="pandas")
    out = scorer.fit_transform(frame)
    assert list(out.index) == ["a0", "a1", "a2", "a3"]
    assert list(out.columns) == list(scorer.get_feature_names_out())
    np.testing.assert_array_equal(out, HealthScorer().fit_transform(frame))


def test_it_works_among_other_steps(frame: pd.DataFrame) -> None:
    read = HealthScorer().fit().feature_names_in_
    steps = ColumnTransformer(
        [("health", HealthScorer(), list(read)), ("own", "passthrough", ["account_tenure_days"])],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    out = Pipeline([("score", clone(steps))]).fit_transform(frame)
    assert out["score"].tolist() == HealthScorer().fit_transform(frame)[:, 0].tolist()
    assert out["account_tenure_days"].tolist() == frame["account_tenure_days"].tolist()


def test_a_pickled_scorer_scores_the_same(frame: pd.DataFrame) -> None:
    scorer = HealthScorer(not_applicable_domains=("risk",)).fit(frame)
    again = pickle.loads(pickle.dumps(scorer))
    np.testing.assert_array_equal(again.transform(frame), scorer.transform(frame))
