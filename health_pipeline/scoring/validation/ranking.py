"""How well an order of accounts separates those something happened to: AUC, average precision, lists and their lift.

Rows are sorted once; one call with weights of shape (n, resamples) gives the statistic of every resample.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class RankedOutcomes:
    """Outcomes in the order of their risk, sorted once and weighed many times.

    Parameters
    ----------
    outcome : shape (n,), 1 where it happened, else 0
    risk : shape (n,), higher should mean more often; ties share their place

    Raises
    ------
    ValueError
        If an outcome or a risk is not known, or there is not one of each per row.
    """

    def __init__(self, outcome: Floats, risk: Floats) -> None:
        if len(outcome) != len(risk):
            raise ValueError(f"{len(outcome)} outcomes and {len(risk)} risks; give one of each per row")
        if np.isnan(risk).any() or np.isnan(outcome).any():
            raise ValueError("a row without risk or outcome can't be ranked; leave it out and say how many there are")
        self.order = np.argsort(-risk, kind="stable")
        ranked = -risk[self.order]
        self.happened = outcome[self.order] == 1
        self.events = np.flatnonzero(self.happened)
        # Where the ties of each event begin and end, among all rows and among the events.
        self.first = np.searchsorted(ranked, ranked[self.events], side="left")
        self.end = np.searchsorted(ranked, ranked[self.events], side="right")
        self.event_end = np.searchsorted(ranked[self.events], ranked[self.events], side="right")

    def auc(self, weights: Floats | None = None) -> Floats:
        """Area under the ROC curve, shape (resamples,): the chance that a row with the event ranks above one without.

        Ties count half (Mann and Whitney 1947; Hanley and McNeil, Radiology 143, 1982). NaN where one side is empty.
        """
        return self.both(weights)[:, 0]

    def average_precision(self, weights: Floats | None = None) -> Floats:
        """Precision at each new recall, averaged over the recalls, shape (resamples,); not interpolated.

        The definition of scikit-learn's `average_precision_score`. NaN where nothing happened.
        """
        return self.both(weights)[:, 1]

    def both(self, weights: Floats | None = None) -> Floats:
        """AUC and average precision, shape (resamples, 2); `weights` is (n,) or (n, resamples), 1 without."""
        given = np.ones(len(self.order)) if weights is None else weights
        ordered = given.reshape(len(self.order), -1)[self.order]
        event_weights = ordered[self.events]
        ordered[self.events] = 0
        others = np.concatenate([np.zeros((1, ordered.shape[1])), np.cumsum(ordered, axis=0)])
        all_events, all_others = event_weights.sum(axis=0), others[-1]
        lower = all_others - (others[self.first] + others[self.end]) / 2
        found = np.cumsum(event_weights, axis=0)[self.event_end - 1]
        precision = _ratio(found, found + others[self.end], empty=0.0)
        return np.column_stack(
            [
                _ratio((event_weights * lower).sum(axis=0), all_events * all_others),
                _ratio((event_weights * precision).sum(axis=0), all_events),
            ]
        )

    def gain_curve(self) -> tuple[Floats, Floats]:
        """Share of all rows looked at, riskiest first, and share of the events found in them; both start at 0.

        Points stand where a tie ends: inside a tie no order is better than another.
        """
        ends = np.unique(np.concatenate([[0], self.end, [len(self.order)]]))
        found = np.concatenate([[0], np.cumsum(self.happened)])[ends]
        return ends / max(len(self.order), 1), found / max(len(self.events), 1)


LIST_STATISTICS = ("precision", "recall", "lift", "ratio", "load")


def list_statistics(counts: Floats) -> Floats:
    """What a list of accounts is worth, from weighted counts.

    Parameters
    ----------
    counts : shape (k, 4): rows with the event, rows on the list, rows of both, all rows

    Returns
    -------
    ndarray of shape (k, 5), `LIST_STATISTICS`
        precision: share of the list it happened to; recall: share of the events on the list; lift: precision by the
        rate of all rows; ratio: rate on the list by the rate off it; load: share of the rows on the list. NaN where
        there is nothing to divide by.
    """
    happened, listed, both, rows = counts.T
    precision = _ratio(both, listed)
    return np.column_stack(
        [
            precision,
            _ratio(both, happened),
            _ratio(precision, _ratio(happened, rows)),
            _ratio(precision, _ratio(happened - both, rows - listed)),
            _ratio(listed, rows),
        ]
    )


def riskiest(rows: pd.DataFrame, risk: str, share: float) -> Flags:
    """Which rows are among the riskiest `share` of their week, shape (n,); ties by account, unknown risk never.

    Parameters
    ----------
    rows : DataFrame of week_number, account_id and the column `risk`
    share : of the week's rows with a known risk, rounded up
    """
    ordered = rows[["week_number", "account_id", risk]].dropna(subset=[risk])
    ordered = ordered.sort_values(["week_number", risk, "account_id"], ascending=[True, False, True])
    weeks = ordered.groupby("week_number", sort=False)
    allowed = np.ceil(share * weeks["account_id"].transform("size") - 1e-9)
    chosen = ordered.index[weeks.cumcount() < allowed]
    return rows.index.isin(chosen)


def _ratio(part: Floats, whole: Floats, empty: float = np.nan) -> Floats:
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=float), np.asarray(whole, dtype=float))
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole != 0)
