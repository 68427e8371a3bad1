"""Starts the servers a person looks at: Dagster's UI (and the review desk, once it is there)."""

from __future__ import annotations

import subprocess
import sys

from health_pipeline.orchestration.home import prepare_home
from health_pipeline.settings import REPOSITORY, Settings


def serve(settings: Settings, port: int) -> int:
    """Run `dagster dev` in this checkout until it is stopped; returns its exit code."""
    prepare_home(settings)
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-w",
        str(REPOSITORY / "workspace.yaml"),
        "-p",
        str(port),
    ]
    try:
        return subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    except KeyboardInterrupt:
        return 0
