"""Simulates and lands what is due by a day: `python -m benchmarks.first_load YYYY-MM-DDTHH:MM`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings
from health_pipeline.sources.pull import pull


def main() -> None:
    """Land every load that is due by the moment named; fail where one is held or refused."""
    settings = Settings()
    through = datetime.fromisoformat(sys.argv[1]).replace(tzinfo=UTC)
    report = pull(settings, load_company(settings.policy).model, through)
    if report.blocking or report.held or report.refused:
        sys.exit(f"{report.held} loads held, {report.refused} refused: {' '.join(report.blocking)}")


if __name__ == "__main__":
    main()
