"""A general sentiment lexicon on English texts: a weak hint, never a cause."""

from __future__ import annotations

from functools import cache

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()


class SentimentLexicon:
    """The compound score of a general lexicon, -1 to 1.

    It knows single words, not the business: "Our champion left the company" comes out as +0.60. So it is English
    only, a hint beside the rules, and no signal may rest on it alone.

    References
    ----------
    Hutto and Gilbert (2014), VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text.
    """

    def __init__(self) -> None:
        self._analyzer = _analyzer()

    def score(self, text: str, language: str | None) -> float | None:
        """Return the compound score of an English text; None, not scored, for any other language or none."""
        if language != "en":
            return None
        return float(self._analyzer.polarity_scores(text[:5000])["compound"])
