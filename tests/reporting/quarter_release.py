"""A release with a reviewed quarter: planted accounts, judged by the review itself with few resamples."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.policy.documents import Document
from health_pipeline.policy.personas import load_personas
from health_pipeline.policy.segment_review import load_segment_review
from health_pipeline.policy.segmentation import load_segmentation
from health_pipeline.policy.team_segments import load_team_segments
from health_pipeline.segmentation.review import ReviewInputs, ReviewPolicies, SegmentationReview, review_segments

QUARTER = Quarter(date(2026, 7, 1))
SPARING = {"gap_references": 5, "gap_n_init": 1, "prediction_splits": 2, "stability_resamples": 4,
           "stability_n_init": 1, "most_segments": 5, "n_init": 3, "transforms_tried": ("declared",)}  # fmt: skip
SPARING_REVIEW = {"bootstrap_resamples": 50, "cross_validation_repeats": 2}
# Nobody's data may reach a report: these stand in the features, and are looked for.
OWNER = "secret.owner@example.com"


def features_of(week: date, groups: int, accounts: int = 240, seed: int = 0) -> pd.DataFrame:
    """Accounts of a week: two groups differ in use, engagement and revenue; one group is noise."""
    rng = np.random.default_rng(seed)
    schema = mart_tables()["account_features_weekly"].arrow_schema
    blank = dict.fromkeys(schema.names) | {name: "measured" for name in schema.names if name.endswith("_status")}
    rows = []
    for n in range(accounts):
        is_large = groups == 2 and n % 2 == 0
        shift = 1.0 if is_large else 0.0
        rows.append(
            blank
            | {
                "account_id": f"acc_{n:012d}",
                "week": week,
                "owner_email": OWNER,
                "active_users_28d": int(rng.lognormal(2 + 2 * shift, 0.3)),
                "license_utilisation": float(np.clip(rng.normal(0.4 + 0.4 * shift, 0.08), 0, 1)),
                "active_days_28d": int(np.clip(rng.normal(10 + 12 * shift, 2), 0, 28)),
                "feature_breadth_28d": int(np.clip(rng.normal(5 + 8 * shift, 1.5), 0, 25)),
                "meetings_91d": int(rng.poisson(2 + 8 * shift)),
                "engaged_contacts_91d": int(rng.poisson(2 + 6 * shift)),
                "arr_reporting": Decimal(int(rng.lognormal(9 + 2 * shift, 0.3))),
                "tickets_opened_91d": int(rng.poisson(3)),
                "open_backlog": int(rng.poisson(1)),
                "defect_tickets_28d": 2 if is_large else 0,
                "account_tenure_days": 400 + n,
            }
        )
    return pa.Table.from_pylist(rows, schema=schema).to_pandas()


def outcomes_of(features: pd.DataFrame) -> pd.DataFrame:
    """Of the small accounts 40 in 100 leave, of the large ones 10, and 20 of each grow."""
    churned = np.array([n % 10 in (1, 3) or n % 20 == 2 for n in range(len(features))])
    expanded = np.array([n % 10 in (0, 5) for n in range(len(features))])
    start = features["arr_reporting"].astype(float)
    return pd.DataFrame(
        {
            "account_id": features["account_id"],
            "week": features["week"],
            "has_churned_13w": churned,
            "has_contracted_13w": False,
            "has_expanded_13w": expanded,
            "arr_start": start,
            "arr_end": np.where(churned, 0.0, start * np.where(expanded, 1.2, 1.0)),
            "days_to_churn": np.where(churned, 40.0, np.nan),
        }
    )


def treatments_of(features: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """One strategy, by chance: of the treated small accounts most grow, of the others few."""
    rng = np.random.default_rng(3)
    treated = rng.random(len(features)) < 0.5
    small = np.arange(len(features)) % 2 == 1
    grows = rng.random(len(features)) < np.where(treated & small, 0.8, 0.1)
    labels = outcomes.drop(columns=["week", "days_to_churn"]).assign(
        has_churned_13w=False,
        has_expanded_13w=grows,
        arr_end=outcomes["arr_start"] * np.where(grows, 1.3, 1.0),
    )
    arm = np.where(treated, "treated", "control")
    return features.merge(labels, on="account_id").assign(strategy="adoption_workshop", arm=arm, is_randomised=True)


@dataclass
class QuarterRelease:
    """A release folder with one reviewed quarter; `groups` are 2, or 1 for noise; `is_first` has no quarter before."""

    folder: Path
    groups: int = 2
    is_first: bool = False
    manifest: dict[str, Any] = field(default_factory=dict)

    def build(self) -> SegmentationReview:
        """Review the quarter, write its tables as a release, return what was found."""
        now = features_of(QUARTER.last_week.monday, self.groups, seed=1)
        policies = _policies()
        before = features_of(QUARTER.previous.last_week.monday, self.groups)
        fitted = None
        if not self.is_first:
            first = ReviewInputs(QUARTER.previous, before, None, before.iloc[:0], pd.DataFrame(), pd.DataFrame())
            fitted = review_segments(first, policies).fit.fitted
        outcomes = outcomes_of(before)
        inputs = ReviewInputs(QUARTER, now, fitted, before, outcomes, treatments_of(before, outcomes))
        review = review_segments(inputs, policies)
        tables = {
            **review.tables,
            "segment_models": pa.concat_tables([review.fit.model, review.fit.alternatives]),
            "account_features_weekly": pa.Table.from_pandas(
                now, schema=mart_tables()["account_features_weekly"].arrow_schema, preserve_index=False
            ),
        }
        self.folder.mkdir(parents=True)
        with duckdb.connect(str(self.folder / "customer_health.duckdb")) as connection:
            for name in mart_tables():
                connection.register("rows", tables.get(name, empty_table(name)))
                connection.execute(f"create table {name} as select * from rows")
                connection.unregister("rows")
        (self.folder / "manifest.json").write_text(json.dumps({"release": self.folder.name} | self.manifest))
        return review


def _policies() -> ReviewPolicies:
    segmentation, review = load_segmentation(None), load_segment_review(None)
    return ReviewPolicies(
        Document(
            segmentation.name,
            segmentation.path,
            segmentation.model.model_copy(update=SPARING),
            segmentation.hash,
        ),
        Document(review.name, review.path, review.model.model_copy(update=SPARING_REVIEW), review.hash),
        load_personas(None),
        load_team_segments(None),
    )
