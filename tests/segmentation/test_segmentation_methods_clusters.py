"""Methods on labellings and samples: known answers from papers, other libraries, and cases counted by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.datasets import make_blobs

from health_pipeline.segmentation.methods.clusterboot import VALID, best_jaccard, clusterboot
from health_pipeline.segmentation.methods.information import agreement, entropy, variation_of_information
from health_pipeline.segmentation.methods.kmeans import fit_kmeans, nearest_centre, subsample
from health_pipeline.segmentation.methods.matching import match_labels
from health_pipeline.segmentation.methods.migration import migration
from health_pipeline.segmentation.methods.population_stability import population_stability, quantile_counts

CORNERS = 10.0 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40)


@pytest.mark.parametrize("k", [4, 7])
def test_every_separated_cluster_comes_back(k: int) -> None:
    points, _ = make_blobs(350, centers=CORNERS[:k], cluster_std=1.0, random_state=k)
    centres = np.asarray(fit_kmeans(points, k, 5, 1).cluster_centers_)
    found = clusterboot(points, centres, resamples=15, n_init=3, seed=1)
    assert len(found.jaccard) == k
    assert found.smallest >= VALID
    assert found.recovered == (15,) * k
    assert (found.accounts, found.of_accounts, found.resamples, found.n_init, found.seed) == (350, 350, 15, 3, 1)


def test_a_cluster_that_is_not_there_does_not_come_back() -> None:
    points, _ = make_blobs(300, centers=CORNERS[:2], cluster_std=1.0, random_state=3)
    centres = np.asarray(fit_kmeans(points, 5, 5, 1).cluster_centers_)
    found = clusterboot(points, centres, resamples=15, n_init=3, seed=1)
    assert found.smallest < VALID
    assert all(low <= mean <= high for low, mean, high in zip(found.low, found.jaccard, found.high, strict=True))


def test_one_cluster_is_stable_and_larger_samples_are_cut() -> None:
    points = np.random.default_rng(0).normal(size=(200, 2))
    found = clusterboot(points, points.mean(axis=0, keepdims=True), 5, 1, 1, most_accounts=50)
    assert found.jaccard == (1.0,)
    assert (found.accounts, found.of_accounts) == (50, 200)
    sample, chosen = subsample(points, 50, 1)
    np.testing.assert_array_equal(sample, points[chosen])
    assert (np.diff(chosen) > 0).all()


def test_jaccard_of_the_most_alike_by_hand() -> None:
    before = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    after = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    # {a,b,c,d} and {a,b,c}: 3 of 4; {e,f,g} and {d,e,f,g,h}: 3 of 5; {h} and the same five: 1 of 5; nobody in 3.
    np.testing.assert_allclose(best_jaccard(before, after, 4), [3 / 4, 3 / 5, 1 / 5, 0])


def test_a_weighted_fit_is_the_fit_of_repeated_points() -> None:
    points = np.random.default_rng(2).normal(size=(60, 2)) + np.repeat([[0, 0], [6, 0]], 30, axis=0)
    times = np.random.default_rng(3).integers(1, 4, 60)
    weighted = fit_kmeans(points, 2, 5, 1, times.astype(float))
    repeated = fit_kmeans(np.repeat(points, times, axis=0), 2, 5, 1)
    np.testing.assert_allclose(
        np.sort(weighted.cluster_centers_, axis=0), np.sort(repeated.cluster_centers_, axis=0), atol=1e-9
    )
    np.testing.assert_array_equal(nearest_centre(points, weighted.cluster_centers_), weighted.labels_)


def test_variation_of_information_by_hand() -> None:
    # Meila (2007): H(C|C') + H(C'|C). Two halves against four quarters: nothing is lost one way, log 2 the other.
    halves, quarters = [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]
    assert variation_of_information(halves, quarters) == pytest.approx(log(2))
    assert variation_of_information(halves, [0, 1] * 4) == pytest.approx(2 * log(2))
    found = agreement(halves, quarters)
    # Hubert and Arabie: 4 pairs agree of 12 and 4, expected 12 * 4 / 28; (4 - 12/7) / (8 - 12/7) = 4/11.
    assert found.ari == pytest.approx(4 / 11)
    assert found.vi_share == pytest.approx(log(2) / log(8))
    assert found.accounts == 8
    with pytest.raises(ValueError, match="these have 2 and 3"):
        agreement([1, 2], [1, 2, 3])


@given(LABELS)
@settings(max_examples=60)
def test_variation_of_information_is_a_distance(pairs: list[tuple[int, int]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    assert variation_of_information(one, one) == pytest.approx(0, abs=1e-12)
    found = variation_of_information(one, other)
    assert found == pytest.approx(variation_of_information(other, one), abs=1e-12)
    assert found <= entropy(one) + entropy(other) + 1e-12
    assert found <= log(len(pairs)) + 1e-12


def test_stability_index_by_hand() -> None:
    found = population_stability(np.array([50, 50]), np.array([60, 40]))
    assert found.value == pytest.approx(0.1 * log(0.6 / 0.5) + 0.1 * log(0.5 / 0.4))
    assert found.critical_value == pytest.approx(0.02 * 3.841459, abs=1e-6)
    assert (found.bins, found.before, found.after, found.expected) == (2, 100, 100, pytest.approx(0.02))
    assert not found.is_more_than_chance
    assert population_stability(np.array([500, 500]), np.array([600, 400])).is_more_than_chance
    with pytest.raises(ValueError, match="there are 0 and 3"):
        population_stability(np.array([0, 0]), np.array([1, 2]))


def test_without_any_change_small_samples_exceed_a_tenth_in_four_runs_of_five() -> None:
    rng = np.random.default_rng(11)
    found = []
    for _ in range(600):
        # Cells are cut once, from the distribution; both samples are drawn from it.
        before, after = rng.multinomial(100, [0.1] * 10, size=2)
        found.append(population_stability(before, after))
    values = np.array([one.value for one in found])
    # Standard error of the mean: .09 / sqrt(600) = .004; of the share: .016.
    assert values.mean() == pytest.approx(0.18, abs=0.02)
    assert (values > 0.1).mean() == pytest.approx(0.82, abs=0.06)
    # The critical value is exceeded as often as it says.
    assert np.mean([one.is_more_than_chance for one in found]) == pytest.approx(0.05, abs=0.03)
    assert stats.kstest([one.p_value for one in found], "uniform").pvalue > 1e-4


def test_the_index_is_symmetric_and_an_empty_cell_counts_half_an_account() -> None:
    one, other = np.array([30.0, 70, 0]), np.array([10.0, 60, 30])
    assert population_stability(one, other).value == pytest.approx(population_stability(other, one).value)
    expected = sum(
        (b - a) * log(b / a) for a, b in zip(np.array([30, 70, 0.5]) / 100.5, np.array([10, 60, 30]) / 100, strict=True)
    )
    assert population_stability(one, other).value == pytest.approx(expected)
    # The index is Jeffreys' divergence: never below twice the Jensen-Shannon divergence.
    assert expected >= 2 * jensenshannon(one, other) ** 2
    same = np.arange(100.0)
    before, after = quantile_counts(same, same)
    np.testing.assert_array_equal(before, [10] * 10)
    np.testing.assert_array_equal(before, after)


def test_labels_that_only_changed_their_names_match() -> None:
    found = match_labels(["a"] * 5 + ["b"] * 3 + ["c"] * 2, ["z"] * 5 + ["x"] * 3 + ["y"] * 2)
    assert found.successor == {"a": "z", "b": "x", "c": "y"}
    assert found.kept_share == 1
    assert (found.splits, found.merges, found.births, found.deaths) == ({}, {}, (), ())
    assert set(found.jaccard.values()) == {1.0}


def test_the_matching_is_the_best_of_all_and_not_greedy() -> None:
    # Greedy takes a-x (6) and leaves b with y (0); together a-y and b-x keep 5 + 4.
    found = match_labels(["a"] * 11 + ["b"] * 4, ["x"] * 6 + ["y"] * 5 + ["x"] * 4)
    assert found.successor == {"a": "y", "b": "x"}
    assert found.kept_share == pytest.approx(9 / 15)


def test_splits_merges_births_and_deaths_are_told_apart() -> None:
    split = match_labels(["a"] * 10 + ["b"] * 10, ["x"] * 4 + ["y"] * 4 + ["z"] * 2 + ["z"] * 10)
    assert split.splits == {"a": ("x", "y")}
    assert split.births == ()
    assert split.deaths == ()
    merge = match_labels(["a"] * 10 + ["b"] * 6, ["x"] * 16)
    assert merge.merges == {"x": ("a", "b")}
    assert merge.deaths == ()
    birth = match_labels(["a"] * 10 + ["b"] * 10, ["x"] * 8 + ["new"] * 2 + ["y"] * 8 + ["new"] * 2)
    assert birth.births == ("new",)
    assert birth.splits == {}
    death = match_labels(["a"] * 10 + ["b"] * 10 + ["old"] * 5, ["x"] * 10 + ["y"] * 10 + ["x", "x", "y", "y", "z"])
    assert "old" not in death.successor or death.successor["old"] == "z"
    gone = match_labels(
        ["a"] * 10 + ["b"] * 10 + ["c"] * 10 + ["old"] * 5, list("x" * 10 + "y" * 10 + "z" * 10 + "xxyyz")
    )
    assert gone.deaths == ("old",)


@given(LABELS)
@settings(max_examples=60)
def test_a_matching_is_one_to_one_and_loses_no_point(pairs: list[tuple[int, int]]) -> None:
    found = match_labels([a for a, _ in pairs], [b for _, b in pairs])
    assert len(set(found.successor.values())) == len(found.successor)
    assert found.overlap.to_numpy().sum() == len(pairs)
    assert 0 < found.kept_share <= 1


def test_migration_counts_who_came_and_who_left() -> None:
    before = pd.Series({"1": "a", "2": "a", "3": "a", "4": "b", "5": "b"})
    after = pd.Series({"1": "a", "2": "a", "3": "b", "4": "b", "6": "a"})
    found = migration(before, after)
    matrix = found.matrix()
    assert matrix.loc["a"].to_dict() == {"a": 2, "b": 1, "left": 0}
    assert matrix.loc["b"].to_dict() == {"a": 0, "b": 1, "left": 1}
    assert matrix.loc["entered"].to_dict() == {"a": 1, "b": 0, "left": 0}
    assert (found.entries, found.exits) == (1, 1)
    assert found.kept is not None
    assert found.kept.value == pytest.approx(3 / 4)
    cell = next(one for one in found.cells if (one.before, one.after) == ("a", "b"))
    # Wilson (1927) by its formula for 1 of 3.
    z, p, n = 1.959964, 1 / 3, 3
    middle, reach = (p + z**2 / 2 / n), z * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2)
    assert cell.share.low == pytest.approx((middle - reach) / (1 + z**2 / n), abs=1e-6)
    assert cell.share.high == pytest.approx((middle + reach) / (1 + z**2 / n), abs=1e-6)
    with pytest.raises(ValueError, match="account 1 has two segments after"):
        migration(before, pd.concat([after, after.iloc[:1]]))
