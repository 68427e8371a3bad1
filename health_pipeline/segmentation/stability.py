"""The three stabilities: of the method, of the model over time, of the accounts; the population index beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.segmentation import SegmentationPolicy
from health_pipeline.segmentation.candidates import Candidate
from health_pipeline.segmentation.figures import ALL, known
from health_pipeline.segmentation.methods.clusterboot import HIGHLY_STABLE, VALID
from health_pipeline.segmentation.methods.information import Agreement, agreement
from health_pipeline.segmentation.methods.matching import LabelMatch, match_labels
from health_pipeline.segmentation.methods.migration import Migration, migration
from health_pipeline.segmentation.methods.population_stability import (
    PopulationStability,
    population_stability,
    quantile_counts,
)
from health_pipeline.segmentation.methods.refit import FrozenAgainstRefit, frozen_against_refit
from health_pipeline.segmentation.model import UNSEGMENTED, SegmentModel
from health_pipeline.segmentation.space import known_values

SEEDS = 3


@dataclass(frozen=True)
class OverTime:
    """A quarter's model beside the one before it.

    Attributes
    ----------
    refit : last quarter's frozen model against a refit in its own space, on this quarter's accounts
    candidate : agreement of the frozen model with this quarter's recommended one, on this quarter's accounts
    match : their segments, matched
    migration : of the accounts, from last quarter's segments to this quarter's
    shares : population index of the segment shares, by the frozen model in both quarters
    features : population index of each feature, cells cut at last quarter's deciles
    """

    before: SegmentModel
    refit: FrozenAgainstRefit
    candidate: Agreement
    match: LabelMatch
    migration: Migration
    shares: PopulationStability
    features: dict[str, PopulationStability]


def compare_over_time(
    before: SegmentModel, now: SegmentModel, rows_before: pd.DataFrame, rows: pd.DataFrame, policy: SegmentationPolicy
) -> OverTime | None:
    """Hold last quarter's frozen model against this quarter; None where no account is known well enough for both.

    Parameters
    ----------
    before, now : last quarter's model, and this quarter's recommended one
    rows_before, rows : account_features_weekly of the last weeks of both quarters
    """
    positions, coverage = before.space.place(rows)
    points = positions[coverage >= before.space.minimum_coverage]
    if len(points) < len(before.centres):
        return None
    refit = frozen_against_refit(points, before.centres, policy.n_init, policy.seed, SEEDS)
    frozen, new = (model.assign(rows).set_axis(rows["account_id"])["segment"] for model in (before, now))
    then = before.assign(rows_before).set_axis(rows_before["account_id"])["segment"]
    both = (frozen != UNSEGMENTED) & (new != UNSEGMENTED)
    if not both.any() or not (then != UNSEGMENTED).any():
        return None
    names = list(before.names)
    shares = [[int((labels == name).sum()) for name in names] for labels in (then, frozen)]
    return OverTime(
        before=before,
        refit=refit,
        candidate=agreement(frozen[both].tolist(), new[both].tolist()),
        match=match_labels(frozen[both].tolist(), new[both].tolist()),
        migration=migration(then, new),
        shares=population_stability(np.array(shares[0]), np.array(shares[1])),
        features=_feature_indices(before, rows_before, rows),
    )


def _feature_indices(
    before: SegmentModel, rows_before: pd.DataFrame, rows: pd.DataFrame
) -> dict[str, PopulationStability]:
    found = {}
    for axis in before.space.axes:
        then, now = (known_values(frame, axis.feature) for frame in (rows_before, rows))
        then, now = then[~np.isnan(then)], now[~np.isnan(now)]
        if len(then) and len(now):
            found[axis.feature] = population_stability(*quantile_counts(then, now))
    return found


def stability_table(
    quarter: Quarter, model_id: str, names: tuple[str, ...], candidate: Candidate, over_time: OverTime | None
) -> pa.Table:
    """Rows of segment_stability_quarterly; `names` are the model's, in the order of the candidate's centres."""
    rows = [*_of_method(names, candidate)]
    if over_time is not None:
        rows += [*_of_model(over_time), *_of_accounts(over_time.migration), *_of_population(over_time)]
    schema = mart_tables()["segment_stability_quarterly"].arrow_schema
    filled = [{"quarter": quarter.first_day, "segment_model_id": model_id, **row} for row in rows]
    filled.sort(key=lambda row: tuple(row[name] for name in ("kind", "segment", "figure", "other_segment")))
    return pa.Table.from_pylist(filled, schema=schema)


def _row(kind: str, segment: str, figure: str, value: float | None, method: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "segment": segment,
        "figure": figure,
        "other_segment": more.get("other_segment", ""),
        "value": known(value),
        "interval_low": known(more.get("low")),
        "interval_high": known(more.get("high")),
        "accounts": more.get("accounts"),
        "method": method,
        "verdict": more.get("verdict"),
    }


def _of_method(names: tuple[str, ...], candidate: Candidate) -> Iterator[dict[str, Any]]:
    strength = candidate.prediction_strength
    yield _row(
        "method", ALL, "prediction_strength", strength, "Tibshirani, Walther 2005", accounts=sum(candidate.sizes)
    )
    if candidate.mixture_ari is not None:
        yield _row(
            "method", ALL, "mixture_ari", candidate.mixture_ari, "against a Gaussian mixture of as many components"
        )
    found = candidate.stability
    if found is None:
        return
    method = (
        f"bootstrap Jaccard (Hennig 2007): {found.resamples} resamples of {found.accounts} of {found.of_accounts} "
        f"accounts, {found.n_init} starts, seed {found.seed}; the interval is the middle 95 % of the resamples"
    )
    for place, name in enumerate(names):
        value = found.jaccard[place]
        verdict = "highly stable" if value >= HIGHLY_STABLE else "valid" if value >= VALID else "not stable"
        limits = {"low": found.low[place], "high": found.high[place], "accounts": candidate.sizes[place]}
        yield _row("method", name, "jaccard", value, method, verdict=verdict, **limits)
        yield _row("method", name, "dissolved_share", found.dissolved[place] / found.resamples, method)


def _of_model(over_time: OverTime) -> Iterator[dict[str, Any]]:
    refit, match = over_time.refit, over_time.match
    method = (
        f"last quarter's frozen model against a refit in its space, {refit.n_init} starts; the interval is the "
        f"smallest and largest over {refit.seeds} seeds"
    )
    n = refit.agreement.accounts
    yield _row("model", ALL, "ari", refit.agreement.ari, method, low=refit.ari_low, high=refit.ari_high, accounts=n)
    yield _row("model", ALL, "ami", refit.agreement.ami, method, accounts=n)
    yield _row("model", ALL, "variation_of_information", refit.agreement.vi, f"{method}; in nats", accounts=n)
    yield _row("model", ALL, "matched_share", refit.match.kept_share, f"{method}; Hungarian matching", accounts=n)
    beside = "last quarter's frozen model against this quarter's recommended one"
    for figure in ("ari", "ami", "vi"):
        value = getattr(over_time.candidate, figure)
        yield _row("model", ALL, f"recommended_{figure}", value, beside, accounts=over_time.candidate.accounts)
    matching = f"{beside}; Hungarian matching, changes by MONIC (Spiliopoulou et al. 2006)"
    for old in match.overlap.index:
        new = match.successor.get(old, "")
        change = (
            "split into " + ", ".join(match.splits[old]) if old in match.splits
            else "ended" if old in match.deaths
            else "merged into " + next(name for name, parts in match.merges.items() if old in parts)
            if any(old in parts for parts in match.merges.values())
            else "continues"
        )  # fmt: skip
        size = int(match.overlap.loc[old].sum())
        yield _row(
            "model", old, "successor_jaccard", match.jaccard.get(old), matching, other_segment=new, accounts=size,
            verdict=change,
        )  # fmt: skip
    for name in match.births:
        yield _row("model", name, "born", 1.0, matching, accounts=int(match.overlap[name].sum()), verdict="new")


def _of_accounts(found: Migration) -> Iterator[dict[str, Any]]:
    method = "share of the accounts of the segment before, Wilson's interval"
    if found.kept is not None:
        limits = {"low": found.kept.low, "high": found.kept.high}
        yield _row("accounts", ALL, "kept_share", found.kept.value, "in both quarters, Wilson's interval", **limits)
    yield _row("accounts", ALL, "entries", float(found.entries), "accounts that were not there a quarter before")
    yield _row("accounts", ALL, "exits", float(found.exits), "accounts that are no longer there")
    for cell in found.cells:
        limits = {"low": cell.share.low, "high": cell.share.high, "accounts": cell.accounts}
        yield _row("accounts", cell.before, "migration", cell.share.value, method, other_segment=cell.after, **limits)


def _of_population(over_time: OverTime) -> Iterator[dict[str, Any]]:
    named = {"segment shares": over_time.shares, **over_time.features}
    for name, found in named.items():
        verdict = "more than chance" if found.is_more_than_chance else "no more than chance"
        method = (
            f"population stability index of {name}, {found.bins} cells; without change above "
            f"{found.critical_value:.4f} in {found.level:.0%} of runs, {found.expected:.4f} on average"
        )
        yield _row(
            "population", ALL, "psi", found.value, method, other_segment=name, high=found.critical_value,
            accounts=found.after, verdict=verdict,
        )  # fmt: skip
