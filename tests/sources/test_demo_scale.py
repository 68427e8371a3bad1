"""The demo company at the size the design asks for: 10,000 customers and about 50 million usage events."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from health_pipeline.sources.demo import DemoCompany


@pytest.mark.long
def test_ten_thousand_customers_and_fifty_million_events_take_minutes():
    started = time.monotonic()
    company = DemoCompany(seed=7, accounts=10_000, events_per_account_week=50)
    events = 0
    for load in range(53):
        for extract in company.extracts(load):
            for part in extract.tables:
                if part.table == "usage_event":
                    is_file = isinstance(part.data, Path)
                    events += pq.ParquetFile(part.data).metadata.num_rows if is_file else part.data.num_rows
    assert 45_000_000 < events < 55_000_000
    assert time.monotonic() - started < 300
