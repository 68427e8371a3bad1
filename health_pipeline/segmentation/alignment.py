"""Whether the personas still describe the accounts: claim by claim, as a whole, and sentences without a claim."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

import pandas as pd
import pyarrow as pa

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.personas import Persona, PersonaPolicy
from health_pipeline.segmentation.figures import ALL, Figure, known, of_interval
from health_pipeline.segmentation.methods.claims import (
    Claim,
    ClaimResult,
    PersonaFit,
    judge_claim,
    judge_conjunction,
    overlap,
)
from health_pipeline.segmentation.space import known_values

NO_SEGMENT = "no segment fits {pattern!r}"


@dataclass(frozen=True)
class PersonaResult:
    """One persona.

    Attributes
    ----------
    segment : the segment it stands for; None where none fits
    claims : results in the document's order, each with the sentence's number
    unclaimed : numbers of the sentences that no claim was made of
    fit : who meets every claim at once
    is_stale : nobody looked at the text for longer than the policy allows
    """

    name: str
    persona: Persona
    segment: str | None
    claims: tuple[tuple[int, ClaimResult], ...]
    unclaimed: tuple[int, ...]
    fit: PersonaFit
    is_stale: bool


def align(
    segment: pd.Series, features: pd.DataFrame, names: tuple[str, ...], policy: PersonaPolicy, on: date
) -> tuple[PersonaResult, ...]:
    """Hold every persona against the quarter's accounts.

    Parameters
    ----------
    segment : shape (n,), by row of `features`
    features : account_features_weekly of the quarter's last week
    names : the model's segments
    on : the quarter's last day; older texts than the policy allows are stale then
    """
    return tuple(_persona(name, one, segment, features, names, policy, on) for name, one in policy.personas.items())


def _persona(
    name: str,
    persona: Persona,
    segment: pd.Series,
    features: pd.DataFrame,
    names: tuple[str, ...],
    policy: PersonaPolicy,
    on: date,
) -> PersonaResult:
    stands_for = persona.segment_of(names)
    columns = {claim.feature: known_values(features, claim.feature) for claim in persona.claims}
    values = pd.DataFrame(columns, index=features.index)
    inside = segment.eq(stands_for) if stands_for is not None else pd.Series(False, index=features.index)
    claims = [Claim(claim.feature, claim.operator, claim.value) for claim in persona.claims]
    results = []
    for declared, claim in zip(persona.claims, claims, strict=True):
        found = judge_claim(claim, values[claim.feature], inside, policy.claim_holds_from, policy.least_known_accounts)
        results.append((declared.sentence, found))
    claimed = {claim.sentence for claim in persona.claims}
    return PersonaResult(
        name=name,
        persona=persona,
        segment=stands_for,
        claims=tuple(results),
        unclaimed=tuple(n for n in range(1, len(persona.sentences) + 1) if n not in claimed),
        fit=judge_conjunction(claims, values, inside),
        is_stale=(on - persona.written_on).days > policy.stale_after_days,
    )


def alignment_table(quarter: Quarter, results: tuple[PersonaResult, ...]) -> pa.Table:
    """Rows of persona_alignment_quarterly: one per claim, one per sentence without a claim."""
    rows: list[dict[str, Any]] = []
    for one in results:
        base = {"quarter": quarter.first_day, "persona": one.name, "segment": one.segment, "is_stale": one.is_stale}
        for sentence, found in one.claims:
            text = NO_SEGMENT.format(pattern=one.persona.segment) if one.segment is None else found.reason
            rate, rest = found.hit_rate, found.rest_rate
            rows.append(
                base
                | {
                    "claim": str(found.claim),
                    "sentence_number": sentence,
                    "sentence": one.persona.sentences[sentence - 1],
                    "verdict": found.verdict,
                    "reason": text,
                    "hit_rate": None if rate is None else rate.value,
                    "interval_low": None if rate is None else rate.low,
                    "interval_high": None if rate is None else rate.high,
                    "rest_rate": None if rest is None else rest.value,
                    "lift": known(found.lift),
                    "segment_median": known(found.median),
                    "distance": known(found.distance),
                    "known_accounts": found.known,
                    "accounts": found.accounts,
                }
            )
        rows += [
            base
            | {
                "claim": f"sentence {number}",
                "sentence_number": number,
                "sentence": one.persona.sentences[number - 1],
                "verdict": "untestable",
                "reason": "no claim was made of this sentence, so no data can answer it",
            }
            for number in one.unclaimed
        ]
    rows.sort(key=lambda row: (row["persona"], row["claim"]))
    return pa.Table.from_pylist(rows, schema=mart_tables()["persona_alignment_quarterly"].arrow_schema)


def alignment_figures(results: tuple[PersonaResult, ...]) -> list[Figure]:
    """Prevalence of whole personas, how it falls with each claim, overlap, and accounts that are nobody's."""
    found = []
    method = "accounts that meet every claim, of those with every claimed value known; Wilson's interval"
    for one in results:
        verdict = (
            "nobody meets every claim" if one.fit.prevalence is not None and one.fit.prevalence.value == 0 else None
        )
        found.append(of_interval("personas", one.name, ALL, "prevalence", one.fit.prevalence, method,
                                 accounts=one.fit.known, verdict=verdict))  # fmt: skip
        if one.segment is not None:
            found.append(of_interval("personas", one.name, one.segment, "prevalence", one.fit.in_segment, method))
        kept = "share of the accounts that is left after so many claims"
        found += [
            Figure("personas", one.name, ALL, f"after_claim_{number}", share, kept, accounts=one.fit.known)
            for number, share in enumerate(one.fit.falls, start=1)
        ]
    for first, second in combinations(results, 2):
        shared = overlap(first.fit, second.fit)
        found.append(Figure("personas", f"{first.name} and {second.name}", ALL, "overlap", shared,
                            "Jaccard similarity of the accounts that meet both"))  # fmt: skip
    if results:
        meets = pd.DataFrame({one.name: one.fit.meets.eq(True) for one in results})
        judged = pd.DataFrame({one.name: one.fit.meets.notna() for one in results}).any(axis=1)
        nobody = float((~meets.any(axis=1))[judged].mean()) if judged.any() else None
        found.append(
            Figure("personas", ALL, ALL, "nobody", nobody, "accounts that meet no persona", accounts=int(judged.sum()))
        )
    return found
