"""The notation of phrases, as regular expressions over folded text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product

from health_pipeline.text.folding import fold

# What stands between two words: spaces and light punctuation, but no end of a clause.
_BETWEEN = r"[ \t\n\"'()*_/-]+"
_GAP = rf"({_BETWEEN}(?:[\w'-]+{_BETWEEN}){{0,3}})"
# A cue that is itself the end of a word ("n't") needs no word's beginning.
_WORD_ENDS = ("n't",)
_PIECE = re.compile(r"[^\W_]+")


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """Compile one phrase.

    Parameters
    ----------
    phrase : words in their order; `*` ends a stem, `a|b` are alternatives, `...` stands for up to three words.

    Returns
    -------
    re.Pattern
        For folded text. Its groups are what stood in the gaps.
    """
    return re.compile(_expression(phrase))


def any_of(phrases: Iterable[str]) -> re.Pattern[str] | None:
    """Compile phrases into one expression, the longest first; None where there are none."""
    patterns = [_expression(phrase) for phrase in sorted(phrases, key=len, reverse=True)]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None


def index_words(phrase: str) -> tuple[set[str], set[str]]:
    """Return words, and beginnings of words, of which a folded text must hold one if it is to match the phrase.

    The word of the phrase whose shortest alternative is longest is taken: it tells texts apart best.
    """
    words = [word.split("|") for word in phrase.split() if word != "..."]
    best = max(words, key=lambda word: min(len(choice) for choice in word))
    whole: set[str] = set()
    beginnings: set[str] = set()
    for choice in best:
        for written in _spellings(choice.rstrip("*")):
            piece = _PIECE.findall(written)[-1]
            (beginnings if choice.endswith("*") else whole).add(piece)
    return whole, beginnings


def words_of(folded: str) -> set[str]:
    """Return the words of a folded text, cut at anything that is no letter or digit."""
    return set(_PIECE.findall(folded))


def _expression(phrase: str) -> str:
    parts: list[str] = []
    gap = ""
    for word in phrase.split():
        if word == "...":
            gap = _GAP
            continue
        parts.append((gap or _BETWEEN if parts else "") + _word(word))
        gap = ""
    return "".join(parts)


def _word(word: str) -> str:
    alternatives = []
    for choice in word.split("|"):
        start = r"(?<=\w)" if choice in _WORD_ENDS else r"(?<!\w)"
        # An apostrophe ends a word in French ("n'avons") and begins a word's tail in English ("we're").
        end = "" if choice.endswith(("*", "'")) else r"(?!\w|'(?:t|re|ve|ll|m)(?!\w))"
        spelt = "|".join(re.escape(written) for written in _spellings(choice.rstrip("*")))
        rest = r"\w*" if choice.endswith("*") else ""
        alternatives.append(f"{start}(?:{spelt}){rest}{end}")
    return f"(?:{'|'.join(alternatives)})"


def _spellings(word: str) -> list[str]:
    choices = []
    for letter in word:
        base = fold(letter)
        choices.append((base, f"{base}e") if letter in "äöü" else ("ß", "ss") if letter == "ß" else (base,))
    return ["".join(letters) for letters in product(*choices)]
