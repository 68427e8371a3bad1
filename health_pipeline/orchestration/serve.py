"""Starts the servers a person looks at: Dagster's UI (and the review desk, once it is there)."""

from __future__ import annotations

import signal
import subprocess
import sys

from health_pipeline.orchestration.home import prepare_home
from health_pipeline.settings import REPOSITORY, Settings


def serve(settings: Settings, port: int) -> int:
    """Run `dagster dev` in this checkout until it is stopped; returns its exit code."""
    prepare_home(settings)
    command = [
        sys.executable,
        # `dagster dev` is the command of this Dagster; its advice to use another tool is not for who reads this.
        "-W",
        "ignore:Function `dev_command` is superseded",
        "-m",
        "dagster",
        "dev",
        "-w",
        str(REPOSITORY / "workspace.yaml"),
        "-p",
        str(port),
    ]
    # Started in a script's background, SIGINT is ignored, and Dagster would inherit that and never stop.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Not in the checkout: Dagster would warn of the `dagster.yaml` there, which is what `prepare_home` copied.
    server = subprocess.Popen(command, cwd=settings.home)
    # Stopped by SIGTERM, as a service is, Dagster must hear of it: else its processes live on.
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        return server.wait()
    except KeyboardInterrupt:
        return server.wait()
