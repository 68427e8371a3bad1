"""How a column header is compared: without case, punctuation, accents, and without a zone or currency it ends in."""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass

# What exports write behind a time, and the zone of the IANA database that is meant.
ZONES = {
    "utc": "UTC", "gmt": "UTC", "z": "UTC",
    "cet": "Europe/Berlin", "cest": "Europe/Berlin", "bst": "Europe/London",
    "est": "America/New_York", "edt": "America/New_York", "cst": "America/Chicago", "cdt": "America/Chicago",
    "mst": "America/Denver", "mdt": "America/Denver", "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles",
}  # fmt: skip
_CURRENCY = re.compile(r"[A-Z]{3}")
_ENDING = re.compile(r"\s*[(\[]\s*([A-Za-z]{1,4})\s*[)\]]\s*$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SIMILAR = 0.88


@dataclass(frozen=True)
class Header:
    """A header taken apart: its words, and the zone or the currency it names in brackets at its end."""

    words: tuple[str, ...]
    zone: str | None = None
    currency: str | None = None

    @property
    def compact(self) -> str:
        """The words without blanks, as headers are compared."""
        return "".join(self.words)


def read_header(text: str) -> Header:
    """Take a header apart: `Due Date (UTC)` has the words due and date, and the zone UTC."""
    zone = currency = None
    ending = _ENDING.search(text)
    if ending:
        word = ending.group(1)
        if word.lower() in ZONES:
            zone, text = ZONES[word.lower()], text[: ending.start()]
        elif _CURRENCY.fullmatch(word):
            currency, text = word, text[: ending.start()]
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(mark for mark in plain if not unicodedata.combining(mark))
    words = re.findall(r"[^\W_]+", _CAMEL.sub(" ", plain).lower())
    return Header(tuple(words), zone, currency)


def likeness(header: Header, wanted: list[str]) -> float:
    """How well a header fits a list of names, the surest name first.

    Returns
    -------
    float
        1 down to 0.8 for one of the names, 0.6 where a name of at least two words is part of the header, 0.55 for one
        that is almost written so, else 0.
    """
    compact = header.compact
    if not compact:
        return 0.0
    names = [re.sub(r"[\W_]+", "", name.lower()) for name in wanted]
    if compact in names:
        return max(0.8, 1.0 - 0.01 * names.index(compact))
    text = f" {' '.join(header.words)} "
    for name in wanted:
        words = re.findall(r"[^\W_]+", name.lower())
        if len(words) > 1 and f" {' '.join(words)} " in text:
            return 0.6
    if len(compact) > 5 and difflib.get_close_matches(compact, names, n=1, cutoff=_SIMILAR):
        return 0.55
    return 0.0
