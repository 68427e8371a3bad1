"""Candidate solutions over transforms and numbers of segments: the figures of each, the recommendation and why."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture

from health_pipeline.policy.segmentation import SegmentationPolicy, Tried
from health_pipeline.policy.wording import counted
from health_pipeline.segmentation.methods.clusterboot import ClusterStability, clusterboot
from health_pipeline.segmentation.methods.gap import GapStatistic, gap_statistic
from health_pipeline.segmentation.methods.kmeans import Floats, fit_kmeans, one_thread, subsample
from health_pipeline.segmentation.methods.prediction_strength import prediction_strength
from health_pipeline.segmentation.naming import listing_order
from health_pipeline.segmentation.space import Space

SILHOUETTE_ACCOUNTS = 2_000
# On fewer accounts threads wait for the interpreter longer than they work.
SIDE_BY_SIDE_FROM = 5_000
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """One solution and its figures.

    Attributes
    ----------
    transform : how the features were transformed
    k : segments
    space, centres : the solution, centres of shape (k, axes) in listing order
    sizes : accounts per segment, in that order
    inertia, silhouette : descriptions, no selectors; silhouette is None for one segment
    prediction_strength : of the worst segment, mean over halves
    stability : bootstrap Jaccard per segment; None for one segment, which always comes back
    mixture_ari, mixture_bic : agreement with a Gaussian mixture of as many components, and its BIC
    failures : why it is not supported; empty where it is
    """

    transform: Tried
    k: int
    space: Space
    centres: Floats
    sizes: tuple[int, ...]
    inertia: float
    silhouette: float | None
    prediction_strength: float
    stability: ClusterStability | None
    mixture_ari: float | None
    mixture_bic: float | None
    failures: tuple[str, ...]

    @property
    def is_supported(self) -> bool:
        """Whether it passes every gate."""
        return not self.failures

    @property
    def smallest_share(self) -> float:
        """Share of the accounts in the smallest segment."""
        return min(self.sizes) / max(sum(self.sizes), 1)

    def figures(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "transform": self.transform,
            "k": self.k,
            "sizes": list(self.sizes),
            "smallest_share": round(self.smallest_share, 6),
            "inertia": round(self.inertia, 6),
            "silhouette": None if self.silhouette is None else round(self.silhouette, 6),
            "prediction_strength": round(self.prediction_strength, 6),
            "jaccard": None if self.stability is None else [round(value, 6) for value in self.stability.jaccard],
            "mixture_ari": None if self.mixture_ari is None else round(self.mixture_ari, 6),
            "mixture_bic": None if self.mixture_bic is None else round(self.mixture_bic, 3),
            "failures": list(self.failures),
        }


@dataclass(frozen=True)
class Candidates:
    """All of them by transform and k, the gap statistic of each transform, and the recommendation with its reasons.

    `shown` are the supported ones a person may adopt, the recommended first.
    """

    all: tuple[Candidate, ...]
    gaps: dict[Tried, GapStatistic]
    recommended: Candidate
    reasons: tuple[str, ...]
    shown: tuple[Candidate, ...]
    seed: int
    resampling: dict[str, int]

    def figures(self) -> dict[str, Any]:
        """Everything that was looked at, as plain values: figures, settings, seeds."""
        gaps = {
            name: {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(gap).items()}
            for name, gap in self.gaps.items()
        }
        return {
            "candidates": [candidate.figures() for candidate in self.all],
            "gap": _rounded(gaps),
            "reasons": list(self.reasons),
            "seed": self.seed,
            "resampling": self.resampling,
        }


def fit_candidates(rows: pd.DataFrame, policy: SegmentationPolicy, progress: Progress | None = None) -> Candidates:
    """Fit every transform and number of segments that the policy tries, and recommend one.

    A candidate is supported where the gap statistic allows as many segments, none is below the minimum share,
    prediction strength reaches the policy's floor, and every segment comes back under resampling. Recommended is the
    supported one with most segments among those of the declared transform; k = 1 is always supported. Other
    transforms are shown beside it, and are not recommended by themselves: the declared one was chosen before anybody
    looked.

    Parameters
    ----------
    rows : account_features_weekly of the quarter's last week, one row per account
    progress : told what is being fitted

    Raises
    ------
    ValueError
        If the policy's features leave no axis.
    """
    spaces: dict[Tried, Space] = {
        name: Space.fit(rows, policy.with_transform(name)) for name in policy.transforms_tried
    }
    # Two transforms that come to the same are looked at once.
    kept = {name: space for name, space in spaces.items() if name == "declared" or space != spaces["declared"]}
    found: list[Candidate] = []
    gaps: dict[Tried, GapStatistic] = {}
    for name, space in kept.items():
        gaps[name], candidates = _of_space(name, space, rows, policy, progress or (lambda _: None))
        found += candidates
    declared = [candidate for candidate in found if candidate.transform == "declared"]
    recommended = max((one for one in declared if one.is_supported), key=lambda one: one.k)
    others = [one for one in found if one.is_supported and one is not recommended and one.k > 1]
    others += [one for one in declared if one.k == 1 and one is not recommended]
    others.sort(key=lambda one: (one.transform != "declared", -one.prediction_strength, one.k))
    return Candidates(
        all=tuple(found),
        gaps=gaps,
        recommended=recommended,
        reasons=_reasons(recommended, declared, others, gaps["declared"], policy),
        shown=(recommended, *others[: policy.solutions_shown - 1]),
        seed=policy.seed,
        resampling={
            "starts": policy.n_init,
            "gap_references": policy.gap_references,
            "gap_starts": policy.gap_n_init,
            "gap_accounts": policy.gap_accounts,
            "prediction_splits": policy.prediction_splits,
            "resamples": policy.stability_resamples,
            "resample_starts": policy.stability_n_init,
            "resample_accounts": policy.stability_accounts,
        },
    )


@one_thread
def _of_space(
    name: Tried, space: Space, rows: pd.DataFrame, policy: SegmentationPolicy, progress: Progress
) -> tuple[GapStatistic, list[Candidate]]:
    if not space.axes:
        raise ValueError("no dimension of the policy is connected")
    positions, coverage = space.place(rows)
    points = positions[coverage >= policy.minimum_coverage]
    sample, _ = subsample(points, policy.gap_accounts, policy.seed)
    progress(f"{name}: gap statistic, 1 to {policy.most_segments} segments")
    gap = gap_statistic(sample, policy.most_segments, policy.gap_references, policy.gap_n_init, policy.seed)
    counts = range(1, len(gap.along_features) + 1)
    found: dict[int, Candidate] = {}
    # Each candidate is fitted in one thread, with its own seeds: how many of them go on at once changes no figure.
    workers = cores() if len(points) >= SIDE_BY_SIDE_FROM else 1
    with ThreadPoolExecutor(workers) as pool:
        # The most segments first: they take longest.
        waiting = {pool.submit(_candidate, name, space, points, sample, k, gap, policy): k for k in reversed(counts)}
        for done in as_completed(waiting):
            found[waiting[done]] = done.result()
            segments = counted(waiting[done], "segment")
            progress(f"{name}: {segments} fitted and resampled, {len(found)} of {len(counts)}")
    return gap, [found[k] for k in counts]


def _candidate(
    name: Tried, space: Space, points: Floats, sample: Floats, k: int, gap: GapStatistic, policy: SegmentationPolicy
) -> Candidate:
    fitted = fit_kmeans(points, k, policy.n_init, policy.seed)
    centres: Floats = np.asarray(fitted.cluster_centers_, dtype=np.float64).round(9)
    order = listing_order(space, centres, policy.revenue_dimension)
    counts = np.bincount(fitted.labels_, minlength=k)[order]
    mixture = _mixture(points, np.asarray(fitted.labels_), k, policy)
    candidate = Candidate(
        transform=name,
        k=k,
        space=space,
        centres=centres[order],
        sizes=tuple(map(int, counts)),
        inertia=float(fitted.inertia_),
        silhouette=_silhouette(points, np.asarray(fitted.labels_), k, policy.seed),
        prediction_strength=prediction_strength(sample, k, policy.prediction_splits, policy.gap_n_init, policy.seed),
        stability=None,
        mixture_ari=mixture[0],
        mixture_bic=mixture[1],
        failures=(),
    )
    failures = _failures(candidate, gap, policy)
    if k == 1:
        return replace(candidate, failures=failures)
    stability = clusterboot(
        points, candidate.centres, policy.stability_resamples, policy.stability_n_init, policy.seed,
        policy.stability_accounts,
    )  # fmt: skip
    if stability.smallest < policy.minimum_jaccard:
        failures += (f"a segment comes back with {below(stability.smallest, policy.minimum_jaccard)}",)
    return replace(candidate, stability=stability, failures=failures)


def _failures(candidate: Candidate, gap: GapStatistic, policy: SegmentationPolicy) -> tuple[str, ...]:
    if candidate.k == 1:
        return ()
    found = []
    if candidate.k > gap.chosen:
        found.append(f"the gap statistic supports {gap.chosen}")
    if candidate.smallest_share < policy.minimum_segment_share:
        found.append(outlier_group(min(candidate.sizes), sum(candidate.sizes), policy.minimum_segment_share))
    if candidate.prediction_strength < policy.minimum_prediction_strength:
        found.append(f"prediction strength {below(candidate.prediction_strength, policy.minimum_prediction_strength)}")
    return tuple(found)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def below(value: float, threshold: float) -> str:
    """Say a value that is below a threshold: rounded down where it would read as reaching it."""
    text = f"{value:.2f}"
    shown = text if float(text) < threshold else f"{math.floor(value * 100) / 100:.2f}"
    return f"{shown}, below {threshold:g}"


def outlier_group(accounts: int, of_accounts: int, minimum_share: float) -> str:
    """What a group below the minimum share is called: not a segment."""
    return (
        f"{accounts:,} of {of_accounts:,} accounts ({accounts / of_accounts:.1%}) are an outlier group, not a segment: "
        f"below the minimum share of {minimum_share:.0%}"
    )


def _reasons(
    recommended: Candidate,
    declared: list[Candidate],
    others: list[Candidate],
    gap: GapStatistic,
    policy: SegmentationPolicy,
) -> tuple[str, ...]:
    reasons = [
        f"the gap statistic supports {gap.chosen} (first maximum: {gap.first_se_max})",
    ]
    if recommended.k == 1:
        reasons.append("no division of the accounts passes every gate, so there is one segment")
    else:
        reasons.append(
            f"{recommended.k} segments: smallest {recommended.smallest_share:.0%} of the accounts, prediction strength "
            f"{recommended.prediction_strength:.2f}, "
            f"smallest Jaccard {recommended.stability.smallest if recommended.stability else 1.0:.2f}"
        )
    more = [one for one in declared if recommended.k < one.k <= gap.chosen + 1]
    reasons += [f"not {one.k}: {'; '.join(one.failures)}" for one in more]
    if elsewhere := [one for one in others if one.transform != "declared"]:
        names = ", ".join(f"{one.k} ({one.transform})" for one in elsewhere)
        reasons.append(f"supported with another transform, to compare: {names}")
    return tuple(reasons)


def _silhouette(points: Floats, labels: np.ndarray, k: int, seed: int) -> float | None:
    if k == 1:
        return None
    size = min(len(points), SILHOUETTE_ACCOUNTS)
    return float(silhouette_score(points, labels, sample_size=size, random_state=seed))


@one_thread
def _mixture(
    points: Floats, labels: np.ndarray, k: int, policy: SegmentationPolicy
) -> tuple[float | None, float | None]:
    sample, chosen = subsample(points, policy.stability_accounts, policy.seed)
    if k == 1 or len(sample) <= k * (points.shape[1] + 1):
        return None, None
    fitted = GaussianMixture(k, n_init=1, random_state=policy.seed, reg_covar=1e-4, covariance_type="diag").fit(sample)
    return float(adjusted_rand_score(labels[chosen], fitted.predict(sample))), float(fitted.bic(sample))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value
