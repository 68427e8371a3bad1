"""The segmentation's policy: the built-in document, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from health_pipeline.policy.documents import BUILT_IN, PolicyError
from health_pipeline.policy.segmentation import load_segmentation

BUILT = yaml.safe_load((BUILT_IN / "segmentation.yaml").read_text())


def test_built_in_document_has_usage_engagement_and_revenue() -> None:
    policy = load_segmentation(None).model
    assert list(policy.dimensions) == ["usage", "engagement", "revenue"]
    assert policy.transforms["arr_reporting"] == ("revenue", "log1p")
    assert policy.n_init >= 20


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n_init": 1}, "n_init: Input should be greater than or equal to 20 (it says 1)"),
        ({"winsorise": [0.9, 0.1]}, "winsorise must be [low, high] with 0 <= low < high <= 1, got [0.9, 0.1]"),
        ({"revenue_dimension": "money"}, "revenue_dimension is 'money'; it must be one of usage, engagement, revenue"),
        (
            {"dimensions": {"revenue": {"features": {"arr_reportng": "log1p"}}}},
            "no numeric feature 'arr_reportng'; the nearest name is 'arr_reporting'",
        ),
        (
            {"dimensions": {"revenue": {"features": {"arr": "none"}}, "usage": {"features": {"arr": "log1p"}}}},
            "arr is in the dimensions revenue and usage; keep one of them",
        ),
        ({"dimensions": {"revenue": {"features": {"arr": "square"}}}}, "dimensions.revenue.features.arr"),
    ],
)
def test_a_wrong_document_is_refused_in_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    (tmp_path / "segmentation.yaml").write_text(yaml.safe_dump(BUILT | change, sort_keys=False))
    with pytest.raises(PolicyError) as caught:
        load_segmentation(tmp_path)
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")
