"""Makes what the fault tests share importable, and ends what a failed test left running."""

from __future__ import annotations

import os
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

sys.path.insert(0, str(Path(__file__).parent))


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
