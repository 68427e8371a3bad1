"""Fixtures of the orchestration tests: a state folder with three published weeks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from health_pipeline.settings import Settings

sys.path[:0] = [
    str(Path(__file__).parent.parent / room) for room in ("publication", "observability", "quality", "sources")
]


@pytest.fixture(scope="session")
def published_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with weeks 0, 1 and 2 in one release; tests get copies of it."""
    from mart_builder import weeks_from
    from publishing import publish_weeks

    home = tmp_path_factory.mktemp("published") / "home"
    publish_weeks(Settings(home=home), weeks_from(0, 3))
    return home
