"""The quarter's review: fits a model on the accounts of the quarter's last week, assigns and profiles them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.metrics import silhouette_score

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.content import content_hash
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.policy.documents import Document
from health_pipeline.policy.features import feature
from health_pipeline.policy.segmentation import SegmentationPolicy
from health_pipeline.segmentation.methods.gap import gap_statistic
from health_pipeline.segmentation.methods.kmeans import fit_kmeans
from health_pipeline.segmentation.methods.prediction_strength import prediction_strength
from health_pipeline.segmentation.model import UNSEGMENTED, SegmentModel
from health_pipeline.segmentation.naming import description, listing_order, segment_names
from health_pipeline.segmentation.space import Floats, Space, known_values

SILHOUETTE_ACCOUNTS = 2_000


@dataclass(frozen=True)
class QuarterlyReview:
    """The review in the mart's types.

    Attributes
    ----------
    model : a row of segment_models, a candidate; no row where nothing could be fitted
    assignments : a row per account
    performance : a row per segment, 'unsegmented' last
    dropped : dimensions and features that were left out, with the reason
    unfitted_reason : why there is no model; None where there is one
    """

    model: pa.Table
    assignments: pa.Table
    performance: pa.Table
    dropped: dict[str, str]
    unfitted_reason: str | None


@dataclass(frozen=True)
class _Fit:
    model: SegmentModel
    inertia: float
    silhouette: float | None
    notes: dict[str, Any]


def review_quarter(features: pd.DataFrame, quarter: Quarter, policy: Document[SegmentationPolicy]) -> QuarterlyReview:
    """Fit the quarter's segments and put its accounts into them.

    Parameters
    ----------
    features : DataFrame, a row per account with the columns of account_features_weekly, of the quarter's last week
    quarter : the quarter
    policy : the document that says in which dimensions, and how many segments there may be

    Returns
    -------
    QuarterlyReview

    Raises
    ------
    ValueError
        If an account has two rows, a column is not there, or the rows are of another week.
    """
    _check(features, quarter, policy.model)
    rows = features.sort_values("account_id", kind="stable").reset_index(drop=True)
    space = Space.fit(rows, policy.model)
    positions, coverage = space.place(rows)
    is_known = coverage >= policy.model.minimum_coverage
    reason = _unfitted_reason(rows, space, int(is_known.sum()), policy.model)
    if reason is not None:
        assigned = pd.DataFrame(
            {"segment": UNSEGMENTED, "unsegmented_reason": reason, "distance_to_centre": np.nan}, index=rows.index
        )
        model_id, model = None, empty_table("segment_models")
    else:
        fit = _fit(space, positions[is_known], policy.model)
        assigned = fit.model.assign(rows)
        data_hash = _data_hash(rows, space)
        model_id = _model_id(quarter, data_hash, policy)
        model = _model_row(model_id, quarter, fit, assigned, data_hash, policy.model)
    assignments = _assignments(rows, assigned, quarter, model_id)
    names = list(fit.model.names) if reason is None else []
    performance = _performance(rows, assigned, quarter, model_id, [*names, UNSEGMENTED])
    return QuarterlyReview(model, assignments, performance, space.dropped, reason)


def _check(features: pd.DataFrame, quarter: Quarter, policy: SegmentationPolicy) -> None:
    needed = ["account_id", "week", "arr_reporting", *policy.transforms]
    needed += [feature(name).status_column for name in policy.transforms]
    if lacking := sorted({name for name in needed if name not in features.columns}):
        raise ValueError(f"the features of quarter {quarter} lack {', '.join(lacking)}; build account_features_weekly")
    last = quarter.last_week.monday
    if other := sorted(set(pd.to_datetime(features["week"]).dt.date) - {last}):
        raise ValueError(f"quarter {quarter} is reviewed on its last week {last}, but the features hold {other[0]}")
    if features["account_id"].duplicated().any():
        one = features.loc[features["account_id"].duplicated(), "account_id"].iloc[0]
        raise ValueError(f"account {one} has two rows in week {last}; account_features_weekly has one")


def _unfitted_reason(rows: pd.DataFrame, space: Space, known: int, policy: SegmentationPolicy) -> str | None:
    if not space.axes and len(rows):
        return "no dimension of the policy is connected"
    if known < policy.minimum_accounts:
        return f"{known} accounts of the quarter are known well enough, {policy.minimum_accounts} are needed"
    return None


def _fit(space: Space, points: Floats, policy: SegmentationPolicy) -> _Fit:
    rng = np.random.default_rng(policy.seed)
    sample = points
    if len(points) > policy.gap_accounts:
        sample = points[np.sort(rng.choice(len(points), policy.gap_accounts, replace=False))]
    gap = gap_statistic(sample, policy.most_segments, policy.gap_references, policy.gap_n_init, policy.seed)
    considered: list[dict[str, Any]] = []
    for k in range(gap.chosen, 0, -1):
        fitted = fit_kmeans(points, k, policy.n_init, policy.seed)
        share = float(np.bincount(fitted.labels_, minlength=k).min() / len(points))
        strength = prediction_strength(sample, k, policy.prediction_splits, policy.gap_n_init, policy.seed)
        considered.append({"k": k, "smallest_share": round(share, 6), "prediction_strength": round(strength, 6)})
        large_enough = share >= policy.minimum_segment_share
        if k == 1 or (large_enough and strength >= policy.minimum_prediction_strength):
            break
    fitted_centres: Floats = np.asarray(fitted.cluster_centers_, dtype=np.float64).round(9)
    centres = fitted_centres[listing_order(space, fitted_centres, policy.revenue_dimension)]
    model = SegmentModel(space, centres, tuple(segment_names(space, centres, policy.name_from)))
    notes = {
        "gap_along_features": [round(value, 6) for value in gap.along_features],
        "gap_along_features_error": [round(value, 6) for value in gap.along_features_error],
        "gap_along_components": [round(value, 6) for value in gap.along_components],
        "gap_along_components_error": [round(value, 6) for value in gap.along_components_error],
        "gap_accounts": len(sample),
        "considered": considered,
    }
    return _Fit(model, float(fitted.inertia_), _silhouette(points, fitted.labels_, k, policy.seed), notes)


def _silhouette(points: Floats, labels: np.ndarray, k: int, seed: int) -> float | None:
    if k == 1:
        return None
    size = min(len(points), SILHOUETTE_ACCOUNTS)
    return float(silhouette_score(points, labels, sample_size=size, random_state=seed))


def _data_hash(rows: pd.DataFrame, space: Space) -> str:
    columns: dict[str, Any] = {"account_id": pa.array(rows["account_id"], pa.string())}
    for axis in space.axes:
        columns[axis.feature] = pa.array(known_values(rows, axis.feature), pa.float64(), from_pandas=True)
    return content_hash(pa.table(columns))


def _model_id(quarter: Quarter, data_hash: str, policy: Document[SegmentationPolicy]) -> str:
    parts = [str(quarter), data_hash, policy.hash, "kmeans-1"]
    return "segments-" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _model_row(
    model_id: str,
    quarter: Quarter,
    fit: _Fit,
    assigned: pd.DataFrame,
    data_hash: str,
    policy: SegmentationPolicy,
) -> pa.Table:
    counts = assigned["segment"].value_counts()
    segments = [
        {
            "name": name,
            "description": description(fit.model.space, centre, int(counts.get(name, 0))),
            "centre": fit.model.space.own_units(centre),
        }
        for name, centre in zip(fit.model.names, fit.model.centres, strict=True)
    ]
    row = {
        "segment_model_id": model_id,
        "quarter": quarter.first_day,
        "status": "candidate",
        "algorithm": "kmeans",
        "k": len(fit.model.names),
        "features": json.dumps([axis.feature for axis in fit.model.space.axes]),
        "parameters": fit.model.to_json(**fit.notes),
        "segments": json.dumps(segments),
        "seed": policy.seed,
        "n_init": policy.n_init,
        "accounts": int((assigned["segment"] != UNSEGMENTED).sum()),
        "inertia": fit.inertia,
        "silhouette": fit.silhouette,
        "data_hash": data_hash,
        "effective_from": None,
        "adopted_by": None,
        "adoption_reason": None,
    }
    return pa.Table.from_pylist([row], schema=mart_tables()["segment_models"].arrow_schema)


def _assignments(rows: pd.DataFrame, assigned: pd.DataFrame, quarter: Quarter, model_id: str | None) -> pa.Table:
    schema = mart_tables()["segment_assignments_quarterly"].arrow_schema
    n = len(rows)
    columns = {
        "account_id": pa.array(rows["account_id"], pa.string()),
        "quarter": pa.repeat(pa.scalar(quarter.first_day, pa.date32()), n),
        "segment_model_id": pa.repeat(pa.scalar(model_id, pa.string()), n),
        "segment": pa.array(list(assigned["segment"]), pa.string()),
        "unsegmented_reason": pa.array(list(assigned["unsegmented_reason"]), pa.string(), from_pandas=True),
        "distance_to_centre": pa.array(
            assigned["distance_to_centre"].to_numpy(dtype=np.float64), pa.float64(), from_pandas=True
        ),
    }
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _performance(
    rows: pd.DataFrame, assigned: pd.DataFrame, quarter: Quarter, model_id: str | None, names: list[str]
) -> pa.Table:
    # Unknown is not zero: revenue that is known of no account of a segment is null.
    money = rows["arr_reporting"].dropna().map(lambda value: Decimal(str(value)))
    by_segment = money.groupby(assigned["segment"].loc[money.index].to_numpy()).sum()
    total = sum(money, Decimal(0))
    counts = assigned["segment"].value_counts()
    found = []
    for name in names:
        accounts = int(counts.get(name, 0))
        if name == UNSEGMENTED and accounts == 0:
            continue
        revenue = by_segment.get(name)
        found.append(
            {
                "quarter": quarter.first_day,
                "segment_model_id": model_id,
                "segment": name,
                "accounts": accounts,
                "accounts_share": accounts / len(rows),
                "arr_reporting": None if revenue is None else revenue.quantize(Decimal("0.01")),
                "arr_share": float(revenue / total) if revenue is not None and total else None,
            }
        )
    return pa.Table.from_pylist(found, schema=mart_tables()["segment_performance_quarterly"].arrow_schema)
