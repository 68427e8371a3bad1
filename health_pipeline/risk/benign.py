"""Common causes first: season, migration, automation, late data; looked for, and shown where they fit."""

from __future__ import annotations

from collections.abc import Iterable

from health_pipeline.policy.risk_signals import BenignExplanation, RiskSignal
from health_pipeline.risk.evidence import RecordsBySet, Showing, pieces
from health_pipeline.risk.model import BenignCheck, Evidence
from health_pipeline.risk.signals import FeatureRows, Observed, is_applicable, observe, readings


class BenignChecks:
    """The explanations of a policy on some rows of features; what the company does not have is left out."""

    def __init__(
        self, explanations: Iterable[BenignExplanation], rows: FeatureRows, not_applicable_domains: Iterable[str]
    ) -> None:
        off = tuple(not_applicable_domains)
        self._rows = rows
        self._seen = {
            explanation.explanation: [
                (observation, observe(rows, observation))
                for observation in explanation.any_of
                if is_applicable(observation, off)
            ]
            for explanation in explanations
        }

    def of(
        self, signal: RiskSignal, row: int, records: RecordsBySet, showing: Showing
    ) -> tuple[tuple[BenignCheck, ...], tuple[Evidence, ...]]:
        """What became of the explanations a signal asks for, in a row, and the records that show those that fit.

        An explanation fits where one of its observations is made and a record shows it; it is unknown where none is
        and one can't be read.
        """
        checks: list[BenignCheck] = []
        evidence: list[Evidence] = []
        for name in signal.benign:
            found: dict[str, Evidence] = {}
            states: list[Observed] = []
            for observation, observed in self._seen[name]:
                states.append(observed)
                if observed.is_met[row]:
                    seen = readings(self._rows, observation, row)
                    shown = pieces(name, observation, seen, records, "contradicts", showing)
                    found |= {piece.evidence_id: piece for piece in shown}
            if found:
                checks.append(BenignCheck(name, "fits", tuple(found)))
                evidence += found.values()
            elif not states or any(state.is_unknown[row] or state.is_met[row] for state in states):
                checks.append(BenignCheck(name, "unknown"))
            else:
                checks.append(BenignCheck(name, "does_not_fit"))
        return tuple(checks), tuple(evidence)


def fitting(checks: Iterable[BenignCheck]) -> tuple[str, ...]:
    """The explanations that fit."""
    return tuple(check.explanation for check in checks if check.verdict == "fits")
