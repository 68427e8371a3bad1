"""`python -m health_pipeline.cli` is the `health-pipeline` command."""

from __future__ import annotations

from health_pipeline.cli import main

main()
