"""Starts the servers a person looks at: Dagster's UI and the review desk."""

from __future__ import annotations

import signal
import subprocess
import sys

from health_pipeline.observability.free_port import require_free_port
from health_pipeline.orchestration.home import prepare_home
from health_pipeline.settings import REPOSITORY, Settings


def serve(settings: Settings, port: int, desk_port: int, demo_sign_in: bool) -> int:
    """Run `dagster dev` in this checkout and the desk beside it until they are stopped; returns Dagster's exit code.

    Raises
    ------
    PortInUseError
        If another process has one of the ports; nothing is started then.
    """
    require_free_port("127.0.0.1", port, "--port")
    require_free_port("127.0.0.1", desk_port, "--desk-port")
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
    desk = subprocess.Popen(_desk_command(desk_port, demo_sign_in), cwd=REPOSITORY)

    # Stopped by SIGTERM, as a service is, both must hear of it: else their processes live on.
    def stop_both(*_: object) -> None:
        server.terminate()
        desk.terminate()

    signal.signal(signal.SIGTERM, stop_both)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return server.wait()
    finally:
        desk.terminate()
        desk.wait()


def _desk_command(port: int, demo_sign_in: bool) -> list[str]:
    """The desk says in one sentence why it can't start; Dagster's UI goes on without it."""
    command = [sys.executable, "-m", "health_pipeline.cli", "desk", "--port", str(port)]
    return [*command, "--demo-sign-in"] if demo_sign_in else command
