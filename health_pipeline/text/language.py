"""Which language a text is in, where it is long enough to tell."""

from __future__ import annotations

import re

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Shorter texts ("ok thanks") are told apart by chance.
LEAST_LETTERS = 20
# Letters that were needed for 99 in 100 of the probability, of all the languages the model knows.
LEAST_PROBABILITY = 0.9

_LETTERS = re.compile(r"[^\W\d_]")


class LanguageTeller:
    """A language identifier, loaded once.

    References
    ----------
    Lui and Baldwin (2012), langid.py: An Off-the-shelf Language Identification Tool; the py3langid package's model.
    """

    def __init__(self) -> None:
        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def language(self, text: str) -> str | None:
        """Return the ISO 639-1 code of a text's language, None where the text is too short or too mixed to say."""
        if len(_LETTERS.findall(text[:400])) < LEAST_LETTERS:
            return None
        code, probability = self._identifier.classify(text[:2000])
        return code if probability >= LEAST_PROBABILITY else None
