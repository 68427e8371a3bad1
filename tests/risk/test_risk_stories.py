"""The demo company's stories, each once in a small company: its risk opens, and that of its lookalike does not.

How often that is so over many companies is measured by `benchmarks/risk_signals.py`; here each way of telling them
apart is held. The first case to get right, from landed records written by hand, is in tests/mart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.risk_seeds import SeedCompany, make_company
from benchmarks.risk_signals import SHOWS_IN, reviewed_rows
from health_pipeline.contract.clocks import Week
from health_pipeline.policy.risk_signals import load_risk_signals
from health_pipeline.sources.demo import stories
from health_pipeline.sources.demo.accounts import Accounts

pytestmark = pytest.mark.long
# Each story starts in these simulated weeks, so that one year of reviews sees all of them in full.
EARLIEST_START, LATEST_START = 57, 72
SEED, ACCOUNTS, WEEKS, NEWEST = 34, 40, 34, Week(date(2026, 8, 10))
# What opens each story's risk.
TOLD_BY = {
    "sponsor_leaves": {"sponsor_gone"},
    "value_never_reached": {"goals_off_track"},
    "defect_storm": {"defects_pile_up"},
    "payment_trouble": {"late_and_failing"},
    "competitor_evaluation": {"competitor_named"},
    "delivery_slip": {"project_off_track"},
    "quiet_decline": {"seats_unused"},
    "expansion_pull": {"expansion_words"},
}
LOOKALIKES = {
    "sponsor_leaves": ["champion_on_leave"],
    "value_never_reached": ["narrow_use"],
    "defect_storm": ["rollout_questions"],
    "payment_trouble": ["bank_change"],
    "competitor_evaluation": ["competitive_renewal_won"],
    "delivery_slip": ["agreed_delay"],
    "quiet_decline": ["holiday", "automation_replaces_logins"],
    "expansion_pull": ["automation_burst"],
}
# The ninth story: use falls as in a decline, by a common cause; the fall opens nothing.
COMMON_CAUSES = ["seasonal_dip", "planned_migration", "late_data"]


@dataclass(frozen=True)
class Reviewed:
    """The company, and what fired in it."""

    company: SeedCompany
    rows: pd.DataFrame

    def openers(self, story: str) -> set[str]:
        """The signals that name the story, or the one it resembles, and opened a risk while it was on."""
        (planted,) = self.company.stories[self.company.stories["story"] == story].to_dict("records")
        named = SHOWS_IN[planted["resembles"] if planted["meaning"] == "lookalike" else story]
        rows = self.rows[(self.rows["account_id"] == planted["account_id"]) & self.rows["is_opener"]]
        is_on = (rows["week"] >= planted["start_week"]) & (rows["week"] < planted["end_week"])
        return set(rows.loc[is_on & rows["category"].isin(named), "signal"])


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    possible_starts = stories._possible_starts

    def early(rng: np.random.Generator, accounts: Accounts) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return {
            timing: (week, is_possible & (week >= EARLIEST_START) & (week <= LATEST_START))
            for timing, (week, is_possible) in possible_starts(rng, accounts).items()
        }

    home: Path = tmp_path_factory.mktemp("stories") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stories, "_possible_starts", early)
        tables = make_company(home, SEED, ACCOUNTS, WEEKS, NEWEST)
    company = SeedCompany(tables["features"], tables["records"], tables["stories"].to_pandas())
    return Reviewed(company, reviewed_rows(company, load_risk_signals(None).model))


@pytest.mark.parametrize("story", TOLD_BY)
def test_a_story_opens_its_risk_and_its_lookalike_does_not(reviewed: Reviewed, story: str) -> None:
    assert TOLD_BY[story] & reviewed.openers(story)
    assert {name: openers for name in LOOKALIKES[story] if (openers := reviewed.openers(name))} == {}


@pytest.mark.parametrize("story", COMMON_CAUSES)
def test_a_fall_of_use_by_a_common_cause_opens_nothing(reviewed: Reviewed, story: str) -> None:
    of_use = {signal.id for signal in load_risk_signals(None).model.signals if signal.category == "adoption"}
    assert reviewed.openers(story) & of_use == set()


def test_every_story_is_planted_once(reviewed: Reviewed) -> None:
    told = [*TOLD_BY, *(name for names in LOOKALIKES.values() for name in names), *COMMON_CAUSES]
    assert sorted(reviewed.company.stories["story"]) == sorted(told)
    assert set(TOLD_BY) == set(SHOWS_IN)
    resembled = reviewed.company.stories.set_index("story")["resembles"]
    for story, names in LOOKALIKES.items():
        assert set(resembled[names]) == {story}
    assert set(resembled[COMMON_CAUSES]) == {"quiet_decline"}
