"""The notation of phrases, as regular expressions over folded text."""

from __future__ import annotations

import re
from functools import cache
from itertools import product

from health_pipeline.policy.risk_phrases import GAP_WORDS
from health_pipeline.text.folding import fold

# What stands between two words: spaces and light punctuation, but no end of a clause. Possessive, as the words of a gap
# are: what was taken is never given back, so a text of 100,000 dashes takes no longer than one of letters.
_BETWEEN = r"[ \t\n\"'()*_/-]++"
_GAPS = {mark: rf"({_BETWEEN}(?:[\w'-]++{_BETWEEN}){{0,{most}}})" for mark, most in GAP_WORDS.items()}
# A cue that is itself the end of a word ("n't") needs no word's beginning.
_WORD_ENDS = ("n't",)
_PIECE = re.compile(r"[^\W_]+")


@cache
def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """Compile one phrase.

    Parameters
    ----------
    phrase : words in their order; `*` ends a stem, `a|b` are alternatives, `a_b` are two words that count as one
        alternative, `...` stands for up to three words, `..` for one at most.

    Returns
    -------
    re.Pattern
        For folded text. Its groups are what stood in the gaps.
    """
    return re.compile(_expression(phrase))


@cache
def any_of(phrases: tuple[str, ...]) -> re.Pattern[str] | None:
    """Compile phrases into one expression, the longest first; None where there are none."""
    longest_first = sorted(phrases, key=len, reverse=True)
    several = [phrase for phrase in longest_first if len(phrase.split()) > 1]
    single = [phrase for phrase in longest_first if len(phrase.split()) == 1]
    # single words are the alternatives of one word
    patterns = [_expression(phrase) for phrase in (*several, *(["|".join(single)] if single else []))]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None


def needed_words(phrase: str) -> tuple[frozenset[str], ...]:
    """Return, for each word of a phrase, the words of which a folded text must hold one if it is to match the phrase.

    The beginning of a word ends in `*`. The word whose shortest alternative is longest comes first: it tells texts
    apart best.
    """
    words = [
        frozenset(
            _telling_piece(written, choice.endswith("*"))
            for choice in word.split("|")
            for written in _spellings(choice.rstrip("*"))
        )
        for word in phrase.split()
        if word not in GAP_WORDS
    ]
    return tuple(sorted(words, key=lambda choices: min(len(choice.rstrip("*")) for choice in choices), reverse=True))


def words_of(folded: str) -> set[str]:
    """Return the words of a folded text, cut at anything that is no letter or digit."""
    return set(_PIECE.findall(folded))


def _telling_piece(written: str, is_stem: bool) -> str:
    """Of an alternative of several words the longest; a stem's star leaves the end of its last one open."""
    *first, last = _PIECE.findall(written)
    return max([last + "*" if is_stem else last, *first], key=lambda piece: len(piece.rstrip("*")))


def _expression(phrase: str) -> str:
    parts: list[str] = []
    gap = ""
    for word in phrase.split():
        if word in GAP_WORDS:
            gap = _GAPS[word]
            continue
        parts.append((gap or _BETWEEN if parts else "") + _word(word))
        gap = ""
    return "".join(parts)


def _word(word: str) -> str:
    """One word of a phrase. Its beginning is asked for once, not by each alternative: that is where the time goes."""
    choices = word.split("|")
    parts = []
    for asked, end, rest in (
        # An apostrophe ends a word in French ("n'avons") and begins a word's tail in English ("we're").
        (lambda one: not one.endswith(("*", "'")), r"(?!\w|'(?:t|re|ve|ll|m)(?!\w))", ""),
        (lambda one: one.endswith("*"), "", r"\w*"),
        (lambda one: one.endswith("'"), "", ""),
    ):
        spelt = [
            _BETWEEN.join(re.escape(one) for one in written.split("_"))
            for choice in choices
            if asked(choice) and choice not in _WORD_ENDS
            for written in _spellings(choice.rstrip("*"))
        ]
        if spelt:
            parts.append(f"(?:{'|'.join(spelt)}){rest}{end}")
    whole = [rf"(?<!\w)(?:{'|'.join(parts)})"] if parts else []
    ends = [rf"(?<=\w){re.escape(choice)}(?!\w)" for choice in choices if choice in _WORD_ENDS]
    return f"(?:{'|'.join([*whole, *ends])})"


def _spellings(word: str) -> list[str]:
    choices = []
    for letter in word:
        base = fold(letter)
        choices.append((base, f"{base}e") if letter in "äöü" else ("ß", "ss") if letter == "ß" else (base,))
    return ["".join(letters) for letters in product(*choices)]
