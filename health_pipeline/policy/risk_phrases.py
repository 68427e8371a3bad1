"""Risk phrases: what in a customer's text hints at a risk, per language, and what turns a phrase round."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document

Language = Literal["en", "de", "fr", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "de", "fr", "es")
PhraseCategory = Literal[
    "onboarding",
    "adoption",
    "value_outcome",
    "support",
    "product_quality",
    "sentiment",
    "engagement_silence",
    "sponsor_stakeholder",
    "commercial_payment",
    "competitive",
    "corporate_change",
    "delivery",
    "renewal_posture",
    "expansion",
]


# What stands for words in between, and how many at most.
GAP_WORDS = {"...": 3, "..": 1}


class PhraseRule(PolicyModel):
    """One thing a text may say.

    Attributes
    ----------
    counts_when : `affirmed`, a negation takes the phrase away; `negated`, it needs one ("we will not renew")
    phrases : per language, words in their order; `*` ends a stem, `a|b` are alternatives, `a_b` are two words that
        count as one alternative, `...` is up to three words, `..` one at most
    unless : per language, phrases that make it harmless where they stand in the same sentence
    """

    id: str = Field(pattern="^[a-z][a-z0-9_]*$")
    category: PhraseCategory
    counts_when: Literal["affirmed", "negated"]
    phrases: dict[Language, tuple[str, ...]] = Field(min_length=1)
    unless: dict[Language, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("phrases", "unless")
    @classmethod
    def _is_notation(cls, value: dict[Language, tuple[str, ...]]) -> dict[Language, tuple[str, ...]]:
        for language, phrases in value.items():
            for phrase in phrases:
                if problem := notation_problem(phrase):
                    raise ValueError(f"the {language} phrase {phrase!r} {problem}")
        return value


def notation_problem(phrase: str) -> str | None:
    """Say what is wrong with a phrase in this document's notation; None where nothing is."""
    words = phrase.split()
    if not words or words[0] in GAP_WORDS or words[-1] in GAP_WORDS:
        return "must begin and end with a word, not with '...' or '..'"
    if any(first in GAP_WORDS and second in GAP_WORDS for first, second in pairwise(words)):
        return "has two gaps in a row; '...' is up to three words, '..' one at most"
    for word in words:
        for choice in word.split("|") if word not in GAP_WORDS else ():
            if not any(character.isalnum() for character in choice):
                return f"has the alternative {choice!r} without a letter or digit; write a word there"
            if "*" in choice.rstrip("*") or choice.endswith("**"):
                return f"has a '*' inside {choice!r}; it ends a stem and stands once, at its end"
    return None


class Negation(PolicyModel):
    """How one language negates.

    Attributes
    ----------
    cues : reach `before` words ahead of a phrase that follows them
    after_cues : reach `after` words back to a phrase that stands before them
    not_cues : look like a cue and are none ("not only")
    breaks : end a clause, and with it the reach of a cue
    tail_breaks : end a clause only for what stands before them: the cue in them denies what follows ("y no")
    bridges : words after which a comma ends no clause, as what they announce follows it ("kein Grund, zu wechseln")
    is_concord : several cues are one negation ("no hay ninguna"); where they are not, two cancel out
    """

    cues: tuple[str, ...] = Field(min_length=1)
    after_cues: tuple[str, ...] = ()
    not_cues: tuple[str, ...] = ()
    before: int = Field(ge=1, le=12)
    after: int = Field(ge=0, le=12)
    breaks: tuple[str, ...] = ()
    tail_breaks: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    is_concord: bool = False

    @field_validator("cues", "after_cues", "not_cues", "breaks", "tail_breaks", "bridges")
    @classmethod
    def _is_notation(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        for phrase in phrases:
            if problem := notation_problem(phrase):
                raise ValueError(f"the phrase {phrase!r} {problem}")
        return phrases


class RiskPhrasesPolicy(PolicyModel):
    """The whole document."""

    rules: tuple[PhraseRule, ...] = Field(min_length=1)
    negation: dict[Language, Negation]
    competitors: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> RiskPhrasesPolicy:
        for name in self.competitors:
            if problem := notation_problem(name):
                raise ValueError(f"the competitor {name!r} {problem}")
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen or rule.id == COMPETITOR_RULE:
                raise ValueError(f"the rule id {rule.id!r} is taken; give each rule an id of its own")
            seen.add(rule.id)
            for language in rule.phrases:
                if language not in self.negation:
                    raise ValueError(f"rule {rule.id!r} has {language} phrases, but negation.{language} is missing")
        return self


# The rule that the policy's `competitors` make; it is not an entry of its own.
COMPETITOR_RULE = "competitor_named"


def load_risk_phrases(folder: Path | None) -> Document[RiskPhrasesPolicy]:
    """Read `risk_phrases.yaml` of the policy folder, or the built-in one.

    Raises
    ------
    PolicyError
        In one sentence: the file, the place in it, what it must be.
    """
    return load_document(folder, "risk_phrases", RiskPhrasesPolicy)
