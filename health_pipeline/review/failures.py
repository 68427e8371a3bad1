"""What a request to the ledger can fail by: no such case, a key used before, somebody who was faster."""

from __future__ import annotations

from collections.abc import Sequence

from health_pipeline.review.cases import Case, Event
from health_pipeline.review.database import LedgerError


class UnknownCaseError(LedgerError):
    """There is no case of that id."""


class IdempotencyError(LedgerError):
    """A key was used before, for another request."""


class ConflictError(LedgerError):
    """Somebody else changed the case meanwhile; nothing was recorded. `case` is the case as it is now."""

    def __init__(self, case: Case, since: Sequence[Event]) -> None:
        by = ", ".join(dict.fromkeys(event.actor for event in since)) or "somebody"
        super().__init__(
            f"The case was changed meanwhile, by {by}: it is {case.state} now. Nothing was recorded and your text is "
            "still in the form; look at the case as it is, and decide again."
        )
        self.case = case
        self.since = tuple(since)
