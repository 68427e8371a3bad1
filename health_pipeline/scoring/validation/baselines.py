"""What the score has to beat: last month's change of usage alone; tenure and revenue."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from health_pipeline.scoring.validation.readings import known_at_start

Floats = NDArray[np.float64]

BASELINES = {
    "usage_change": "last month's change of usage alone",
    "tenure_and_arr": "tenure and annual revenue alone",
}
# Refitting each week changes little and costs as much as all the rest.
REFIT_WEEKS = 4


def usage_change_risk(rows: pd.DataFrame) -> Floats:
    """Risk by `usage_change_share_4w` alone, shape (n,): the steeper the fall, the higher.

    Where there is no change to be had (no use to compare with, no usage source) the row takes the middle place.
    NaN everywhere where no row has one: then there is no such baseline.
    """
    change = rows["usage_change_share_4w"].to_numpy(dtype=float)
    known = change[~np.isnan(change)]
    return -np.where(np.isnan(change), np.median(known) if len(known) else np.nan, change)


def tenure_and_revenue_risk(rows: pd.DataFrame, outcome: str, minimum_events: int) -> Floats:
    """Risk by tenure and revenue, shape (n,), from a logistic model fitted on what was known before each week.

    A week is ranked by a model of the weeks whose labels were known when it was reviewed (13 weeks before and
    earlier), refitted every four weeks. The value orders rows and is used for nothing else.

    Parameters
    ----------
    rows : DataFrame of account_id, week_number, account_tenure_days, arr_reporting and the outcome (1, 0)
    minimum_events : accounts with the event that a fit needs

    Returns
    -------
    ndarray
        NaN for weeks before which too little was known, and everywhere where neither feature has a value.
    """
    columns = ["account_tenure_days", "arr_reporting"]
    inputs = np.log1p(rows[columns].clip(lower=0).to_numpy(dtype=float))
    happened = rows[outcome].to_numpy(dtype=float)
    weeks = rows["week_number"].to_numpy(dtype=np.int64)
    accounts = rows["account_id"].to_numpy(dtype=object)
    inputs = inputs[:, ~np.isnan(inputs).all(axis=0)]
    risk = np.full(len(rows), np.nan)
    if not inputs.shape[1] or not len(rows):
        return risk
    for start in range(int(weeks.min()), int(weeks.max()) + 1, REFIT_WEEKS):
        known = known_at_start(rows, start) & ~np.isnan(happened)
        now = (weeks >= start) & (weeks < start + REFIT_WEEKS)
        events = len(set(accounts[known & (happened == 1)]))
        if not now.any() or events < minimum_events or (happened[known] == 1).all():
            continue
        risk[now] = ranking_model().fit(inputs[known], happened[known]).decision_function(inputs[now])
    return risk


def ranking_model() -> Pipeline:
    """Logistic regression on standardised inputs; an unknown input takes the median, and that it is unknown counts."""
    return make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), LogisticRegression())
