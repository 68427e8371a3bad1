"""Finds what the rules of the policy say in texts: rule, language, span."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from health_pipeline.policy.risk_phrases import COMPETITOR_RULE, Language, RiskPhrasesPolicy
from health_pipeline.text.folding import fold, without_unseen
from health_pipeline.text.negation import NegationScope, sentence_of
from health_pipeline.text.notation import any_of, phrase_pattern
from health_pipeline.text.word_index import WordIndex

# Who says a thing so often says nothing more by it: what is pasted a thousand times costs no more than this.
MOST_OF_A_PHRASE = 20


@dataclass(frozen=True, order=True)
class Finding:
    """A phrase that a text says. `start` and `end` are positions in the text as landed, end exclusive.

    A negated one says that it is not so ("we are not cancelling"): it counts for nothing, and may speak against a risk.
    """

    start: int
    end: int
    rule_id: str
    category: str
    language: str
    is_negated: bool


@dataclass(frozen=True)
class _Phrase:
    rule_id: str
    category: str
    language: Language | None
    needs_negation: bool
    written: str
    unless_written: tuple[str, ...] = ()

    # Compiled where a text holds the words it needs: most runs meet few of the phrases.

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return phrase_pattern(self.written)

    @cached_property
    def unless(self) -> re.Pattern[str] | None:
        return any_of(self.unless_written)


class PhraseFinder:
    """The policy's rules.

    Every language's rules are tried on every text: a customer mixes languages, and short texts can't be told apart.
    What decides on a negation is the language of the rule.
    """

    def __init__(self, policy: RiskPhrasesPolicy) -> None:
        self._scopes = {language: NegationScope.of(negation) for language, negation in policy.negation.items()}
        self._phrases = list(_phrases(policy))
        self._index = WordIndex([phrase.written for phrase in self._phrases])

    def find(self, text: str) -> list[Finding]:
        """Return what a text says, in the order of its spans; of overlapping spans of a category the longest."""
        seen, places = without_unseen(text)
        folded = fold(seen)
        found = [
            finding for number in self._index.candidates(folded) for finding in self._of(self._phrases[number], folded)
        ]
        longest = sorted(_longest(found))
        if places is None:
            return longest
        # an end is where the next character begins: marks on the last letter belong to it
        return [replace(one, start=places[one.start], end=places[one.end]) for one in longest]

    def _of(self, phrase: _Phrase, folded: str) -> Iterator[Finding]:
        scope = self._scopes[phrase.language] if phrase.language else None
        for match in islice(phrase.pattern.finditer(folded), MOST_OF_A_PHRASE):
            start, end = match.span()
            in_gaps = " ".join(gap for gap in match.groups() if gap)
            is_negated = scope is not None and scope.is_negated(folded, start, end, in_gaps)
            if phrase.needs_negation and not is_negated:
                continue
            if phrase.unless is not None and phrase.unless.search(folded, *sentence_of(folded, start, end)):
                continue
            says_contrary = is_negated is not phrase.needs_negation
            yield Finding(start, end, phrase.rule_id, phrase.category, phrase.language or "any", says_contrary)


def _longest(findings: Iterable[Finding]) -> Iterator[Finding]:
    kept: dict[object, list[Finding]] = defaultdict(list)
    # A word that two languages share ("insolvent") is denied where either sees a denial: the other can't read it there.
    # `sorted` is stable: of equal spans the language that the policy names first stays.
    for finding in sorted(findings, key=lambda one: (one.start - one.end, one.start, not one.is_negated)):
        # two rules of a category that read the same words hear one thing said, not two
        of_rule, of_category = kept[finding.rule_id], kept[finding.category, finding.is_negated]
        if not _is_apart(finding, of_rule):
            continue
        of_rule.append(finding)
        if _is_apart(finding, of_category):
            of_category.append(finding)
            yield finding


def _is_apart(finding: Finding, others: Iterable[Finding]) -> bool:
    return all(finding.end <= other.start or other.end <= finding.start for other in others)


def _phrases(policy: RiskPhrasesPolicy) -> Iterator[_Phrase]:
    for rule in policy.rules:
        needs_negation = rule.counts_when == "negated"
        for language, phrases in rule.phrases.items():
            unless = tuple(rule.unless.get(language, ()))
            for written in phrases:
                yield _Phrase(rule.id, rule.category, language, needs_negation, written, unless)
    # a competitor's name counts in any language, whatever is said of it
    for name in policy.competitors:
        yield _Phrase(COMPETITOR_RULE, "competitive", None, False, name)
