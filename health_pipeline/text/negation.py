"""Whether a phrase is negated: cues that reach it within its clause, and how many of them there are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from health_pipeline.policy.risk_phrases import Negation
from health_pipeline.text.notation import any_of

# Without bound, a text without a full stop would be looked through again for each of its phrases.
SENTENCE_REACH = 500
TAIL_REACH = 160
_WORD = re.compile(r"[\w'-]*\w")
_CLAUSE_END = re.compile(r"[.!?;:,\n](?=\s|$)|\s[-]\s")
_SENTENCE_END = re.compile(r"[.!?\n](?=\s|$)")


@dataclass(frozen=True)
class NegationScope:
    """One language's negation, compiled.

    References
    ----------
    Chapman et al. (2001), A simple algorithm for identifying negated findings and diseases in discharge summaries
    (NegEx): cues before and after a term, pseudo-cues, and a reach of some words that a conjunction ends. Added: an
    even number of cues cancels out ("we never said we won't renew").
    """

    cues: re.Pattern[str]
    after_cues: re.Pattern[str] | None
    not_cues: re.Pattern[str] | None
    breaks: re.Pattern[str] | None
    tail_breaks: re.Pattern[str] | None
    bridges: re.Pattern[str] | None
    before: int
    after: int
    is_concord: bool

    @classmethod
    def of(cls, negation: Negation) -> NegationScope:
        """Compile a policy's entry."""
        cues = any_of(negation.cues)
        assert cues is not None
        return cls(
            cues,
            any_of(negation.after_cues),
            any_of(negation.not_cues),
            any_of(negation.breaks),
            any_of(negation.breaks + negation.tail_breaks),
            any_of(negation.bridges),
            negation.before,
            negation.after,
            negation.is_concord,
        )

    def is_negated(self, folded: str, start: int, end: int, in_gaps: str = "") -> bool:
        """Say whether an odd number of cues (with concord: any) reaches the phrase at [start, end) of a folded text.

        A cue among the phrase's own words ("no answer") belongs to the phrase; what stood in its gaps is `in_gaps`.
        """
        lead = f"{self._lead(folded, start)} {in_gaps}"
        count = self._count(self.cues, lead, self._hidden(lead))
        if self.after_cues is not None and self.after:
            tail = self._tail(folded, end)
            count += min(1, self._count(self.after_cues, tail, self._hidden(tail)))
        return count > 0 if self.is_concord else count % 2 == 1

    def _lead(self, folded: str, start: int) -> str:
        low = max(0, start - 160)
        lead = folded[low:start]
        bridged = {match.end() for match in self.bridges.finditer(lead)} if self.bridges is not None else set()
        cut = max((end.end() for end in _CLAUSE_END.finditer(lead) if end.start() not in bridged), default=0)
        if self.breaks is not None:
            cut = max(cut, max((match.end() for match in self.breaks.finditer(lead)), default=0))
        lead = lead[cut:]
        words = list(_WORD.finditer(lead))
        return lead[words[-self.before].start() :] if len(words) > self.before else lead

    def _tail(self, folded: str, end: int) -> str:
        tail = folded[end : end + TAIL_REACH]
        stop = _CLAUSE_END.search(tail)
        tail = tail[: stop.start()] if stop else tail
        if self.tail_breaks is not None and (found := self.tail_breaks.search(tail)):
            tail = tail[: found.start()]
        words = list(_WORD.finditer(tail))
        return tail[: words[self.after - 1].end()] if len(words) > self.after else tail

    def _hidden(self, lead: str) -> list[tuple[int, int]]:
        return [match.span() for match in self.not_cues.finditer(lead)] if self.not_cues else []

    @staticmethod
    def _count(cues: re.Pattern[str], text: str, hidden: list[tuple[int, int]]) -> int:
        return sum(
            1
            for match in cues.finditer(text)
            if not any(low <= match.start() and match.end() <= high for low, high in hidden)
        )


def sentence_of(folded: str, start: int, end: int) -> tuple[int, int]:
    """Return the span of the sentence that holds [start, end), as far as `SENTENCE_REACH` characters round it."""
    first, last = max(0, start - SENTENCE_REACH), min(len(folded), end + SENTENCE_REACH)
    low = max((match.end() for match in _SENTENCE_END.finditer(folded, first, start)), default=first)
    stop = _SENTENCE_END.search(folded, end, last)
    return low, stop.start() if stop else last
