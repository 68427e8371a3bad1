"""Fixtures of the quality tests: an audited candidate with a row in every table, and its checks."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from health_pipeline.publication.candidate import Candidate
from health_pipeline.settings import Settings

if TYPE_CHECKING:
    from audited import Audited

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "publication"), str(HERE.parent / "risk")]


@pytest.fixture(scope="session")
def audited_candidate(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Weeks 0 to 2 and a quarter published, weeks 3 and 4 a candidate; one account is at risk in week 4."""
    from audited import Audited
    from mart_builder import FIRST_WEEK, QUARTER, build_quarter, build_tables, weeks_from
    from publishing import build, passing_verdict, publish_weeks
    from stored_bodies import with_stored_bodies

    from health_pipeline.publication.candidate import build_candidate
    from health_pipeline.publication.gate import publish

    settings = Settings(home=tmp_path_factory.mktemp("audited") / "home")
    publish_weeks(settings, weeks_from(0, 3))
    quarter = build_candidate(settings, build_quarter(), [], [QUARTER], "quarterly", datetime(2026, 10, 26))
    assert isinstance(quarter, Candidate)
    publish(settings, quarter, passing_verdict(quarter, {}), datetime(2026, 10, 26))
    weeks = weeks_from(3, 2)
    tables = build_tables(weeks, scores={("a0000", FIRST_WEEK.shift(4)): 20.0})
    candidate = build(settings, weeks, with_stored_bodies(settings, tables))
    assert isinstance(candidate, Candidate)
    return Audited(candidate, tuple(weeks), (QUARTER.first_day,))
