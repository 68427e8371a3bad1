"""Makes what the review's tests share importable, and opens ledgers for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from health_pipeline.review import Ledger
from health_pipeline.settings import Settings

if TYPE_CHECKING:
    from reviewing import SetClock

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def clock() -> SetClock:
    from reviewing import SetClock

    return SetClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def ledger(settings: Settings, clock: SetClock) -> Iterator[Ledger]:
    """A SQLite ledger with people and one detected case, `p-1`."""
    from reviewing import add_people, packet

    with Ledger.open(settings, clock) as opened:
        add_people(opened)
        opened.take_in("r1", [packet()])
        yield opened
