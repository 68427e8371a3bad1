"""How many segments: known answers on noise and on separated clusters."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from health_pipeline.segmentation.methods.clusterboot import clusterboot
from health_pipeline.segmentation.methods.gap import gap_statistic
from health_pipeline.segmentation.methods.kmeans import fit_kmeans
from health_pipeline.segmentation.methods.prediction_strength import prediction_strength

CORNERS = 10.0 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
CORRELATED = [[1, 0.9, 0.8], [0.9, 1, 0.85], [0.8, 0.85, 1]]


def chosen(points: np.ndarray) -> int:
    return gap_statistic(points, most=8, references=12, n_init=2, seed=7).chosen


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_has_one_segment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert chosen(rng.uniform(size=(300, 3))) == 1
    assert chosen(rng.normal(size=(300, 3))) == 1
    assert chosen(rng.multivariate_normal([0, 0, 0], CORRELATED, 300)) == 1


@pytest.mark.parametrize("k", [4, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_separated_clusters_are_counted(k: int, seed: int) -> None:
    points, _ = make_blobs(400, centers=CORNERS[:k], cluster_std=1.0, random_state=seed)
    assert chosen(points) == k
    assert prediction_strength(points, k, splits=4, n_init=5, seed=1) > 0.95
    assert prediction_strength(points, 8, splits=4, n_init=5, seed=1) < 0.8


def test_the_same_points_give_the_same_figures() -> None:
    points = np.random.default_rng(5).normal(size=(120, 4))
    one, other = (gap_statistic(points, 4, 10, 2, 3) for _ in range(2))
    assert one == other
    assert len(one.along_components) == 4


def test_few_distinct_points_are_no_reason_to_fail() -> None:
    assert chosen(np.zeros((50, 2))) == 1
    assert chosen(np.repeat([[0.0, 0.0], [1.0, 1.0]], 25, axis=0)) == 1
    assert prediction_strength(np.zeros((50, 2)), 1, splits=2, n_init=1, seed=0) == 1


@pytest.mark.long
def test_over_forty_samples_of_noise_hardly_any_has_segments() -> None:
    found = []
    for seed in range(100, 120):
        rng = np.random.default_rng(seed)
        found += [
            gap_statistic(points, most=8, references=20, n_init=3, seed=7).chosen
            for points in (rng.uniform(size=(500, 3)), rng.normal(size=(500, 3)))
        ]
    # Two standard errors on each of two references leave about one in forty.
    assert sum(k > 1 for k in found) <= 3


@pytest.mark.long
@pytest.mark.parametrize("k", [4, 7])
def test_separated_clusters_come_back_in_a_hundred_resamples(k: int) -> None:
    points, _ = make_blobs(1_000, centers=CORNERS[:k], cluster_std=1.0, random_state=k)
    assert gap_statistic(points, most=10, references=20, n_init=3, seed=7).chosen == k
    centres = np.asarray(fit_kmeans(points, k, 20, 7).cluster_centers_)
    stability = clusterboot(points, centres, resamples=100, n_init=5, seed=7)
    assert min(stability.jaccard) >= 0.75
    assert sum(stability.dissolved) == 0
