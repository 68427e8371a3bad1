"""Which of an account's signals open a risk: a strong one alone, or two weaker ones of two categories."""

from __future__ import annotations

from collections.abc import Iterable

from health_pipeline.policy.risk_signals import Contribution, RiskSignal, RiskSignalPolicy
from health_pipeline.risk.strength import LEVELS


def openers(fired: Iterable[tuple[RiskSignal, bool]], policy: RiskSignalPolicy) -> list[str]:
    """The signals that are strong enough to open a risk, and to be an occurrence of one that is open.

    A signal does so alone where its contribution is `opens_at` or above, or the policy says `opens_alone` of it; those
    of `opens_together_at` or above do where they are of two categories or more. Where the policy says so, one whose
    benign explanation fits is shown beside the others and opens nothing, unless it is critical.

    Parameters
    ----------
    fired : the signals of one side that fired in a week, and whether a benign explanation of each fits
    policy : the rule

    Returns
    -------
    list of str
        Ids, in the order given; empty where nothing opens.
    """
    counted = [
        signal
        for signal, is_explained in fired
        if policy.opens_when_explained or not is_explained or signal.contribution == "critical"
    ]
    together = [signal for signal in counted if _is_at(signal, policy.opens_together_at)]
    is_together = len({signal.category for signal in together}) >= 2
    return [
        signal.id
        for signal in counted
        if signal.opens_alone or _is_at(signal, policy.opens_at) or (is_together and signal in together)
    ]


def _is_at(signal: RiskSignal, level: Contribution | None) -> bool:
    return level is not None and LEVELS.index(signal.contribution) >= LEVELS.index(level)
