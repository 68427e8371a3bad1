"""Accounts of a quarter's last week: four planted groups, in the mart's types."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.documents import Document
from health_pipeline.policy.segmentation import SegmentationPolicy, load_segmentation

QUARTER = Quarter(date(2026, 7, 1))
STATUSES = [name for name in mart_tables()["account_features_weekly"].column_names if name.endswith("_status")]


def table(rows: list[dict[str, Any]]) -> pa.Table:
    schema = mart_tables()["account_features_weekly"].arrow_schema
    measured = dict.fromkeys(schema.names) | dict.fromkeys(STATUSES, "measured") | {"week": QUARTER.last_week.monday}
    return pa.Table.from_pylist([measured | row for row in rows], schema=schema)


def planted(accounts: int = 240, groups: int = 4, seed: int = 0, **change: Any) -> pa.Table:
    """Groups that differ in usage and engagement; the last one pays most."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(accounts):
        group = n % groups
        is_used, is_engaged = group in (1, 3), group in (2, 3)
        rows.append(
            {
                "account_id": f"account-{n:04d}",
                "active_users_28d": int(rng.lognormal(4 if is_used else 1.5, 0.15)),
                "license_utilisation": float(np.clip(rng.normal(0.85 if is_used else 0.25, 0.04), 0, 1)),
                "active_days_28d": int(np.clip(rng.normal(22 if is_used else 6, 1), 0, 28)),
                "feature_breadth_28d": int(np.clip(rng.normal(12 if is_used else 3, 1), 0, 20)),
                "meetings_91d": int(rng.poisson(1) + (9 if is_engaged else 0)),
                "engaged_contacts_91d": int(rng.poisson(1) + (8 if is_engaged else 0)),
                "arr_reporting": Decimal(int(rng.lognormal((9, 9, 9, 11)[group], 0.15))),
                "invoiced_amount_91d": Decimal(int(rng.lognormal((8, 8, 8, 10)[group], 0.15))),
                **change,
            }
        )
    return table(rows)


@pytest.fixture(scope="session")
def policy() -> Document[SegmentationPolicy]:
    """The built-in policy with fewer references, to be quick."""
    document = load_segmentation(None)
    model = document.model.model_copy(
        update={
            "gap_references": 10,
            "gap_n_init": 2,
            "prediction_splits": 4,
            "stability_resamples": 8,
            "stability_n_init": 2,
            "most_segments": 6,
        }
    )
    return Document(document.name, document.path, model, document.hash)


@pytest.fixture(scope="session")
def quarter() -> Quarter:
    return QUARTER


@pytest.fixture(scope="session")
def accounts() -> Callable[..., pa.Table]:
    return planted


@pytest.fixture(scope="session")
def as_table() -> Callable[[list[dict[str, Any]]], pa.Table]:
    return table
