"""Times the quarterly segmentation review of a large company: `python -m benchmarks.segmentation --accounts 100000`."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console

from benchmarks.machine import describe_machine
from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.documents import Document
from health_pipeline.policy.segmentation import Dimension, SegmentationPolicy
from health_pipeline.segmentation.assets import read_policies
from health_pipeline.segmentation.methods.kmeans import fit_kmeans
from health_pipeline.segmentation.model import SegmentModel
from health_pipeline.segmentation.review import ReviewInputs, SegmentationReview, review_segments
from health_pipeline.segmentation.space import Space
from health_pipeline.settings import REPOSITORY, Settings

QUARTER = Quarter(date(2026, 7, 1))
GROUPS = 5
# How far apart the groups' means are drawn, in standard deviations of an account within its group.
DISTANCE = {"groups": 1.2, "noise": 0.0}
# Twelve features in three dimensions; location and scale of the logarithm, or of a share.
DIMENSIONS = {
    "usage": {
        "active_users_28d": "log1p",
        "license_utilisation": "none",
        "active_days_28d": "none",
        "feature_breadth_28d": "none",
        "stickiness": "none",
        "usage_depth_28d": "log1p",
    },
    "engagement": {"meetings_91d": "log1p", "engaged_contacts_91d": "log1p", "tickets_opened_91d": "log1p"},
    "revenue": {"arr_reporting": "log1p", "invoiced_amount_91d": "log1p", "seats_licensed": "log1p"},
}
MOST_SEGMENTS = 10


@dataclass(frozen=True)
class Measured:
    """One review: seconds by the clock and of CPU, peak resident bytes of the process, segments recommended."""

    accounts: int
    shape: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    load: float
    segments: int
    candidates: int
    reasons: tuple[str, ...]


def company(accounts: int, shape: str, week: date, seed: int) -> pd.DataFrame:
    """Accounts as account_features_weekly has them: twelve features, the rest of the columns unknown."""
    rng = np.random.default_rng(seed)
    names = [name for features in DIMENSIONS.values() for name in features]
    # The groups are the same in each quarter; who is where is drawn anew.
    means = np.random.default_rng(1).normal(scale=DISTANCE[shape], size=(GROUPS, len(names)))
    points = means[rng.integers(0, GROUPS, accounts)] + rng.normal(size=(accounts, len(names)))
    known: dict[str, Any] = {}
    for name, column in zip(names, points.T, strict=True):
        of = next(kind for features in DIMENSIONS.values() for other, kind in features.items() if other == name)
        known[name] = np.expm1(np.maximum(4 + 0.5 * column, 0)) if of == "log1p" else 0.5 + 0.1 * column
    known["arr_reporting"] = [Decimal(f"{value:.2f}") for value in known["arr_reporting"]]
    columns: dict[str, Any] = {}
    for name in mart_tables()["account_features_weekly"].column_names:
        columns[name] = "measured" if name.endswith("_status") else None
    columns |= {"account_id": [f"account-{n:06d}" for n in range(accounts)], "week": week}
    columns |= {
        "account_tenure_days": rng.integers(90, 2000, accounts),
        "days_to_renewal": rng.integers(0, 365, accounts),
    }
    columns |= {"open_backlog": rng.poisson(1, accounts), "usage_change_share_4w": rng.normal(0, 0.2, accounts)}
    columns |= {"features_first_used_28d": rng.poisson(0.5, accounts)}
    return pd.DataFrame(columns | known, index=range(accounts))


def outcomes(features: pd.DataFrame, seed: int) -> pd.DataFrame:
    """What became of the accounts in the quarter after: 4 in 100 churn, 10 expand, 5 contract, by chance alone."""
    rng = np.random.default_rng(seed)
    drawn = rng.random(len(features))
    churned, grown, shrunk = drawn < 0.04, (drawn >= 0.04) & (drawn < 0.14), (drawn >= 0.14) & (drawn < 0.19)
    start = features["arr_reporting"]
    factor = np.select([churned, grown, shrunk], [0.0, 1.2, 0.8], 1.0)
    return pd.DataFrame(
        {
            "account_id": features["account_id"],
            "week": features["week"],
            "has_churned_13w": churned,
            "has_contracted_13w": shrunk,
            "has_expanded_13w": grown,
            "arr_start": start,
            "arr_end": [Decimal(f"{float(value) * part:.2f}") for value, part in zip(start, factor, strict=True)],
            "days_to_churn": np.where(churned, rng.uniform(1, 90, len(features)), np.nan),
        }
    )


def treatments(features: pd.DataFrame, labels: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A third of the accounts in a randomised strategy, another third in one that nobody randomised."""
    rng = np.random.default_rng(seed)
    joined = features.merge(labels.drop(columns="week"), on="account_id")
    kind = rng.integers(0, 3, len(joined))
    joined["strategy"] = np.where(kind == 0, "adoption_workshop", "health_check")
    joined["is_randomised"] = kind == 0
    joined["arm"] = np.where(rng.random(len(joined)) < 0.5, "treated", "control")
    return joined[kind < 2].reset_index(drop=True)


