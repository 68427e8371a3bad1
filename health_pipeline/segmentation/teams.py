"""Where the segments of marketing, sales and customer success agree with the model and each other, and where not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Any

import pandas as pd
import pyarrow as pa

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.team_segments import Team, TeamSegmentsPolicy
from health_pipeline.segmentation.figures import ALL, Figure
from health_pipeline.segmentation.methods.claims import OPERATORS
from health_pipeline.segmentation.methods.reconciliation import TeamAgreement, team_agreement
from health_pipeline.segmentation.space import known_values

UNASSIGNED, TWICE = "unassigned", "assigned twice"
# More accounts than this behind one disagreement are named in the assignments, not in a list.
MOST_LISTED = 500


@dataclass(frozen=True)
class TeamResult:
    """One team's definition on the quarter's accounts.

    Attributes
    ----------
    labels : by account: the team's segment, `unassigned` or `assigned twice`
    contradictions : pairs of the team's segments that an account met both of, with how many accounts
    agreement : with the model's segments, over accounts with exactly one on each side; None where there is none
    is_stale : nobody looked at the definition for longer than the policy allows
    """

    team: str
    labels: pd.Series
    contradictions: dict[tuple[str, str], int]
    agreement: TeamAgreement | None
    is_stale: bool


def reconcile(
    segment: pd.Series, features: pd.DataFrame, policy: TeamSegmentsPolicy, on: date
) -> tuple[TeamResult, ...]:
    """Apply every team's definition and hold it against the model's segments.

    Parameters
    ----------
    segment : shape (n,), by row of `features`
    features : account_features_weekly of the quarter's last week
    on : the quarter's last day
    """
    return tuple(_team(name, team, segment, features, policy, on) for name, team in policy.teams.items())


def _team(
    name: str, team: Team, segment: pd.Series, features: pd.DataFrame, policy: TeamSegmentsPolicy, on: date
) -> TeamResult:
    labels, contradictions = team_labels(team, features)
    single = ~labels.isin([UNASSIGNED, TWICE])
    agreement = team_agreement(labels[single].tolist(), segment[single].tolist()) if single.any() else None
    is_stale = (on - team.reviewed_on).days > policy.stale_after_days
    return TeamResult(name, labels, contradictions, agreement, is_stale)


def team_labels(team: Team, features: pd.DataFrame) -> tuple[pd.Series, dict[tuple[str, str], int]]:
    """A team's segment of each row; and how many rows met two of its segments, by pair.

    What is unknown meets no condition: an account without a value is unassigned, not small.
    """
    if team.column is not None:
        column = features[team.column].astype(object)
        return column.where(column.notna(), UNASSIGNED), {}
    member = {}
    for name, one in team.segments.items():
        met = pd.Series(True, index=features.index)
        for condition in one.when:
            values = pd.Series(known_values(features, str(condition.feature)), index=features.index)
            met &= OPERATORS[condition.operator](values, condition.value) & values.notna()
        member[name] = met
    table = pd.DataFrame(member)
    count = table.sum(axis=1)
    labels = table.idxmax(axis=1).astype(object).where(count > 0, UNASSIGNED).where(count < 2, TWICE)
    pairs = {(a, b): int((table[a] & table[b]).sum()) for a, b in combinations(table.columns, 2)}
    return labels, {pair: n for pair, n in pairs.items() if n}


def reconciliation_table(
    quarter: Quarter, results: tuple[TeamResult, ...], segment: pd.Series, features: pd.DataFrame
) -> pa.Table:
    """Rows of segment_reconciliation_quarterly: accounts and revenue in each pair, and who is behind a disagreement."""
    money = features["arr_reporting"].map(lambda value: None if pd.isna(value) else Decimal(str(value)))
    rows: list[dict[str, Any]] = []
    for one in results:
        matched = one.agreement.matched if one.agreement is not None else {}
        frame = pd.DataFrame(
            {"team_segment": one.labels, "segment": segment, "account": features["account_id"], "money": money}
        )
        for (theirs, ours), cell in frame.groupby(["team_segment", "segment"], sort=True):
            known = [value for value in cell["money"] if value is not None and not pd.isna(value)]
            is_matched = matched.get(str(theirs)) == ours
            ids = sorted(cell["account"]) if not is_matched and len(cell) <= MOST_LISTED else None
            rows.append(
                {
                    "quarter": quarter.first_day,
                    "team": one.team,
                    "team_segment": theirs,
                    "segment": ours,
                    "accounts": len(cell),
                    "arr_reporting": sum(known, Decimal(0)).quantize(Decimal("0.01")) if known else None,
                    "is_matched": is_matched,
                    "account_ids": None if ids is None else json.dumps(ids),
                }
            )
    rows.sort(key=lambda row: (row["team"], row["team_segment"], row["segment"]))
    return pa.Table.from_pylist(rows, schema=mart_tables()["segment_reconciliation_quarterly"].arrow_schema)


def reconciliation_figures(results: tuple[TeamResult, ...]) -> list[Figure]:
    """Association and agreement of each team with the model, and of the teams with each other."""
    found = []
    for one in results:
        found += _agreement_figures(one.team, one.agreement)
        n = len(one.labels)
        stale = "stale: nobody looked at the definition for longer than the policy allows" if one.is_stale else None
        for figure, word in (("unassigned_share", UNASSIGNED), ("assigned_twice_share", TWICE)):
            share = float((one.labels == word).mean()) if n else None
            found.append(
                Figure("reconciliation", one.team, ALL, figure, share, "of all accounts", accounts=n, verdict=stale)
            )
        for (a, b), count in one.contradictions.items():
            found.append(Figure("reconciliation", one.team, ALL, f"contradiction ({a} and {b})", float(count),
                                "accounts that meet both rules", accounts=count))  # fmt: skip
    for first, second in combinations(results, 2):
        single = ~first.labels.isin([UNASSIGNED, TWICE]) & ~second.labels.isin([UNASSIGNED, TWICE])
        agreed = None
        if single.any():
            agreed = team_agreement(first.labels[single].tolist(), second.labels[single].tolist())
        found += _agreement_figures(f"{first.team} and {second.team}", agreed)
    return found


def _agreement_figures(subject: str, found: TeamAgreement | None) -> list[Figure]:
    if found is None:
        return [
            Figure("reconciliation", subject, ALL, "cramers_v", None, "Bergsma 2013", verdict="no account has both")
        ]
    methods = {
        "cramers_v": "bias corrected (Bergsma 2013)",
        "theils_u_of_other": "share of the uncertainty about the other's segment that knowing the team's takes away",
        "theils_u_of_team": "share of the uncertainty about the team's segment that knowing the other's takes away",
        "ami": "adjusted mutual information",
        "matched_share": "accounts in segments matched one to one (Hungarian)",
    }
    n = found.accounts
    figures = [
        Figure("reconciliation", subject, ALL, name, getattr(found, name), how, accounts=n)
        for name, how in methods.items()
    ]
    if found.kappa is not None:
        figures.append(Figure("reconciliation", subject, ALL, "kappa", found.kappa, "Cohen, same words", accounts=n))
    return figures
