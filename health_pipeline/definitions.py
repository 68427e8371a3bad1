"""The Dagster code location. Nothing connects at import: stores are opened by the assets that need them."""

from __future__ import annotations

import dagster as dg

from health_pipeline.orchestration.build import build_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` loads."""
    return build_definitions()
