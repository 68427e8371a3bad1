"""Which language a text is in, where it is long enough to tell."""

from __future__ import annotations

import re
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Shorter texts ("ok thanks") are told apart by chance.
LEAST_LETTERS = 20
# Of all the 140 languages the model knows; what is closer than this between two of them is not told.
LEAST_PROBABILITY = 0.6
# The beginning tells the language as well as the whole does, and each character costs most of a microsecond.
CHARACTERS_TOLD_BY = 200

_LETTERS = re.compile(r"[^\W\d_]")


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


class LanguageTeller:
    """A language identifier, loaded once.

    References
    ----------
    Lui and Baldwin (2012), langid.py: An Off-the-shelf Language Identification Tool; the py3langid package's model.
    """

    def __init__(self) -> None:
        self._identifier = _identifier()

    def language(self, text: str) -> str | None:
        """Return the ISO 639-1 code of a text's language, None where the text is too short or too mixed to say."""
        if len(_LETTERS.findall(text[:400])) < LEAST_LETTERS:
            return None
        code, probability = self._identifier.classify(text[:CHARACTERS_TOLD_BY])
        return code if probability >= LEAST_PROBABILITY else None
