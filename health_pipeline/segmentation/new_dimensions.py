"""Whether a dimension that is not in the segments would tell more than they do, and what it would do to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from health_pipeline.policy.segment_review import SegmentReviewPolicy
from health_pipeline.policy.segmentation import Dimension, SegmentationPolicy
from health_pipeline.segmentation.figures import ALL, Figure, of_interval, with_adjusted
from health_pipeline.segmentation.methods.clusterboot import clusterboot
from health_pipeline.segmentation.methods.information import agreement
from health_pipeline.segmentation.methods.kmeans import fit_kmeans
from health_pipeline.segmentation.methods.multiplicity import LEAST_EVENTS, NOT_ENOUGH, holm
from health_pipeline.segmentation.methods.nested import log_loss_gain, nested_test
from health_pipeline.segmentation.model import SegmentModel
from health_pipeline.segmentation.outcomes import LABELS, numbers
from health_pipeline.segmentation.space import Space

# Stability with and without a dimension is a comparison, not a gate: a quarter of the resamples are enough.
RESAMPLES_PART = 4


def dimension_figures(
    segment: pd.Series, features: pd.DataFrame, outcomes: pd.DataFrame, policy: SegmentReviewPolicy
) -> list[Figure]:
    """Test each new dimension against the segments, outcome by outcome; features before, outcomes after.

    Parameters
    ----------
    segment, features, outcomes : as in `outcomes.next_quarter`

    Returns
    -------
    list of Figure
        The nested tests' p-values are Holm's over all dimensions and outcomes.
    """
    both = pd.DataFrame({"segment": segment}).join(outcomes, how="inner").join(features, rsuffix="_feature", how="left")
    tested: list[Figure] = []
    others: list[Figure] = []
    for dimension, names in policy.new_dimensions.items():
        for outcome, label in LABELS.items() if label_known(both) else ():
            rows = _judged(both[both[label].notna()], label, names)
            event = rows[label].astype(bool).to_numpy().astype(np.float64)
            base = pd.get_dummies(rows["segment"], drop_first=True, dtype=float).to_numpy()
            added = numbers(rows, names)
            more: dict[str, Any] = {"accounts": len(event), "events": int(event.sum())}
            rarer = int(min(event.sum(), len(event) - event.sum()))
            method = f"likelihood-ratio test of {', '.join(names)} beside the segments; Holm over all of them"
            key = ("new_dimensions", dimension, outcome)
            if added.shape[1] == 0 or rarer < max(LEAST_EVENTS * added.shape[1], policy.cross_validation_folds):
                why = "nothing is known of it" if added.shape[1] == 0 else NOT_ENOUGH
                others.append(Figure(*key, "nested_test", None, method, verdict=why, **more))
                continue
            test = nested_test(base, added, event)
            more["verdict"] = test.reason
            tested.append(Figure(*key, "nested_test", test.chi_square, method, p_value=test.p_value, **more))
            gain = log_loss_gain(base, added, event, policy.cross_validation_folds, policy.cross_validation_repeats,
                                 policy.seed)  # fmt: skip
            how = (
                f"log loss without less with it, {gain.repeats} x {gain.folds} folds, seed {gain.seed}; "
                "Nadeau-Bengio (DeLong is not for nested models)"
            )
            others.append(
                of_interval(*key, "log_loss_gain", gain.gain.difference, how, p_value=gain.gain.p_value, **more)
            )
    adjusted = holm([one.p_value if one.p_value is not None else float("nan") for one in tested]) if tested else ()
    # `segment` holds the outcome the dimension was tested on; the dimension is about all accounts.
    found = [*with_adjusted(tested, adjusted), *others]
    return [replace(one, segment=ALL, figure=f"{one.figure} ({one.segment})") for one in found]


def _judged(rows: pd.DataFrame, label: str, names: tuple[str, ...]) -> pd.DataFrame:
    """The accounts of which the dimension is known, in segments where some had the event and some had not.

    Where all or none of a segment had it, the segment says everything: such rows add the same to both likelihoods.
    """
    connected = [name for name in names if rows[name].notna().any()]
    known = rows[rows[connected].notna().all(axis=1)]
    share = known[label].astype(bool).groupby(known["segment"]).transform("mean")
    return known[(share > 0) & (share < 1)]


def label_known(both: pd.DataFrame) -> bool:
    """Whether the labels are there and any of them is known."""
    return all(label in both for label in LABELS.values()) and bool(both[LABELS["churned"]].notna().any())


def segmentation_figures(
    model: SegmentModel, rows: pd.DataFrame, review: SegmentReviewPolicy, policy: SegmentationPolicy
) -> list[Figure]:
    """What each new dimension would do to the segments: agreement with the old ones, stability with and without it."""
    k = len(model.names)
    if k == 1:
        return []
    found: list[Figure] = []
    resamples = max(2, policy.stability_resamples // RESAMPLES_PART)
    for name, features in review.new_dimensions.items():
        free = {feature: "none" for feature in features if feature not in policy.transforms}
        if not free:
            continue
        dimensions = {**policy.dimensions, name: Dimension(features=free)}  # type: ignore[arg-type]
        space = Space.fit(rows, policy.model_copy(update={"dimensions": dimensions}))
        if not any(axis.dimension == name for axis in space.axes):
            found.append(Figure("new_dimensions", name, ALL, "smallest_jaccard_with", None, "clusterboot",
                                verdict="nothing is known of it"))  # fmt: skip
            continue
        positions, coverage = space.place(rows)
        flags = coverage >= policy.minimum_coverage
        old = model.assign(rows).loc[flags, "segment"].tolist()
        fitted = fit_kmeans(positions[flags], k, policy.n_init, policy.seed)
        compared = agreement(old, np.asarray(fitted.labels_).tolist())
        stability = clusterboot(positions[flags], np.asarray(fitted.cluster_centers_), resamples,
                                policy.stability_n_init, policy.seed, policy.stability_accounts)  # fmt: skip
        how = f"k-means with {k} segments and the dimension added, {policy.n_init} starts, seed {policy.seed}"
        found.append(
            Figure("new_dimensions", name, ALL, "agreement_ari", compared.ari, how, accounts=compared.accounts)
        )
        boot = f"{how}; {resamples} resamples, {policy.stability_n_init} starts"
        found.append(Figure("new_dimensions", name, ALL, "smallest_jaccard_with", stability.smallest, boot,
                            accounts=stability.accounts))  # fmt: skip
    return found
