"""Reads one text whole: its language, its phrases, its general sentiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from health_pipeline.policy.risk_phrases import RiskPhrasesPolicy
from health_pipeline.text.language import LanguageTeller
from health_pipeline.text.matching import Finding, PhraseFinder
from health_pipeline.text.sentiment import SentimentLexicon

# Of a longer field the beginning is read: nobody writes a letter of 50 pages, but machines paste logs.
CHARACTERS_READ = 100_000
# Short texts come again and again ("any news?", an automatic answer): what was read in them is kept.
_KEPT_TEXTS = 20_000
_KEPT_LENGTH = 500


@dataclass(frozen=True)
class Reading:
    """What a text says.

    Attributes
    ----------
    language : ISO 639-1 code; None where it can't be told
    sentiment : -1 to 1 by a general lexicon; None, not scored, where the text is not English
    phrases : per field, in the order of their spans
    """

    language: str | None
    sentiment: float | None
    phrases: tuple[tuple[Finding, ...], ...]


class TextReader:
    """The policy's rules, a language identifier and a lexicon, loaded once. Holds no text longer than a run."""

    def __init__(self, policy: RiskPhrasesPolicy) -> None:
        self._finder = PhraseFinder(policy)
        self._teller = LanguageTeller()
        self._lexicon = SentimentLexicon()
        self._read_short = lru_cache(maxsize=_KEPT_TEXTS)(self._read)

    def read(self, fields: Sequence[str | None]) -> Reading:
        """Read the fields of one record: language and sentiment of all of them together, phrases of each.

        Parameters
        ----------
        fields : such as subject and body, as landed
        """
        texts = tuple((field or "")[:CHARACTERS_READ] for field in fields)
        return self._read_short(texts) if sum(map(len, texts)) <= _KEPT_LENGTH else self._read(texts)

    def _read(self, texts: tuple[str, ...]) -> Reading:
        whole = "\n".join(text for text in texts if text)
        language = self._teller.language(whole)
        return Reading(
            language,
            self._lexicon.score(whole, language),
            tuple(tuple(self._finder.find(text)) if text else () for text in texts),
        )
