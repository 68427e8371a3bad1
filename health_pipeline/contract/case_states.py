"""The states of a case at the desk: rooms that read what was decided and the one that decides mean the same by them."""

from __future__ import annotations

from typing import Literal

State = Literal[
    "detected",
    "in_review",
    "needs_evidence",
    "proposed",
    "changes_requested",
    "rejected",
    "withdrawn",
    "deferred",
    "approved",
    "in_progress",
    "awaiting_outcome",
    "expired",
    "dismissed",
    "superseded",
    "reopened",
    "closed",
    # Of an account that was drawn at random, not of a risk.
    "drawn",
    "audited",
]
Outcome = Literal["saved", "lost", "false_positive", "unresolved"]

# Nobody has looked at it yet: a risk, an account drawn at random.
UNTOUCHED: State = "detected"
DRAWN: State = "drawn"
# A person has ended it: its packet is no open risk any more; or has looked at an account drawn at random.
ENDED: frozenset[str] = frozenset({"closed", "dismissed", "superseded", "audited"})
# What was found on an account that nothing flagged may be put right: the newest finding counts.
AUDITS: tuple[State, ...] = (DRAWN, "audited")
# Waits for somebody to look at it: nothing is proposed, or what was proposed is gone.
UNDECIDED: tuple[State, ...] = (
    "detected",
    "in_review",
    "needs_evidence",
    "changes_requested",
    "rejected",
    "withdrawn",
    "expired",
    "reopened",
)
# An approval in these states has an effect, as long as it holds.
EFFECTIVE: tuple[State, ...] = ("approved", "in_progress")
UNDER_WAY: tuple[State, ...] = ("approved", "in_progress", "awaiting_outcome")
# A case in these waits for a person to decide.
WAITING: tuple[State, ...] = (*UNDECIDED, "proposed")
OPEN: tuple[State, ...] = (*WAITING, "deferred", *UNDER_WAY)
# Open risks, and what was drawn: in these a case may have an owner and stands in the queue.
UNENDED: tuple[State, ...] = (*OPEN, DRAWN)
