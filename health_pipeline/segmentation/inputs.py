"""Reads what a quarter's review needs from the published release: nothing from after the quarter's own known_at."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Quarter, Week, naive_utc, week_of
from health_pipeline.mart.published import read_published
from health_pipeline.segmentation.registry import model_of_quarter
from health_pipeline.segmentation.review import ReviewInputs
from health_pipeline.segmentation.strategies import HORIZON_DAYS
from health_pipeline.settings import Settings

KEYS = ["account_id", "week"]


def read_inputs(settings: Settings, quarter: Quarter, cutoff_hours: int) -> ReviewInputs:
    """Read the quarter's inputs.

    Parameters
    ----------
    settings : where the release is
    quarter : the quarter under review
    cutoff_hours : the company's; known_at is that long after as_of_at

    Returns
    -------
    ReviewInputs
        With no row of `features` where the quarter's last week is not published.
    """
    last, before = quarter.last_week, quarter.previous.last_week
    known_at = naive_utc(last.known_at(cutoff_hours))
    features = read_published(settings, "account_features_weekly", weeks=[last]).to_pandas()
    features_before = read_published(settings, "account_features_weekly", weeks=[before]).to_pandas()
    return ReviewInputs(
        quarter=quarter,
        features=features,
        before=model_of_quarter(
            read_published(settings, "segment_models"),
            read_published(settings, "segment_assignments_quarterly", quarters=[quarter.previous]),
        ),
        features_before=features_before,
        outcomes=_outcomes(settings, before, known_at),
        treatments=_treatments(settings, last, known_at),
    )


def _outcomes(settings: Settings, week: Week, known_at: datetime) -> pd.DataFrame:
    """Labels of that week, and after how many days an account that churned was last seen as a customer."""
    outcomes = read_published(settings, "account_outcomes_weekly", weeks=[week.shift(HORIZON_DAYS // 7)]).to_pandas()
    # A label that came after the review's own clock is of the future.
    is_over = naive_utc(week.as_of_at) + timedelta(days=HORIZON_DAYS) <= known_at
    if outcomes.empty or not is_over:
        return outcomes.iloc[:0]
    churned = outcomes.loc[outcomes["has_churned_13w"].eq(True), "account_id"]
    following = [week.shift(n).monday for n in range(1, HORIZON_DAYS // 7 + 1)]
    pairs = pa.table(
        {
            "account_id": pa.array(np.repeat(churned.to_numpy(object), len(following)), pa.string()),
            "week": pa.array(following * len(churned), pa.date32()),
        }
    )
    seen = read_published(settings, "account_features_weekly", rows_of=pairs, columns=KEYS).to_pandas()
    weeks_seen = seen.groupby("account_id")["week"].nunique().reindex(churned).fillna(0)
    # In the middle of the week in which it was no longer one.
    return outcomes.assign(days_to_churn=outcomes["account_id"].map(7 * weeks_seen + 3.5))


def _treatments(settings: Settings, last: Week, known_at: datetime) -> pd.DataFrame:
    """Treatments whose 13 weeks are over by the quarter's end, with features and labels of the week before each."""
    table = read_published(settings, "account_treatments")
    newest = naive_utc(last.as_of_at) - timedelta(days=HORIZON_DAYS)
    kept = pc.and_(
        pc.less_equal(table["available_at"], pa.scalar(known_at, table["available_at"].type)),
        pc.less(table["assigned_at"], pa.scalar(newest, table["assigned_at"].type)),
    )
    treatments = table.filter(kept).to_pandas()
    # The last week that was over when the account was assigned: what was known of it before.
    mondays = [week_of(at.to_pydatetime()).shift(-1).monday for at in treatments["assigned_at"].dt.tz_localize("UTC")]
    treatments = treatments.assign(week=pd.Series(mondays, index=treatments.index, dtype=object))
    pairs = pa.Table.from_pandas(treatments[KEYS].drop_duplicates(), preserve_index=False).cast(
        pa.schema([("account_id", pa.string()), ("week", pa.date32())])
    )
    features = read_published(settings, "account_features_weekly", rows_of=pairs).to_pandas()
    labels = read_published(settings, "account_outcomes_weekly", rows_of=pairs).to_pandas()
    joined = treatments.merge(features, on=KEYS, how="inner").merge(
        labels, on=KEYS, how="inner", suffixes=("", "_label")
    )
    return joined.sort_values(["strategy", "account_id", "assigned_at"], kind="stable").reset_index(drop=True)
