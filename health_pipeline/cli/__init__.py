"""The `health-pipeline` command. Each command says what it did, and exits 0 only if it did it."""

from __future__ import annotations

import sys

from health_pipeline.cli import desk, erasing, landing, ledger, operations, policy, reviews
from health_pipeline.cli.terminal import app
from health_pipeline.observability.garbage import end_without_search
from health_pipeline.settings import REPOSITORY

__all__ = ["app", "desk", "erasing", "landing", "ledger", "main", "operations", "policy", "reviews"]


def main() -> None:
    """Entry point of the `health-pipeline` command."""
    if not (REPOSITORY / "dbt_project").is_dir() and "doctor" not in sys.argv:
        sys.exit(
            f"There is no dbt project beside the code in {REPOSITORY}: it runs from its checkout; clone the repository "
            "and run `make install` there."
        )
    end_without_search()
    app()
