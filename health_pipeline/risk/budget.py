"""The threshold budget: on how many accounts each signal would have fired in each of the last weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

import numpy as np
import pyarrow as pa

from health_pipeline.policy.risk_signals import RiskSignal, RiskSignalPolicy
from health_pipeline.risk.signals import FeatureRows, is_applicable, observe


@dataclass(frozen=True)
class SignalBudget:
    """One signal over the weeks.

    Attributes
    ----------
    accounts : by week, accounts on which all its comparisons are met; None where no account of the week could tell,
        because what it reads is newer than the week or not connected
    unknown : accounts of the newest week on which it can't be told
    is_applicable : whether the company has what it reads
    """

    signal: RiskSignal
    accounts: Mapping[date, int | None]
    unknown: int
    is_applicable: bool

    @property
    def known(self) -> tuple[int, ...]:
        """The counts of the weeks that could tell, oldest first."""
        return tuple(count for count in self.accounts.values() if count is not None)

    @property
    def newest(self) -> int | None:
        """The count of the newest week."""
        return list(self.accounts.values())[-1] if self.accounts else None

    @property
    def usual(self) -> float | None:
        """The median over the weeks that could tell."""
        return median(self.known) if self.known else None

    @property
    def most(self) -> int | None:
        """The largest count."""
        return max(self.known, default=None)


def signal_budgets(
    weeks: Mapping[date, pa.Table], policy: RiskSignalPolicy, not_applicable_domains: Sequence[str] = ()
) -> list[SignalBudget]:
    """Count for each signal the accounts on which it would have fired, by published features.

    Records are not looked up: what was published says which comparisons are met, so the counts are the most there
    could have been.

    Parameters
    ----------
    weeks : rows of account_features_weekly by Monday
    policy : the signals, in force or not yet
    not_applicable_domains : what the company does not have

    Returns
    -------
    list of SignalBudget
        In the order of the policy, weeks from the oldest to the newest.
    """
    rows = {week: FeatureRows(weeks[week]) for week in sorted(weeks)}
    budgets = []
    for signal in policy.signals:
        counts: dict[date, int | None] = {}
        unknown = 0
        for week, features in rows.items():
            seen = observe(features, signal)
            unknown = int(seen.is_unknown.sum())
            # a feature that is known of nobody is newer than the week, or not connected
            is_told = all(
                not np.isnan(features.known(name, signal.is_known_when_stale)).all() for name in signal.features
            )
            counts[week] = int(seen.is_met.sum()) if is_told else None
        budgets.append(SignalBudget(signal, counts, unknown, is_applicable(signal, not_applicable_domains)))
    return budgets


def changed_signals(before: RiskSignalPolicy, after: RiskSignalPolicy) -> dict[str, str]:
    """The signals that another document adds, changes or takes out, by id: `new`, `changed` or `gone`."""
    old = {signal.id: signal for signal in before.signals}
    new = {signal.id: signal for signal in after.signals}
    found = {name: "new" if name not in old else "changed" for name in new if new[name] != old.get(name)}
    return found | {name: "gone" for name in old if name not in new}
