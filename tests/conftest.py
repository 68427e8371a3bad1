"""What holds for all tests: the longest file goes first, so that two workers end at about the same time."""

from __future__ import annotations

import pytest

LONGEST = "test_orchestration_end_to_end.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != LONGEST)
