"""The list of checks, and the diagnosis they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from health_pipeline.orchestration.doctor import environment, stores
from health_pipeline.orchestration.doctor.environment import Environment
from health_pipeline.orchestration.doctor.findings import SEVERITIES, Finding, in_order
from health_pipeline.orchestration.doctor.stores import Stores

ENVIRONMENT_CHECKS: tuple[Callable[[Environment], Iterator[Finding]], ...] = (
    environment.check_python,
    environment.check_lock,
    environment.check_checkout,
    environment.check_home,
    environment.check_clock,
    environment.check_time_zone,
    environment.check_memory,
    environment.check_webhook,
    environment.check_telemetry,
)
STORE_CHECKS: tuple[Callable[[Stores], Iterator[Finding]], ...] = (
    stores.check_readable,
    stores.check_policy,
    stores.check_risk_review,
    stores.check_sources,
    stores.check_waiting_loads,
    stores.check_release,
    stores.check_ledger,
    stores.check_weeks,
    stores.check_owners,
    stores.check_coverage,
    stores.check_unmatched,
    stores.check_run_lock,
    stores.check_stopped_holders,
    stores.check_left_behind,
    stores.check_last_runs,
    stores.check_incidents,
    stores.check_schedules,
)


@dataclass(frozen=True)
class Diagnosis:
    """Every finding, the worst first, and how many checks were made."""

    findings: tuple[Finding, ...]
    checks: int

    @property
    def is_severe(self) -> bool:
        """Whether anything severe was found."""
        return any(finding.severity == "severe" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis as plain values."""
        return {
            "severe": self.is_severe,
            "checks": self.checks,
            "findings": [finding.as_dict() for finding in self.findings],
        }

    def lines(self) -> Iterator[str]:
        """The diagnosis for a person."""
        for finding in self.findings:
            yield f"{finding.severity.upper():<8} {finding.check}: {finding.what}."
            yield f"         {finding.means[0].upper()}{finding.means[1:]}."
            yield f"         To do: {finding.do}."
        counted = {name: sum(one.severity == name for one in self.findings) for name in SEVERITIES}
        told = ", ".join(f"{count} {name}" for name, count in counted.items())
        yield f"{self.checks} checks: {told}." if self.findings else f"{self.checks} checks: all is well."


def diagnose(machine: Environment, holds: Stores) -> Diagnosis:
    """Run every check over the facts."""
    found = [finding for check in ENVIRONMENT_CHECKS for finding in check(machine)]
    found += [finding for check in STORE_CHECKS for finding in check(holds)]
    return Diagnosis(tuple(in_order(found)), len(ENVIRONMENT_CHECKS) + len(STORE_CHECKS))
