"""What the tests of the sources share: a landing in a fresh folder, the built-in policy, and small deliveries."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.sources.extract import Extract, LoadMode, TableExtract
from health_pipeline.sources.landing import Landing

sys.path.insert(0, str(Path(__file__).parent))

MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


@pytest.fixture
def company() -> CompanyPolicy:
    return load_company(None).model


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing", tmp_path / "quarantine")


@pytest.fixture
def invoices() -> Callable[..., pa.Table]:
    """Invoices i<start>..., all of account a1, issued in January 2026; keywords replace, add or (None) drop columns."""

    def make(rows: int = 3, start: int = 0, **columns: list[Any] | None) -> pa.Table:
        content: dict[str, Any] = {
            "invoice_id": [f"i{start + n}" for n in range(rows)],
            "source_account_id": ["a1"] * rows,
            "status": ["paid"] * rows,
            "currency": ["USD"] * rows,
            "total": [100.25] * rows,
            "amount_due": [0] * rows,
            "issued_at": [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n % 28) for n in range(rows)],
            "source_updated_at": [datetime(2026, 1, 30)] * rows,
            **columns,
        }
        return pa.table({name: values for name, values in content.items() if values is not None})

    return make


@pytest.fixture
def billing() -> Callable[..., Extract]:
    """An extract of a billing system with one table, `billing_invoice` unless said otherwise."""

    def make(
        data: pa.Table | Path, mode: LoadMode = "incremental", table: str = "billing_invoice", **options: Any
    ) -> Extract:
        return Extract("billing", "stripe", mode, (TableExtract(table, data, **options),))

    return make
