"""What publication refuses, as exceptions whose message is one sentence a person can act on."""

from __future__ import annotations


class PublicationError(RuntimeError):
    """Base of everything publication refuses."""


class CandidateError(PublicationError):
    """The run's tables or weeks can't make a candidate."""


class FrozenSliceError(PublicationError):
    """A published slice came out differently, and nobody asked for a restatement.

    Attributes
    ----------
    slices : tuple of str
        The weeks' Mondays or the quarters' first days that differ.
    tables : tuple of str
        The tables that differ.
    """

    def __init__(self, message: str, slices: tuple[str, ...], tables: tuple[str, ...]) -> None:
        super().__init__(message)
        self.slices = slices
        self.tables = tables


class FrozenWeekError(FrozenSliceError):
    """A published week came out differently."""


class FrozenQuarterError(FrozenSliceError):
    """A published quarter came out differently."""


class RestateGapError(CandidateError):
    """A restatement leaves a later published week whose tier path no longer fits."""


class DamagedReleaseError(PublicationError):
    """A release does not match its own manifest."""


class PublicationRefusedError(PublicationError):
    """The gate is closed to this candidate."""


class StaleBaseError(PublicationRefusedError):
    """Another release was published since this candidate was built; build it again on the new base."""
