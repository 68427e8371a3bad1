"""What weighs on a score and what carries it: from contributions to a few words per account."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from health_pipeline.policy.wording import describe, percent

# A measure at or above this curve value is not named as a weakness; at or above the second, it is a strength.
WEAK_BELOW = 60.0
STRONG_FROM = 75.0
NAMED = 3
_COLUMNS = [
    "account_id",
    "measure",
    "measure_group",
    "feature",
    "raw_value",
    "curve_value",
    "weight",
    "status",
]


@dataclass(frozen=True)
class Drivers:
    """What one account's score rests on in one week.

    Attributes
    ----------
    weak, strong : tuple of str
        Up to three phrases each, the heaviest first.
    low_names : frozenset of str
        The weakest group, the weakest measure and its feature: what `when_low` of a playbook may name.
    missing_groups : tuple of str
        Groups with a measure that is missing or stale, in alphabetical order.
    """

    weak: tuple[str, ...] = ()
    strong: tuple[str, ...] = ()
    low_names: frozenset[str] = field(default_factory=frozenset)
    missing_groups: tuple[str, ...] = ()


NO_DRIVERS = Drivers()


def drivers_of_week(contributions: pa.Table) -> dict[str, Drivers]:
    """Find what weighs on and what carries each account's score.

    Parameters
    ----------
    contributions : pyarrow.Table
        Rows of score_contributions_weekly of one week. The points a measure costs are
        `weight * (100 - curve_value)`, the points it brings `weight * curve_value`: exact, because the
        contributions sum to the score.

    Returns
    -------
    dict of account_id to Drivers
        Accounts without a contribution row are not in it.
    """
    rows = contributions.select(_COLUMNS).to_pandas()
    if rows.empty:
        return {}
    measured = rows["curve_value"].notna() & rows["weight"].fillna(0.0).gt(0)
    known = rows[measured].copy()
    known["lost"] = known["weight"] * (100.0 - known["curve_value"])
    known["won"] = known["weight"] * known["curve_value"]
    weak = _heaviest(known[known["curve_value"] < WEAK_BELOW], "lost")
    strong = _heaviest(known[known["curve_value"] >= STRONG_FROM], "won")
    low_names = _low_names(known)
    gaps = rows[rows["status"].isin(["missing", "stale"])]
    missing = {
        account: tuple(sorted(set(groups)))
        for account, groups in gaps.groupby("account_id")["measure_group"].agg(list).items()
    }
    return {
        account: Drivers(
            weak=tuple(weak.get(account, ())),
            strong=tuple(strong.get(account, ())),
            low_names=low_names.get(account, frozenset()),
            missing_groups=missing.get(account, ()),
        )
        for account in rows["account_id"].unique()
    }


def _heaviest(rows: pd.DataFrame, points: str) -> dict[str, list[str]]:
    ordered = rows.sort_values([points, "measure"], ascending=[False, True], kind="stable")
    # One phrase per feature: two measures may read the same one.
    ordered = ordered.drop_duplicates(["account_id", "feature"])
    named = ordered[ordered.groupby("account_id").cumcount() < NAMED]
    phrases: dict[str, list[str]] = {}
    for account, feature, value in zip(named["account_id"], named["feature"], named["raw_value"], strict=True):
        phrases.setdefault(account, []).append(describe(feature, None if pd.isna(value) else float(value)))
    return phrases


def _low_names(known: pd.DataFrame) -> dict[str, frozenset[str]]:
    # Rounded, so that the choice between equals does not hang on the last bit of a float.
    groups = known.groupby(["account_id", "measure_group"])[["lost"]].sum().reset_index()
    groups["lost"] = np.round(groups["lost"], 9)
    groups = groups.sort_values(["lost", "measure_group"], ascending=[False, True]).drop_duplicates("account_id")
    worst = known.assign(lost=np.round(known["lost"], 9))
    worst = worst.sort_values(["lost", "measure"], ascending=[False, True]).drop_duplicates("account_id")
    names: dict[str, set[str]] = {}
    for account, group, lost in groups[["account_id", "measure_group", "lost"]].itertuples(index=False):
        if lost > 0:
            names.setdefault(account, set()).add(group)
    for account, measure, feature, lost in worst[["account_id", "measure", "feature", "lost"]].itertuples(index=False):
        if lost > 0:
            names.setdefault(account, set()).update((measure, feature))
    return {account: frozenset(found) for account, found in names.items()}


def driver_words(
    tier: str, tier_reason: str | None, coverage: float | None, drivers: Drivers, watermelon: tuple[str, ...]
) -> str:
    """Say in words what stands behind an account's tier.

    Parameters
    ----------
    tier, tier_reason, coverage : of account_health_weekly (the effective tier)
    drivers : the account's drivers of the week
    watermelon : reasons in words why it is weak inside; empty where it is none

    Returns
    -------
    str
        Phrases joined by `; `, never empty.
    """
    phrases: list[str] = []
    if tier_reason == "decisive":
        phrases.append("a notice not to renew is on record")
    if tier == "not_scored":
        share = "nothing" if not coverage else f"only {percent(coverage)} of the weight"
        phrases.append(f"{share} was measured")
        if drivers.missing_groups:
            phrases.append("missing or stale: " + ", ".join(drivers.missing_groups))
        return "; ".join(phrases)
    phrases.extend(watermelon)
    if tier == "expansion_ready" and not watermelon:
        phrases.extend(drivers.strong)
    else:
        phrases.extend(phrase for phrase in drivers.weak if phrase not in phrases)
    if tier_reason == "outcome_cap":
        phrases.append("active, but outcomes are weak")
    return "; ".join(phrases) if phrases else "no single measure is low"
