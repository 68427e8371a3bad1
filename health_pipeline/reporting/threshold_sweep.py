"""What became of a signal's risks at stricter thresholds, by the values kept in their evidence. Changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from health_pipeline.policy.risk_signals import EXPANSION, RiskSignal
from health_pipeline.policy.wording import readable
from health_pipeline.reporting.judged import ENOUGH, Judged, share_words
from health_pipeline.risk.phrasing import amount
from health_pipeline.risk.signals import compare

# Stricter thresholds that are tried: so many of the decided risks, the least extreme ones, would not have fired.
TRIED = (0.25, 0.5, 0.75)
UPWARD, DOWNWARD = (">", ">="), ("<", "<=")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class AtThreshold:
    """What people made of the risks on which the signal would have fired at a threshold."""

    threshold: float
    judged: Judged


@dataclass(frozen=True)
class Sweep:
    """One comparison of a signal at its own threshold, the first of `steps`, and at stricter ones."""

    signal_id: str
    feature: str
    comparator: str
    steps: tuple[AtThreshold, ...]


def sweeps(signals: Iterable[RiskSignal], readings: Iterable[Row], status_of: Mapping[str, str | None]) -> list[Sweep]:
    """Sweep every ordered comparison of every signal with `ENOUGH` decided risks.

    Parameters
    ----------
    readings : packet_id, subject (the signal), metric (the feature), least, most: the values of a packet's evidence
        over all its weeks, so that a stricter threshold counts as met where any of the weeks meets it
    status_of : what people made of each packet: confirmed, refuted or unconfirmed; others are left out

    Returns
    -------
    list of Sweep
        By signal and feature. A looser threshold is never shown: below the line nothing was looked at, so nobody knows.
    """
    known: dict[tuple[str, str], list[Row]] = {}
    for row in readings:
        if status_of.get(row["packet_id"]) is not None:
            known.setdefault((row["subject"], row["metric"]), []).append(row)
    found = []
    for signal in signals:
        for comparison in signal.when:
            is_upward = comparison.comparator in UPWARD
            if signal.category == EXPANSION or comparison.comparator not in (*UPWARD, *DOWNWARD):
                continue
            values = {
                row["packet_id"]: float(row["most" if is_upward else "least"])
                for row in known.get((signal.id, comparison.feature), ())
            }
            met = {
                name: value
                for name, value in values.items()
                if _is_met(value, comparison.comparator, comparison.threshold)
            }
            steps = _steps(met, comparison.comparator, comparison.threshold, status_of)
            if steps:
                found.append(Sweep(signal.id, comparison.feature, comparison.comparator, steps))
    return sorted(found, key=lambda one: (one.signal_id, one.feature, one.comparator))


def _is_met(value: float, comparator: str, threshold: float) -> bool:
    return bool(compare(value, comparator, threshold))


def _steps(
    values: Mapping[str, float], comparator: str, own: float, status_of: Mapping[str, str | None]
) -> tuple[AtThreshold, ...]:
    decided = sorted(value for name, value in values.items() if status_of[name] in ("confirmed", "refuted"))
    if len(decided) < ENOUGH:
        return ()
    ordered = decided if comparator in UPWARD else decided[::-1]
    tried = [own, *(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)))] for share in TRIED)]
    # at a value that was seen, the account that has it still counts
    inclusive = {">": ">=", "<": "<="}.get(comparator, comparator)
    return tuple(
        _at(values, comparator if threshold == own else inclusive, threshold, status_of)
        for threshold in dict.fromkeys(tried)
    )


def _at(
    values: Mapping[str, float], comparator: str, threshold: float, status_of: Mapping[str, str | None]
) -> AtThreshold:
    kept = (status_of[name] for name, value in values.items() if _is_met(value, comparator, threshold))
    return AtThreshold(threshold, Judged.of(kept))


def sweep_lines(found: Sequence[Sweep]) -> list[str]:
    """The sweeps as Markdown; each says what a stricter threshold would have spared and what it would have lost."""
    if not found:
        return [f"No signal has {ENOUGH} decided risks with a value in their evidence: not enough decisions."]
    lines = [
        "Had the line been stricter: which of the risks that fired would still have. A risk counts by the most extreme "
        "value of its evidence over its weeks; it may have opened by another signal all the same. A dismissal says "
        "what a person made of what was shown, not that nothing was there. What a looser line would have brought "
        "nobody has looked at: only the random audit says something of it. Nothing is changed by this report.",
        "",
        "| signal | reads | line | still fires: confirmed | refuted | undecided | lost: confirmed | spared: refuted | "
        "refuted, of the decided (95 %) |",
        "|---|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for sweep in found:
        first = sweep.steps[0].judged
        for step in sweep.steps:
            judged, own = step.judged, " (now)" if step.judged is first else ""
            lines.append(
                f"| {sweep.signal_id} | {readable(sweep.feature)} | {sweep.comparator} "
                f"{amount(sweep.feature, step.threshold)}{own} | {judged.confirmed} | {judged.refuted} | "
                f"{judged.undecided} | {first.confirmed - judged.confirmed} | {first.refuted - judged.refuted} | "
                f"{share_words(judged.refuted_share)} |"
            )
    return lines
