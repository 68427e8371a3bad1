"""Each named crash point is used by a test, and each one a test names is there."""

from __future__ import annotations

import re
from pathlib import Path

import health_pipeline
from health_pipeline.observability.crash_points import ENVIRONMENT, crash_point

PRODUCT = Path(health_pipeline.__file__).parent
TESTS = Path(__file__).parent.parent
POINT = re.compile(r'crash_point\("([a-z_.]+)"\)')


def points() -> list[str]:
    return [name for path in sorted(PRODUCT.rglob("*.py")) for name in POINT.findall(path.read_text(encoding="utf-8"))]


def test_every_crash_point_has_a_name_of_its_own_and_a_test() -> None:
    names = points()
    assert len(names) == len(set(names)) >= 14
    written = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    assert [name for name in names if f'"{name}"' not in written] == []


def test_a_crash_point_does_nothing_unless_it_is_the_one_that_is_named(monkeypatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    crash_point("audit.before_verdict")
    monkeypatch.setenv(ENVIRONMENT, "audit.before")
    crash_point("audit.before_verdict")
