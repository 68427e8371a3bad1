"""Texts in a comparable form, character by character: a span in the folded text is the same span in the original."""

from __future__ import annotations

import re
import unicodedata

_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
# What follows is an earlier mail, counted when it came: the ways in which mail programs say so.
_EARLIER_MAIL = re.compile(
    r"^(?:-{2,12} ?(?:original message|forwarded message|ursprüngliche nachricht|weitergeleitete nachricht"
    r"|message d'origine|message transféré|mensaje original|mensaje reenviado) ?-{2,12}"
    r"|(?:on .{4,100} wrote|am .{4,100} schrieb.{0,60}|le .{4,100} a écrit|el .{4,100} escribió) ?:)[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,500}>")
_SAME = {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
_SAME |= dict.fromkeys("‐‑‒–—−", "-")
_SAME |= {"ı": "i", "ø": "o", "Ø": "o", "đ": "d", "ł": "l", "Ł": "l"}


class _Folding(dict[int, str]):
    """Learns a character's folded form the first time it meets it."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        base = _SAME.get(character)
        if base is None:
            base = unicodedata.normalize("NFD", character)[0].lower()[:1]
            if not base.isprintable() or unicodedata.category(base).startswith(("Z", "C")):
                base = "\n" if character in "\n\r\u2028\u2029" else " "
        self[code] = base
        return base


_FOLDING = _Folding()


def fold(text: str) -> str:
    """Lower case, without accents, control characters as spaces; quoted earlier mail and HTML tags blanked out.

    Returns
    -------
    str
        As long as `text`: position i of the one is position i of the other.
    """
    if ">" in text:
        text = _QUOTED_LINE.sub(_blank, text)
        text = _TAG.sub(_blank, text)
    if "\n" in text and (earlier := _EARLIER_MAIL.search(text)):
        text = text[: earlier.start()] + " " * (len(text) - earlier.start())
    return text.translate(_FOLDING)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


# What stands on or between letters and is none: combining marks, soft hyphens, zero-width and direction marks.
_UNSEEN = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
    "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+"
)


def without_unseen(text: str) -> tuple[str, list[int] | None]:
    """Take out what stands on or between letters, as text of some systems has it ("u" and a mark for "ü").

    Returns
    -------
    str and list of int or None
        The text, and where each of its characters and its end stood before; None where nothing was taken out.
    """
    if _UNSEEN.search(text) is None:
        return text, None
    kept: list[str] = []
    places: list[int] = []
    end = 0
    for match in _UNSEEN.finditer(text):
        kept.append(text[end : match.start()])
        places.extend(range(end, match.start()))
        end = match.end()
    kept.append(text[end:])
    places.extend(range(end, len(text)))
    return "".join(kept), [*places, len(text)]
