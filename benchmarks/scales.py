"""The sizes of the simulated company, and what is measured at each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

# The demo company's first simulated week; its historical load tells of the 52 weeks from there on.
FIRST_WEEK = date(2024, 11, 18)
# The first load is made at the end of the 52nd week: no week can be reviewed before it is there.
HISTORY_WEEKS = 52


@dataclass(frozen=True)
class Scale:
    """One size of the benchmark.

    Attributes
    ----------
    accounts : customers at any time
    events_per_account_week : mean usage events of a customer in a week; 104 weeks of them are simulated
    first_reviewed : week, counted from the demo's first, that the first review publishes; earlier ones are not reviewed
    published_before : how many weeks are published before each measured next week, ascending
    weeks_per_run : how many past weeks one run publishes; memory grows with it
    repeats : how often the next weeks are reviewed, and dbt, bare SQL and pandas run; in turn
    with_pandas : whether pandas takes part
    compared_weeks : of so many of the newest weeks the first build of all history tells features; of all of two years
        of 10,000 customers at once it spilled more than 20 GB to the disk
    """

    name: str
    accounts: int
    events_per_account_week: float
    published_before: tuple[int, ...]
    weeks_per_run: int
    repeats: int
    first_reviewed: int = 0
    with_pandas: bool = True
    compared_weeks: int = 104


SCALES = {
    scale.name: scale
    for scale in (
        Scale("tiny", 60, 10, (7, 8), 7, repeats=2, first_reviewed=45),
        Scale("small", 1_000, 19, (52, 103), 26, repeats=3),
        Scale("medium", 10_000, 48, (52, 103), 13, repeats=2, with_pandas=False, compared_weeks=13),
        Scale("large", 100_000, 19, (7, 9), 1, repeats=1, first_reviewed=45, with_pandas=False),
    )
}
