"""Each statistic against another library, a published table, or a case computed by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_auc_score

from health_pipeline.scoring.validation.calibration import calibration_by_tier
from health_pipeline.scoring.validation.intervals import (
    AccountResamples,
    delong,
    delong_interval,
    percentile_interval,
)
from health_pipeline.scoring.validation.ranking import LIST_STATISTICS, RankedOutcomes, list_statistics, riskiest
from health_pipeline.segmentation.methods.intervals import wilson

# Ratings of 109 CT images of the head, 1 (definitely normal) to 5 (definitely abnormal): Hanley and McNeil,
# Radiology 143 (1982), table I.
NORMAL = [33, 6, 6, 11, 2]
ABNORMAL = [3, 2, 2, 11, 33]


def images():
    ratings = np.concatenate([np.repeat(range(1, 6), NORMAL), np.repeat(range(1, 6), ABNORMAL)]).astype(float)
    return np.repeat([0.0, 1.0], [sum(NORMAL), sum(ABNORMAL)]), ratings


def outcomes_with_both_kinds(rows):
    return 0 < sum(happened for happened, _, _ in rows) < len(rows)


# Few different risks, so that ties are frequent; weights as a resample gives them, not all 0 in either kind.
ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(-4, 4), st.integers(1, 3)), min_size=2, max_size=40).filter(
    outcomes_with_both_kinds
)


@given(ROWS)
def test_auc_and_average_precision_agree_with_scikit_learn(rows):
    happened, risk, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    ranked = RankedOutcomes(happened, risk)
    both = ranked.both(np.column_stack([np.ones(len(rows)), weights]))
    for row, weight in zip(both, (None, weights), strict=True):
        assert row[0] == pytest.approx(roc_auc_score(happened, risk, sample_weight=weight), abs=1e-12)
        assert row[1] == pytest.approx(average_precision_score(happened, risk, sample_weight=weight), abs=1e-12)


@given(ROWS)
def test_a_weight_is_a_repeated_row(rows):
    happened, risk, weights = (np.array(column) for column in zip(*rows, strict=True))
    repeated = RankedOutcomes(np.repeat(happened, weights).astype(float), np.repeat(risk, weights).astype(float))
    weighed = RankedOutcomes(happened.astype(float), risk.astype(float))
    assert weighed.both(weights.astype(float)) == pytest.approx(repeated.both(), abs=1e-12)


def test_auc_of_the_published_images():
    happened, ratings = images()
    assert RankedOutcomes(happened, ratings).auc()[0] == pytest.approx(0.893, abs=0.0005)


def test_what_is_not_known_is_not_ranked():
    with pytest.raises(ValueError, match="leave it out"):
        RankedOutcomes(np.array([1.0, 0.0]), np.array([np.nan, 1.0]))
    with pytest.raises(ValueError, match="2 outcomes and 1 risks"):
        RankedOutcomes(np.array([1.0, 0.0]), np.array([1.0]))
    assert np.isnan(RankedOutcomes(np.zeros(3), np.arange(3.0)).both()).all()


def test_gain_curve_counts_ties_at_their_end():
    looked_at, found = RankedOutcomes(np.array([1.0, 0, 1, 0, 0]), np.array([9.0, 5, 5, 5, 1])).gain_curve()
    assert looked_at.tolist() == [0.0, 0.2, 0.8, 1.0]
    assert found.tolist() == [0.0, 0.5, 1.0, 1.0]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=4, max_size=60))
def test_lists_agree_with_scikit_learn(rows):
    happened, listed = (np.array(column) for column in zip(*rows, strict=True))
    counts = np.array([[happened.sum(), listed.sum(), (happened * listed).sum(), len(rows)]], dtype=float)
    found = dict(zip(LIST_STATISTICS, list_statistics(counts)[0], strict=True))
    for name, score in (("precision", precision_score), ("recall", recall_score)):
        expected = score(happened, listed, zero_division=np.nan)
        assert found[name] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert found["load"] == pytest.approx(listed.mean())


def test_lift_and_ratio_by_hand():
    # 40 accounts, 8 left; of 10 on the list 5 left: 50 % against 20 % of all and 3 of 30 off the list.
    found = dict(zip(LIST_STATISTICS, list_statistics(np.array([[8.0, 10, 5, 40]]))[0], strict=True))
    assert found == pytest.approx({"precision": 0.5, "recall": 5 / 8, "lift": 2.5, "ratio": 5.0, "load": 0.25})


def test_riskiest_are_chosen_within_their_week_and_ties_by_account():
    rows = pd.DataFrame(
        {
            "week_number": [1] * 5 + [2] * 3,
            "account_id": ["a", "b", "c", "d", "e", "a", "b", "c"],
            "risk": [1.0, 3.0, 3.0, np.nan, 2.0, 9.0, 8.0, 7.0],
        },
        index=range(10, 18),
    )
    # Week 1: 0.3 of four known risks is 1.2, rounded up to two: b and c; week 2: 0.9, one.
    assert rows[riskiest(rows, "risk", 0.3)][["week_number", "account_id"]].values.tolist() == [
        [1, "b"],
        [1, "c"],
        [2, "a"],
    ]


@pytest.mark.parametrize(
    ("events", "rows", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: Wilson's score interval.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_newcombes_table(events, rows, low, high):
    interval = wilson(events, rows)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    assert interval.value == events / rows


def test_delong_gives_the_published_interval():
    # Stata's manual, [R] roctab, on the same images: area 0.8932, standard error 0.0307, 0.83295 to 0.95339.
    happened, ratings = images()
    areas, covariance = delong(happened, ratings)
    assert round(float(areas[0]), 4) == 0.8932
    assert round(float(np.sqrt(covariance[0, 0])), 4) == 0.0307
    interval = delong_interval(happened, ratings, 0.95)
    assert (round(interval.low, 5), round(interval.high, 5)) == (0.83295, 0.95339)


def placements(events, others):
    """The structural components of DeLong, DeLong and Clarke-Pearson (1988), by their definition."""

    def kernel(x, y):
        return Fraction(1) if x > y else Fraction(1, 2) if x == y else Fraction(0)

    table = {(i, j): kernel(x, y) for (i, x), (j, y) in product(enumerate(events), enumerate(others))}
    of_events = [sum(table[i, j] for j in range(len(others))) / len(others) for i in range(len(events))]
    of_others = [sum(table[i, j] for i in range(len(events))) / len(events) for j in range(len(others))]
    return of_events, of_others


def covariance_of(one, two):
    mean_one, mean_two = sum(one) / len(one), sum(two) / len(two)
    products = ((a - mean_one) * (b - mean_two) for a, b in zip(one, two, strict=True))
    return sum(products) / (len(one) - 1)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=8),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=8),
)
def test_delong_of_two_risks_is_its_definition_in_fractions(events, others):
    happened = np.repeat([1.0, 0.0], [len(events), len(others)])
    areas, covariance = delong(happened, np.array([*events, *others], dtype=float).T)
    parts = [placements([e[k] for e in events], [o[k] for o in others]) for k in (0, 1)]
    for k, (of_events, _) in enumerate(parts):
        assert areas[k] == pytest.approx(float(sum(of_events) / len(of_events)), abs=1e-12)
    for k, m in product((0, 1), (0, 1)):
        expected = covariance_of(parts[k][0], parts[m][0]) / len(events)
        expected += covariance_of(parts[k][1], parts[m][1]) / len(others)
        assert covariance[k, m] == pytest.approx(float(expected), abs=1e-12)


def test_delong_needs_two_of_each_kind():
    with pytest.raises(ValueError, match="1 have the event"):
        delong(np.array([1.0, 0, 0]), np.arange(3.0))


def test_resamples_draw_whole_accounts_and_the_same_for_the_same_seed():
    accounts = np.array(["a", "a", "b", "c", "c", "c"], dtype=object)
    resamples = AccountResamples(accounts, 200, seed=3)
    weights = np.concatenate([block.T[resamples.codes].T for block in resamples.counts(6)])
    assert weights.shape == (200, 6)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    # Three accounts are drawn each time, and each of them once on average.
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.2)
    again = np.concatenate(list(AccountResamples(accounts, 200, seed=3).counts(6)))
    assert (again[:, resamples.codes] == weights).all()
    assert (np.concatenate(list(resamples.counts())) == again).all(), "the size of the blocks changes nothing"


def test_a_statistic_of_rows_and_of_sums_is_the_same():
    random = np.random.default_rng(1)
    accounts = random.integers(0, 30, 300).astype(str).astype(object)
    columns = random.integers(0, 2, (300, 2)).astype(float)
    resamples = AccountResamples(accounts, 50, seed=5)
    by_sums = resamples.of_sums(columns, lambda sums: sums[:, 0] / sums[:, 1])
    by_rows = resamples.of_rows(lambda w: (w.T @ columns[:, 0]) / (w.T @ columns[:, 1]))
    assert by_sums == pytest.approx(by_rows)


def test_percentiles_leave_out_resamples_without_a_value():
    resampled = np.concatenate([np.arange(101.0), [np.nan] * 5])
    interval = percentile_interval(50.0, resampled, 0.9)
    assert (interval.low, interval.high) == pytest.approx((5.0, 95.0))
    assert np.isnan(percentile_interval(1.0, np.array([np.nan]), 0.9).low)


def simulated(random, accounts=80, weeks=13):
    """Accounts with a risk of their own and readings that repeat it: rows of one account say nearly the same."""
    level = random.normal(size=accounts)
    happened = (random.uniform(size=accounts) < 1 / (1 + np.exp(1.4 - level))).astype(float)
    score = np.repeat(level, weeks) + random.normal(scale=0.5, size=accounts * weeks)
    return np.repeat(np.arange(accounts), weeks).astype(str), np.repeat(happened, weeks), score


@pytest.mark.long
def test_interval_from_accounts_covers_and_from_rows_does_not():
    """Of 300 simulated samples 95 % of the intervals should hold the true AUC; resampled rows are far too narrow."""
    random = np.random.default_rng(11)
    _, happened, score = simulated(random, accounts=60_000)
    truth = RankedOutcomes(happened, score).auc()[0]
    held = {"accounts": 0, "rows": 0}
    for seed in range(300):
        accounts, happened, score = simulated(random)
        ranked = RankedOutcomes(happened, score)
        for by, names in (("accounts", accounts), ("rows", np.arange(len(score)))):
            resampled = AccountResamples(names, 400, seed).of_rows(ranked.both)[:, 0]
            interval = percentile_interval(0.0, resampled, 0.95)
            held[by] += interval.low <= truth <= interval.high
    # 95 % of 300 is 285, with a standard error of 4; percentile intervals of 80 accounts run a little narrow.
    assert 270 <= held["accounts"] <= 297
    assert held["rows"] < 200


def test_calibration_counts_an_event_once_and_says_whether_rates_fall():
    weeks = list(range(100, 126))
    rows = [
        {
            "account_id": f"{tier}-{n}",
            "week_number": week,
            "tier": tier,
            "has_notice": False,
            "churned": float(n < left),
        }
        for tier, left in (("at_risk", 12), ("watch", 5), ("healthy", 1))
        for n in range(30)
        for week in weeks
    ]
    rows.append({"account_id": "x", "week_number": 125, "tier": "not_scored", "has_notice": False, "churned": 1.0})
    found = calibration_by_tier(pd.DataFrame(rows), "churned", falls=True, minimum_readings=20, confidence=0.95)
    by_tier = found.tiers.set_index("tier")
    # Weeks 125 and 112 of 26: each account twice, not 26 times.
    assert by_tier.loc["at_risk", ["readings", "events"]].tolist() == [60, 24]
    assert by_tier.loc["at_risk", "low"] == wilson(24, 60).low
    assert np.isnan(by_tier.loc["not_scored", "rate"])
    assert by_tier.loc["not_scored", "events"] == 1
    assert found.is_monotone is True
    upside_down = pd.DataFrame(rows).replace({"tier": {"at_risk": "healthy", "healthy": "at_risk"}})
    arguments = {"falls": True, "minimum_readings": 20, "confidence": 0.95}
    assert calibration_by_tier(upside_down, "churned", **arguments).is_monotone is False
    one_tier = pd.DataFrame(rows[:50])
    assert calibration_by_tier(one_tier, "churned", **arguments).is_monotone is None


def test_calibration_shows_what_is_at_risk_without_a_notice():
    rows = pd.DataFrame(
        {
            "account_id": [f"a{n}" for n in range(60)],
            "week_number": 100,
            "tier": ["at_risk"] * 40 + ["healthy"] * 20,
            "has_notice": [True] * 10 + [False] * 50,
            "churned": [1.0] * 10 + [0.0] * 27 + [1.0] * 3 + [0.0] * 20,
        }
    )
    found = calibration_by_tier(rows, "churned", falls=True, minimum_readings=20, confidence=0.95)
    assert found.tiers.set_index("tier").loc["at_risk", ["readings", "events"]].tolist() == [40, 13]
    assert found.without_notice["rate"] == 3 / 30
    nobody = calibration_by_tier(
        rows.assign(has_notice=False), "churned", falls=True, minimum_readings=20, confidence=0.95
    )
    assert nobody.without_notice is None
