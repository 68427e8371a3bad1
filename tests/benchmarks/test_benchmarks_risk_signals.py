"""What the comparison with planted stories counts: by windows, categories and weeks worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from benchmarks.risk_seeds import SeedCompany
from benchmarks.risk_signals import counted, open_shares, told_stories

FIRST = date(2026, 1, 5)


def week(number: int) -> date:
    return FIRST + timedelta(weeks=number)


def company(*stories: dict[str, Any], weeks: int = 40) -> SeedCompany:
    """One account, `a`, in each week, and `b` beside it."""
    rows = [{"account_id": account, "week": week(number)} for number in range(weeks) for account in "ab"]
    full = [{"account_id": "a", "end_week": week(30), "ended_at": pd.NaT, "resembles": None, **one} for one in stories]
    return SeedCompany(pa.Table.from_pylist(rows), pa.table({}), pd.DataFrame(full))


def fired(number: int, category: str, is_opener: bool = True, **given: Any) -> dict[str, Any]:
    return {
        "account_id": "a",
        "week": pd.Timestamp(week(number)),
        "side": "risk",
        "is_quiet": False,
        "category": category,
        "is_opener": is_opener,
        **given,
    }


# A delivery slip is in full after 8 weeks, and asked about for 13 more: weeks 5 to 25.
SLIP = {"story": "delivery_slip", "meaning": "risk", "start_week": week(5)}
DELAY = {"story": "agreed_delay", "meaning": "lookalike", "resembles": "delivery_slip", "start_week": week(5)}


@pytest.mark.parametrize(
    ("story", "row", "is_seen", "is_open"),
    [
        (SLIP, fired(5, "delivery"), True, True),
        (SLIP, fired(25, "delivery"), True, True),
        (SLIP, fired(26, "delivery"), False, False),
        (SLIP, fired(4, "delivery"), False, False),
        (SLIP, fired(9, "delivery", is_opener=False), False, False),
        (SLIP, fired(9, "sentiment"), False, True),
        (SLIP, fired(9, "delivery", account_id="b"), False, False),
        ({**SLIP, "ended_at": pd.Timestamp(week(8))}, fired(9, "delivery"), False, False),
        # a lookalike is asked about while it is on, and for four weeks after
        (DELAY, fired(33, "delivery"), True, True),
        (DELAY, fired(34, "delivery"), False, False),
    ],
)
def test_a_story_is_seen_in_its_window_and_category(story, row, is_seen, is_open):
    (found,) = told_stories(company(story), pd.DataFrame([row])).to_dict("records")
    assert (found["is_seen"], found["is_open"]) == (is_seen, is_open)


def test_a_story_that_could_not_be_seen_is_not_asked_about():
    rows = pd.DataFrame([fired(9, "delivery")])
    assert len(told_stories(company({**SLIP, "start_week": week(-1)}), rows)) == 0
    # in full in week 38, and 39 is the newest
    assert len(told_stories(company({**SLIP, "start_week": week(30)}), rows)) == 0


def test_open_shares_count_accounts_and_weeks_once():
    rows = pd.DataFrame(
        [
            # before week 8 nothing is counted
            fired(7, "delivery"),
            fired(8, "delivery"),
            fired(8, "sentiment"),
            fired(9, "delivery", is_opener=False),
            fired(10, "delivery", is_opener=False, is_quiet=True),
            fired(8, "expansion", side="expansion"),
        ]
    )
    # 32 weeks of two accounts: one of 64 fires, two are open
    assert open_shares(company(SLIP), rows) == {
        "risk_fires": 1 / 64,
        "risk_open": 2 / 64,
        "expansion_open": 1 / 64,
    }


def test_shares_come_with_wilson_intervals():
    # Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662; 0 of 20 is 0 to 0.1611
    assert counted(pd.Series([True] * 81 + [False] * 182)) == "81 of 263 (26 to 37 %)"
    assert counted(pd.Series([False] * 20)) == "0 of 20 (0 to 16 %)"
    assert counted(pd.Series([], dtype=bool)) == "none"
