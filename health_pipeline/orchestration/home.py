"""Dagster's own storage under HEALTH_HOME, and the environment that keeps every tool from calling home."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from health_pipeline.orchestration.history_storage import ease_history_writes
from health_pipeline.settings import REPOSITORY, Settings

NO_TELEMETRY = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
}


def prepare_home(settings: Settings) -> None:
    """Make the state folder, give Dagster its settings, and switch telemetry off for this process and its children."""
    os.environ.update(NO_TELEMETRY)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    os.environ["HEALTH_HOME"] = str(settings.home)
    if settings.policy is not None:
        os.environ["HEALTH_POLICY"] = str(settings.policy)
    else:
        os.environ.pop("HEALTH_POLICY", None)
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    ease_history_writes(settings.dagster_home)
    shutil.copyfile(REPOSITORY / "dagster.yaml", settings.dagster_home / "dagster.yaml")


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance of this state folder, so that runs of the command line stand beside those of the UI.

    The environment is given back at the end: the policy folder of one run once judged the next in its process.
    """
    before = {name: os.environ.get(name) for name in ("DAGSTER_HOME", "HEALTH_HOME", "HEALTH_POLICY")}
    prepare_home(settings)
    try:
        with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            yield instance
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
