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

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.content import content_hash
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.policy.documents import Document
from health_pipeline.policy.features import feature
from health_pipeline.policy.segmentation import SegmentationPolicy
from health_pipeline.segmentation.candidates import Candidate, Candidates, Progress, fit_candidates
from health_pipeline.segmentation.methods.matching import SURVIVES, match_labels
from health_pipeline.segmentation.model import UNSEGMENTED, SegmentModel
from health_pipeline.segmentation.naming import description, segment_names
from health_pipeline.segmentation.space import Space, known_values


@dataclass(frozen=True)
class QuarterlyReview:
    """The review in the mart's types.

    Attributes
    ----------
    model : a row of segment_models, the recommended candidate; no row where nothing could be fitted
    alternatives : rows of segment_models, the other supported solutions a person may adopt
    candidates : every solution that was looked at, with its figures; None where nothing could be fitted
    fitted : the recommended model itself; None where nothing could be fitted
    assignments : a row per account
    performance : a row per segment, 'unsegmented' last
    dropped : dimensions and features that were left out, with the reason
    unfitted_reason : why there is no model; None where there is one
    """

    model: pa.Table
    alternatives: pa.Table
    candidates: Candidates | None
    fitted: SegmentModel | None
    assignments: pa.Table
    performance: pa.Table
    dropped: dict[str, str]
    unfitted_reason: str | None


def review_quarter(
    features: pd.DataFrame,
    quarter: Quarter,
    policy: Document[SegmentationPolicy],
    before: SegmentModel | None = None,
    progress: Progress | None = None,
) -> QuarterlyReview:
    """Fit the quarter's segments and put its accounts into them.

    Parameters
    ----------
    features : DataFrame, a row per account with the columns of account_features_weekly, of the quarter's last week
    quarter : the quarter
    policy : the document that says in which dimensions, and how many segments there may be
    before : last quarter's model; a segment that holds half of one of its segments, and the other way round, keeps
        its name
    progress : told what is being fitted

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
    coverage = space.place(rows)[1]
    reason = _unfitted_reason(rows, space, int((coverage >= policy.model.minimum_coverage).sum()), policy.model)
    if reason is not None:
        assigned = pd.DataFrame(
            {"segment": UNSEGMENTED, "unsegmented_reason": reason, "distance_to_centre": np.nan}, index=rows.index
        )
        performance = _performance(rows, assigned, quarter, None, [UNSEGMENTED])
        none = empty_table("segment_models")
        assignments = _assignments(rows, assigned, quarter, None)
        return QuarterlyReview(none, none, None, None, assignments, performance, space.dropped, reason)
    candidates = fit_candidates(rows, policy.model, progress)
    models = [_named(one, rows, before, policy.model) for one in candidates.shown]
    registered = [
        _model_row(one, model, rows, quarter, candidates, policy)
        for one, model in zip(candidates.shown, models, strict=True)
    ]
    schema = mart_tables()["segment_models"].arrow_schema
    assigned = models[0].assign(rows)
    model_id = registered[0]["segment_model_id"]
    return QuarterlyReview(
        model=pa.Table.from_pylist(registered[:1], schema=schema),
        alternatives=pa.Table.from_pylist(registered[1:], schema=schema),
        candidates=candidates,
        fitted=models[0],
        assignments=_assignments(rows, assigned, quarter, model_id),
        performance=_performance(rows, assigned, quarter, model_id, [*models[0].names, UNSEGMENTED]),
        dropped=space.dropped,
        unfitted_reason=None,
    )


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


def _named(
    candidate: Candidate, rows: pd.DataFrame, before: SegmentModel | None, policy: SegmentationPolicy
) -> SegmentModel:
    """Names by rule from the profile; those of last quarter's segments where most of one is most of the other."""
    names = segment_names(candidate.space, candidate.centres, policy.name_from)
    model = SegmentModel(candidate.space, candidate.centres, tuple(names))
    if before is None or candidate.k == 1 or len(before.names) == 1:
        return model
    then, now = before.assign(rows)["segment"], model.assign(rows)["segment"]
    both = (then != UNSEGMENTED) & (now != UNSEGMENTED)
    if not both.any():
        return model
    match = match_labels(then[both].tolist(), now[both].tolist())
    sizes_then, sizes_now = match.overlap.sum(axis=1), match.overlap.sum(axis=0)
    shared = {new: int(match.overlap.loc[[old], new].sum()) for old, new in match.successor.items()}
    kept = {
        new: old
        for old, new in match.successor.items()
        if shared[new] >= SURVIVES * max(int(sizes_then[old]), int(sizes_now[new]))
    }
    taken = set(kept.values())
    told = [kept.get(name) or (f"{name} (new)" if name in taken else name) for name in names]
    return SegmentModel(candidate.space, candidate.centres, tuple(told))


def _data_hash(rows: pd.DataFrame, space: Space) -> str:
    columns: dict[str, Any] = {"account_id": pa.array(rows["account_id"], pa.string())}
    for axis in space.axes:
        columns[axis.feature] = pa.array(known_values(rows, axis.feature), pa.float64(), from_pandas=True)
    return content_hash(pa.table(columns))


def _model_id(quarter: Quarter, data_hash: str, policy: Document[SegmentationPolicy], candidate: Candidate) -> str:
    parts = [str(quarter), data_hash, policy.hash, "kmeans-2", candidate.transform, str(candidate.k)]
    return "segments-" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _model_row(
    candidate: Candidate,
    model: SegmentModel,
    rows: pd.DataFrame,
    quarter: Quarter,
    candidates: Candidates,
    policy: Document[SegmentationPolicy],
) -> dict[str, Any]:
    assigned = model.assign(rows)
    counts = assigned["segment"].value_counts()
    segments = [
        {
            "name": name,
            "description": description(model.space, centre, int(counts.get(name, 0))),
            "centre": model.space.own_units(centre),
        }
        for name, centre in zip(model.names, model.centres, strict=True)
    ]
    data_hash = _data_hash(rows, model.space)
    is_recommended = candidate is candidates.recommended
    return {
        "segment_model_id": _model_id(quarter, data_hash, policy, candidate),
        "quarter": quarter.first_day,
        "status": "candidate",
        "algorithm": "kmeans",
        "transform": candidate.transform,
        "k": candidate.k,
        "is_recommended": is_recommended,
        "recommendation": "; ".join(candidates.reasons) if is_recommended else "supported, shown to compare",
        "smallest_share": candidate.smallest_share,
        "split_half_strength": candidate.prediction_strength,
        "smallest_jaccard": None if candidate.stability is None else candidate.stability.smallest,
        "figures": json.dumps(candidates.figures() if is_recommended else candidate.figures(), sort_keys=True),
        "features": json.dumps([axis.feature for axis in model.space.axes]),
        "parameters": model.to_json(),
        "segments": json.dumps(segments),
        "seed": policy.model.seed,
        "n_init": policy.model.n_init,
        "accounts": int((assigned["segment"] != UNSEGMENTED).sum()),
        "inertia": candidate.inertia,
        "silhouette": candidate.silhouette,
        "data_hash": data_hash,
        "effective_from": None,
        "adopted_by": None,
        "adoption_reason": None,
    }


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
