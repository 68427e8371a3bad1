"""Makes what the fault tests share importable, and ends what a failed test left running."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from health_pipeline.settings import Settings

if TYPE_CHECKING:
    from killed_runs import Command

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / room) for room in ("publication", "quality", "review"))]


@pytest.fixture(scope="session")
def three_weeks_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with weeks 0, 1 and 2 in two releases; tests get copies of it."""
    from mart_builder import weeks_from
    from publishing import publish_weeks

    home = tmp_path_factory.mktemp("three-weeks") / "home"
    publish_weeks(Settings(home=home), weeks_from(0, 2))
    publish_weeks(Settings(home=home), weeks_from(2, 1))
    return home


@pytest.fixture
def published(tmp_path: Path, three_weeks_home: Path) -> Settings:
    """Weeks 0 and 1 in one release, week 2 in the next."""
    settings = Settings(home=tmp_path / "home")
    shutil.copytree(three_weeks_home, settings.home, symlinks=True)
    return settings


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., Command]]:
    """Starts the command line in a process group of its own."""
    from killed_runs import start_command

    started: list[Command] = []

    def starting(settings: Settings, output: Path, *arguments: str, crash_at: str = "") -> Command:
        started.append(start_command(settings, output, *arguments, crash_at=crash_at))
        return started[-1]

    yield starting
    for command in started:
        if command.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(command.process.pid, signal.SIGKILL)
            command.process.wait(timeout=30)
