"""Families: who belongs to whom, the weighted mean, the lowest tier; what is unknown weighs nothing by itself."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health_pipeline.contract.clocks import Week
from health_pipeline.scoring.families import roll_up
from health_pipeline.scoring.tier_path import AT_RISK, EXPANSION_READY, HEALTHY, NO_TIER, NOT_SCORED, WATCH

NAN = float("nan")


def test_a_family_by_hand() -> None:
    # A parent with two children, one of them with a child; an account alone; one whose parent has no row.
    family = roll_up(
        ["alone", "child", "grandchild", "orphan", "parent", "second"],
        [None, "parent", "parent", "gone", "parent", "parent"],
        np.array([50.0, 80.0, NAN, 40.0, 60.0, 20.0]),
        np.array([WATCH, HEALTHY, NOT_SCORED, AT_RISK, WATCH, AT_RISK]),
        np.array([10.0, 300.0, 500.0, 5.0, 100.0, 100.0]),
    )
    assert family.ids.tolist() == ["alone", "parent", "parent", "gone", "parent", "parent"]
    assert family.accounts.tolist() == [1, 4, 4, 1, 4, 4]
    assert family.scored_accounts.tolist() == [1, 3, 3, 1, 3, 3]
    # (300 x 80 + 100 x 60 + 100 x 20) / 500: the one without a score weighs nothing
    np.testing.assert_allclose(family.score, [50, 64, 64, 40, 64, 64])
    assert family.lowest_tier.tolist() == [WATCH, AT_RISK, AT_RISK, AT_RISK, AT_RISK, AT_RISK]


@pytest.mark.parametrize("revenue", [[NAN, 100.0], [0.0, 0.0], [NAN, NAN]])
def test_unknown_revenue_is_not_zero_so_each_counts_the_same(revenue: list[float]) -> None:
    family = roll_up(["a", "b"], [None, "a"], np.array([30.0, 70.0]), np.array([AT_RISK, HEALTHY]), np.array(revenue))
    np.testing.assert_allclose(family.score, [50, 50])


def test_a_family_without_a_score_has_none() -> None:
    scores, tiers = np.array([NAN, NAN]), np.array([NOT_SCORED, NOT_SCORED])
    family = roll_up(["a", "b"], [None, "a"], scores, tiers, np.array([1.0, 1.0]))
    assert np.isnan(family.score).all()
    assert (family.scored_accounts.tolist(), family.lowest_tier.tolist()) == ([0, 0], [NO_TIER, NO_TIER])
    # A decisive fact needs no score: the family shows it.
    decisive = roll_up(["a", "b"], [None, "a"], scores, np.array([NOT_SCORED, AT_RISK]), np.array([1.0, 1.0]))
    assert decisive.lowest_tier.tolist() == [AT_RISK, AT_RISK]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 9)),
            st.one_of(st.just(NAN), st.floats(0, 100)),
            st.one_of(st.just(NAN), st.floats(0, 1e9)),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_a_family_s_score_lies_between_its_members(rows: list[tuple[int | None, float, float]]) -> None:
    accounts = [f"a{n}" for n in range(len(rows))]
    topmost = [None if top is None else f"a{top}" for top, _, _ in rows]
    scores = np.array([score for _, score, _ in rows])
    tiers = np.where(np.isnan(scores), NOT_SCORED, EXPANSION_READY)
    family = roll_up(accounts, topmost, scores, tiers, np.array([revenue for _, _, revenue in rows]))
    for n in range(len(rows)):
        members = family.ids == family.ids[n]
        own = scores[members & ~np.isnan(scores)]
        assert (family.accounts[n], family.scored_accounts[n]) == (members.sum(), len(own))
        if len(own):
            assert own.min() - 1e-9 <= family.score[n] <= own.max() + 1e-9
        else:
            assert np.isnan(family.score[n])
    alone = family.accounts == 1
    np.testing.assert_array_equal(family.score[alone], scores[alone])


def test_families_are_on_the_rows(
    score: Callable[..., Any], features: Callable[..., pa.Table], first_week: Week
) -> None:
    week, top = first_week.monday, {"ultimate_parent_account_id": "parent"}
    rows = features(
        [
            {"account_id": "parent", "week": week, **top, "arr_reporting": Decimal("300.00"), "open_backlog": 9},
            {"account_id": "child", "week": week, **top, "arr_reporting": Decimal("100.00")},
            {"account_id": "other", "week": week},
        ]
    )
    health = {row["account_id"]: row for row in score(rows).health.to_pylist()}
    by_hand = (300 * health["parent"]["score"] + 100 * health["child"]["score"]) / 400
    for name in ("parent", "child"):
        row = health[name]
        assert (row["family_id"], row["family_accounts"], row["family_scored_accounts"]) == ("parent", 2, 2)
        assert row["family_score"] == pytest.approx(by_hand)
    assert health["other"]["family_score"] == health["other"]["score"]
