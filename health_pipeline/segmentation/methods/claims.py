"""Whether what a persona says of a segment holds: claim by claim, and of all claims at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from health_pipeline.segmentation.methods.intervals import Interval, newcombe, wilson

Verdict = Literal["supported", "contradicted", "untestable"]

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Claim:
    """A feature against a number: what a persona says of the accounts of its segment."""

    feature: str
    operator: str
    value: float

    def __str__(self) -> str:
        return f"{self.feature} {self.operator} {self.value:g}"


@dataclass(frozen=True)
class ClaimResult:
    """What the accounts say to a claim.

    Attributes
    ----------
    verdict, reason : untestable has a reason; so have the others, in a sentence of figures
    hit_rate : share of the segment's accounts with a known value that meet it; None where none is known
    rest_rate : the same of all other accounts
    lift : hit_rate by rest_rate; None where nobody of the rest meets it
    difference : hit_rate less rest_rate, with Newcombe's interval
    median, distance : the segment's median, and how far the claimed value is from it, in standard deviations of all
    known, accounts : accounts of the segment with a known value, and all of them
    """

    claim: Claim
    verdict: Verdict
    reason: str
    hit_rate: Interval | None
    rest_rate: Interval | None
    lift: float | None
    difference: Interval | None
    median: float | None
    distance: float | None
    known: int
    accounts: int


def judge_claim(
    claim: Claim, values: pd.Series, in_segment: pd.Series, at_least: float, least_known: int = 30
) -> ClaimResult:
    """Hold a claim against the accounts.

    Supported: most of the segment meets it (the interval's lower end is above `at_least`) and more of the segment
    than of the rest does. Contradicted: the interval's upper end is below `at_least`, or the rest meets it at least
    as often. Otherwise untestable: these accounts can't tell.

    Parameters
    ----------
    values : shape (n,), the feature by account; NaN where it is not known
    in_segment : shape (n,), boolean, same index
    at_least : share of the segment that must meet a claim for it to describe the segment
    least_known : fewer known values than this tell nothing
    """
    own, rest = values[in_segment].dropna(), values[~in_segment].dropna()
    accounts = int(in_segment.sum())
    if len(own) < least_known:
        reason = (
            f"{claim.feature} is known of {len(own)} of the segment's {accounts} accounts; {least_known} are needed"
        )
        return ClaimResult(claim, "untestable", reason, None, None, None, None, None, None, len(own), accounts)
    meets = OPERATORS[claim.operator]
    hits, rest_hits = int(meets(own, claim.value).sum()), int(meets(rest, claim.value).sum())
    rate = wilson(hits, len(own))
    rest_rate = wilson(rest_hits, len(rest)) if len(rest) else None
    difference = newcombe(hits, len(own), rest_hits, len(rest)) if len(rest) else None
    spread = float(pd.concat([own, rest]).std(ddof=0))
    median = float(own.median())
    verdict, reason = _verdict(rate, difference, at_least)
    return ClaimResult(
        claim,
        verdict,
        reason,
        rate,
        rest_rate,
        rate.value / rest_rate.value if rest_rate is not None and rest_rate.value > 0 else None,
        difference,
        median,
        (claim.value - median) / spread if spread > 0 else None,
        len(own),
        accounts,
    )


def _verdict(rate: Interval, difference: Interval | None, at_least: float) -> tuple[Verdict, str]:
    shares = f"{rate.value:.0%} ({rate.low:.0%} to {rate.high:.0%}) of the segment meet it"
    if rate.high < at_least:
        return "contradicted", f"{shares}, fewer than {at_least:.0%}"
    if difference is not None and difference.high < 0:
        return "contradicted", f"{shares}, and more of the other accounts do"
    if rate.low < at_least:
        return "untestable", f"{shares}: the interval holds {at_least:.0%}, so these accounts can't tell"
    if difference is not None and difference.low <= 0:
        return "untestable", f"{shares}, and about as many of the other accounts: it does not tell the segment apart"
    return "supported", shares


@dataclass(frozen=True)
class PersonaFit:
    """Who meets every claim of a persona at once.

    Attributes
    ----------
    prevalence : share of the accounts with every value known that meet all claims; None where there is none
    in_segment : the same within the persona's segment
    falls : share that is left after the first, the first two, ... claims
    known : accounts with every claimed value known
    meets : by account, True, False or missing where a value is not known
    """

    prevalence: Interval | None
    in_segment: Interval | None
    falls: tuple[float, ...]
    known: int
    meets: pd.Series


def judge_conjunction(claims: Sequence[Claim], features: pd.DataFrame, in_segment: pd.Series) -> PersonaFit:
    """Count who meets all claims of a persona: the share falls fast with each claim, and a persona may be nobody.

    Parameters
    ----------
    features : shape (n, at least the claimed features), NaN where not known
    in_segment : shape (n,), boolean, same index
    """
    known = features[[claim.feature for claim in claims]].notna().all(axis=1)
    met = pd.Series(True, index=features.index)
    falls = []
    for claim in claims:
        met &= OPERATORS[claim.operator](features[claim.feature], claim.value).fillna(False).astype(bool)
        falls.append(float(met[known].mean()) if known.any() else float("nan"))
    own = known & in_segment
    return PersonaFit(
        prevalence=wilson(int(met[known].sum()), int(known.sum())) if known.any() else None,
        in_segment=wilson(int(met[own].sum()), int(own.sum())) if own.any() else None,
        falls=tuple(falls),
        known=int(known.sum()),
        meets=met.astype(object).where(known, np.nan),
    )


def overlap(one: PersonaFit, other: PersonaFit) -> float | None:
    """Jaccard similarity of the accounts that meet two personas; None where nobody meets either."""
    first, second = (fit.meets.eq(True) for fit in (one, other))
    either = int((first | second).sum())
    return float((first & second).sum() / either) if either else None
