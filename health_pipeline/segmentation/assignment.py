"""Which segment an account is in in a week: by the newest model that was in force then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.segmentation.model import UNSEGMENTED, SegmentModel

COLUMNS = ["account_id", "week", "segment", "segment_model_id"]


def segments_in_force(
    models: pa.Table, assignments: pa.Table, features: pa.Table, weeks: Sequence[Week]
) -> pd.DataFrame:
    """The segment of every account and week of `features`.

    An account that the model's quarter assigned keeps that segment while the model is in force; one that was not there
    is put into the nearest segment by the frozen model, on the week's features.

    Parameters
    ----------
    models : segment_models with `effective_from`, as `registry.models_with_adoptions` gives them
    assignments : segment_assignments_quarterly, as `with_other_solutions` completes it
    features : account_features_weekly of at least these weeks
    weeks : the weeks wanted

    Returns
    -------
    DataFrame with account_id, week (date), segment, segment_model_id, ordered by week and account
        'unsegmented' where too little is known of the account, or no model is in force (segment_model_id is None then).
    """
    parts = []
    for week in sorted(weeks):
        rows = features.filter(pc.equal(features["week"], pa.scalar(week.monday, pa.date32())))
        model = model_in_force(models, week)
        parts.append(_week(model, assignments, rows, week))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def with_other_solutions(
    models: pa.Table, assignments: pa.Table, weeks: Sequence[Week], features_of: Callable[[Week], pa.Table]
) -> pa.Table:
    """The assignments with those of models in force that the review did not recommend, and so did not assign by.

    A person may adopt another of the solutions shown. Its accounts are put into its segments once, by the features its
    quarter was reviewed on: assigned anew each week they would move while nobody refitted anything.

    Parameters
    ----------
    models, assignments, weeks : as in `segments_in_force`
    features_of : reads account_features_weekly of a published week

    Returns
    -------
    Table
        With the columns account_id, segment and segment_model_id.
    """
    columns = ["account_id", "segment", "segment_model_id"]
    found = [assignments.select(columns)]
    there = set(assignments["segment_model_id"].to_pylist())
    in_force = [model for week in weeks if (model := model_in_force(models, week)) is not None]
    for model in {str(one["segment_model_id"]): one for one in in_force}.values():
        if model["segment_model_id"] in there:
            continue
        rows = features_of(Quarter(cast(date, model["quarter"])).last_week).to_pandas()
        assigned = rows[["account_id"]].assign(
            segment=SegmentModel.from_json(str(model["parameters"])).assign(rows)["segment"],
            segment_model_id=model["segment_model_id"],
        )
        found.append(pa.Table.from_pandas(assigned, schema=found[0].schema, preserve_index=False))
    return pa.concat_tables(found)


def model_in_force(models: pa.Table, week: Week) -> dict[str, object] | None:
    """The row of segment_models with the newest `effective_from` up to that week; None where there is none."""
    adopted = [
        row for row in models.to_pylist() if row["effective_from"] is not None and row["effective_from"] <= week.monday
    ]
    return max(adopted, key=lambda row: (row["effective_from"], row["quarter"], row["segment_model_id"]), default=None)


def _week(model: dict[str, object] | None, assignments: pa.Table, rows: pa.Table, week: Week) -> pd.DataFrame:
    accounts = pd.Index(sorted(rows["account_id"].to_pylist()), dtype=object)
    segments = pd.Series(UNSEGMENTED, index=accounts, dtype=object)
    if model is not None:
        mine = assignments.filter(pc.equal(assignments["segment_model_id"], pa.scalar(model["segment_model_id"])))
        frozen = pd.Series(mine["segment"].to_pylist(), index=mine["account_id"].to_pylist(), dtype=object)
        segments = frozen.reindex(accounts)
        if segments.isna().any():
            new = rows.to_pandas().set_index("account_id").loc[segments.index[segments.isna()]]
            assigned = SegmentModel.from_json(str(model["parameters"])).assign(new)
            segments = segments.where(segments.notna(), assigned["segment"].reindex(accounts))
    model_id = None if model is None else model["segment_model_id"]
    return pd.DataFrame(
        {
            "account_id": accounts,
            "week": week.monday,
            "segment": segments.to_numpy(dtype=object),
            "segment_model_id": pd.Series([model_id] * len(accounts), dtype=object),
        }
    )[COLUMNS]
