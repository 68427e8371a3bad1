"""What the doctor says: one finding per thing, with what it means and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Severity = Literal["severe", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    check : the name of the check
    severity : `severe` (no review, a wrong one, or none can be trusted), `warning` (a review, with a gap), `note`
    what : what was found, with numbers
    means : what follows from it
    do : what to do about it, with the command
    """

    check: str
    severity: Severity
    what: str
    means: str
    do: str

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain values."""
        return asdict(self)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, else as they came."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
