"""Which phrases a text may hold, told from its words alone: most hold none, and no expression is tried on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from health_pipeline.text.notation import needed_words, words_of

# Words seen are kept with what they point at; then it begins anew, so that a stream of random words needs no memory.
_KEPT_WORDS = 200_000


class _Meaning(NamedTuple):
    """What a word of a text stands for: itself or beginnings of it that phrases name, and phrases it may begin."""

    named: tuple[str, ...]
    phrases: tuple[int, ...]


class WordIndex:
    """Phrases by the words they need.

    Parameters
    ----------
    phrases : in the policy's notation
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        needed = [needed_words(phrase) for phrase in phrases]
        self._further = [words[1:] for words in needed]
        self._by_first: dict[str, list[int]] = defaultdict(list)
        for number, words in enumerate(needed):
            for word in words[0]:
                self._by_first[word].append(number)
        self._named = {word for words in needed for choices in words for word in choices}
        self._beginnings = sorted({len(word) - 1 for word in self._named if word.endswith("*")})
        self._meanings: dict[str, _Meaning] = {}

    def candidates(self, folded: str) -> list[int]:
        """Return the numbers of the phrases of whose words each is in a folded text, in their order."""
        named: set[str] = set()
        first: set[int] = set()
        for word in words_of(folded):
            meaning = self._meanings.get(word) or self._learn(word)
            named.update(meaning.named)
            first.update(meaning.phrases)
        return sorted(
            number for number in first if not any(choices.isdisjoint(named) for choices in self._further[number])
        )

    def _learn(self, word: str) -> _Meaning:
        stems = (word[:length] + "*" for length in self._beginnings if length <= len(word))
        named = tuple(name for name in (word, *stems) if name in self._named)
        meaning = _Meaning(named, tuple({number for name in named for number in self._by_first.get(name, ())}))
        if len(self._meanings) >= _KEPT_WORDS:
            self._meanings.clear()
        self._meanings[word] = meaning
        return meaning
