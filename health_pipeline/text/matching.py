"""Finds what the rules of the policy say in texts: rule, language, span."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from health_pipeline.policy.risk_phrases import COMPETITOR_RULE, Language, RiskPhrasesPolicy
from health_pipeline.text.folding import fold
from health_pipeline.text.negation import NegationScope, sentence_of
from health_pipeline.text.notation import any_of, index_words, phrase_pattern, words_of


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
    language: Language
    needs_negation: bool
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None


class PhraseFinder:
    """The policy's rules, compiled once.

    Every language's rules are tried on every text: a customer mixes languages, and short texts can't be told apart.
    What decides on a negation is the language of the rule.
    """

    def __init__(self, policy: RiskPhrasesPolicy) -> None:
        self._scopes = {language: NegationScope.of(negation) for language, negation in policy.negation.items()}
        self._competitors = any_of(policy.competitors)
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._by_beginning: dict[str, list[int]] = defaultdict(list)
        self._phrases: list[_Phrase] = []
        for written, phrase in _phrases(policy):
            for words, index in zip(index_words(written), (self._by_word, self._by_beginning), strict=True):
                for word in words:
                    index[word].append(len(self._phrases))
            self._phrases.append(phrase)
        self._beginning_lengths = sorted({len(beginning) for beginning in self._by_beginning})

    def find(self, text: str) -> list[Finding]:
        """Return what a text says, in the order of its spans; of overlapping spans of one rule the longest."""
        folded = fold(text)
        found = [
            finding
            for number in sorted(self._candidates(folded))
            for finding in self._of(self._phrases[number], folded)
        ]
        if self._competitors is not None:
            found.extend(
                Finding(*match.span(), COMPETITOR_RULE, "competitive", "any", False)
                for match in self._competitors.finditer(folded)
            )
        return sorted(_longest(found))

    def _candidates(self, folded: str) -> set[int]:
        candidates: set[int] = set()
        for word in words_of(folded):
            candidates.update(self._by_word.get(word, ()))
            for length in self._beginning_lengths:
                if length > len(word):
                    break
                candidates.update(self._by_beginning.get(word[:length], ()))
        return candidates

    def _of(self, phrase: _Phrase, folded: str) -> Iterator[Finding]:
        scope = self._scopes[phrase.language]
        for match in phrase.pattern.finditer(folded):
            start, end = match.span()
            in_gaps = " ".join(gap for gap in match.groups() if gap)
            is_negated = scope.is_negated(folded, start, end, in_gaps)
            if phrase.needs_negation and not is_negated:
                continue
            if phrase.unless is not None and phrase.unless.search(folded, *sentence_of(folded, start, end)):
                continue
            yield Finding(
                start, end, phrase.rule_id, phrase.category, phrase.language, is_negated is not phrase.needs_negation
            )


def _longest(findings: Iterable[Finding]) -> Iterator[Finding]:
    kept: dict[str, list[Finding]] = defaultdict(list)
    # `sorted` is stable: of equal spans the language that the policy names first stays.
    for finding in sorted(findings, key=lambda finding: (finding.start - finding.end, finding.start)):
        of_rule = kept[finding.rule_id]
        if all(finding.end <= other.start or other.end <= finding.start for other in of_rule):
            of_rule.append(finding)
            yield finding


def _phrases(policy: RiskPhrasesPolicy) -> Iterator[tuple[str, _Phrase]]:
    for rule in policy.rules:
        for language, phrases in rule.phrases.items():
            unless = any_of(rule.unless.get(language, ()))
            for written in phrases:
                pattern = phrase_pattern(written)
                needs_negation = rule.counts_when == "negated"
                yield written, _Phrase(rule.id, rule.category, language, needs_negation, pattern, unless)
