"""The name that somebody may have meant, for messages about a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(name: str, names: Iterable[str]) -> str | None:
    """The most similar of `names`, or None where none is similar."""
    found = difflib.get_close_matches(name.lower(), list(names), n=1, cutoff=0.5)
    return found[0] if found else None
