"""When an adopted model comes into force: a Monday that is not published yet."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.segmentation.adoption import effective_monday


@pytest.mark.parametrize(
    ("adopted_at", "newest_published", "monday"),
    [
        (datetime(2026, 4, 8, 9, tzinfo=UTC), None, date(2026, 4, 13)),
        (datetime(2026, 4, 8, 9, tzinfo=UTC), Week(date(2026, 3, 30)), date(2026, 4, 13)),
        (datetime(2026, 4, 8, 9, tzinfo=UTC), Week(date(2026, 4, 13)), date(2026, 4, 20)),
        (datetime(2026, 4, 13, 0, tzinfo=UTC), Week(date(2026, 3, 30)), date(2026, 4, 20)),
    ],
    ids=["nothing_published", "before", "the_first_monday_is_published", "on_a_monday"],
)
def test_a_published_week_keeps_its_segments(adopted_at, newest_published, monday):
    assert effective_monday(adopted_at, newest_published) == monday
