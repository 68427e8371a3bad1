"""Named points at which a test can end the process as a power cut would. Inert unless HEALTH_CRASH_AT names one."""

from __future__ import annotations

import os

ENVIRONMENT = "HEALTH_CRASH_AT"
EXIT_CODE = 137  # what a shell reports for a process ended by SIGKILL


def crash_point(name: str) -> None:
    """End the process here, without any clean-up, when `HEALTH_CRASH_AT` equals `name`; else do nothing."""
    if os.environ.get(ENVIRONMENT) == name:
        os._exit(EXIT_CODE)
