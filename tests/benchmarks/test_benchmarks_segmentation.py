"""The benchmark of the quarterly review on a small company: it reviews all it says it reviews."""

from __future__ import annotations

import pytest
from rich.console import Console

from benchmarks.segmentation import DIMENSIONS, review


@pytest.mark.long
def test_ten_candidates_of_twelve_features_are_reviewed_and_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(len(features) for features in DIMENSIONS.values()) == 12
    found = review(600, "groups", 1, Console(highlight=False, soft_wrap=True))
    assert (found.accounts, found.candidates, found.segments) == (600, 10, 5)
    told = capsys.readouterr().out
    for step in ("declared: gap statistic", "10 of 10", "stability over time", "new dimensions", "strategies", "done"):
        assert step in told
    assert found.cpu_seconds > 0
    assert found.peak_bytes > 100 * 2**20