def policy_of(document: Document[SegmentationPolicy]) -> Document[SegmentationPolicy]:
    """The built-in policy with the benchmark's features and up to ten segments; nothing else is changed."""
    dimensions = {name: Dimension.model_validate({"features": features}) for name, features in DIMENSIONS.items()}
    model = document.model.model_copy(update={"dimensions": dimensions, "most_segments": MOST_SEGMENTS})
    return Document(document.name, document.path, model, document.hash)


def review(accounts: int, shape: str, transforms: int, out: Console) -> Measured:
    """Review the second of two quarters, and see what it took."""
    policies = read_policies(Settings(home=REPOSITORY / "var", policy=None))
    document = policy_of(policies.segmentation)
    model = document.model.model_copy(update={"transforms_tried": document.model.transforms_tried[:transforms]})
    policies = replace(policies, segmentation=Document(document.name, document.path, model, document.hash))
    earlier = company(accounts, shape, QUARTER.previous.last_week.monday, seed=2)
    now = company(accounts, shape, QUARTER.last_week.monday, seed=3)
    labels = outcomes(earlier, seed=4)
    space = Space.fit(earlier, model)
    before = fit_kmeans(space.place(earlier)[0], GROUPS, 2, seed=5)
    frozen = SegmentModel(space, np.asarray(before.cluster_centers_), tuple(f"segment {n + 1}" for n in range(GROUPS)))
    inputs = ReviewInputs(QUARTER, now, frozen, earlier, labels, treatments(earlier, labels, seed=6))
    began, used = time.monotonic(), time.process_time()

    def tell(step: str) -> None:
        out.print(f"{time.monotonic() - began:7.1f} s  {time.process_time() - used:7.1f} CPU s  {step}")

    found: SegmentationReview = review_segments(inputs, policies, tell)
    tell("done")
    candidates = found.fit.candidates
    return Measured(
        accounts=accounts,
        shape=shape,
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - used,
        # The kernel's own high-water mark, the one of /proc/self/status; nothing is done in other processes.
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        load=os.getloadavg()[0],
        segments=0 if candidates is None else candidates.recommended.k,
        candidates=0 if candidates is None else len(candidates.all),
        reasons=() if candidates is None else candidates.reasons,
    )


def main(
    accounts: Annotated[int, typer.Option(help="Accounts in each of the two quarters.")] = 100_000,
    shape: Annotated[str, typer.Option(help=f"One of {', '.join(DISTANCE)}.")] = "groups",
    transforms: Annotated[int, typer.Option(help="How many of the policy's transforms are tried.", min=1, max=3)] = 3,
) -> None:
    """Review a made-up company with 12 features and 1 to 10 segments, with the policy's resampling."""
    if shape not in DISTANCE:
        raise typer.BadParameter(f"{shape!r} is no shape; there are {', '.join(DISTANCE)}.")
    out = Console(highlight=False, soft_wrap=True)
    found = review(accounts, shape, transforms, out)
    out.print("; ".join(found.reasons))
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in describe_machine(REPOSITORY).items())
    out.print(
        f"{found.accounts:,} accounts x 12 features ({shape}), {found.candidates} candidates over {transforms} "
        f"transforms, {found.segments} segments recommended: {found.seconds:,.0f} s, {found.cpu_seconds:,.0f} CPU s, "
        f"peak {found.peak_bytes / 2**30:.2f} GiB; load average {found.load:.1f}. Machine: {facts}."
    )


if __name__ == "__main__":
    typer.run(main)
