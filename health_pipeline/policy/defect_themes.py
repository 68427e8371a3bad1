"""Defect themes: which tickets speak of which weakness of the product, by type, feature and phrase rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document

# Holds the tickets that no rule matched; so every ticket is in one theme.
NO_THEME = "no_theme"
TEXT_FIELDS = ("subject", "body")
# Letters, digits and what joins them in a word; a * only ends a word.
_PHRASE = re.compile(r"[^\W_][\w'’.&/+-]*\*?(?: [^\W_][\w'’.&/+-]*\*?)*")


class ThemeRule(PolicyModel):
    """Conditions that must all hold; inside one, any entry does.

    Attributes
    ----------
    types : the ticket's type
    feature_keys : the feature the ticket names
    phrases : whole words in the ticket's text; `*` at the end of a word stands for any ending
    """

    id: str = Field(pattern="^[a-z][a-z0-9_]*$")
    types: tuple[str, ...] = ()
    feature_keys: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()

    @field_validator("types", "feature_keys", "phrases")
    @classmethod
    def _lower_case(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(" ".join(entry.lower().split()) for entry in entries)

    @field_validator("phrases")
    @classmethod
    def _are_words(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        for phrase in phrases:
            if len(phrase.replace("*", "")) < 3 or not _PHRASE.fullmatch(phrase):
                raise ValueError(
                    f"{phrase!r} is no phrase; write whole words of three letters or more, with * only at a word's end"
                )
        return phrases

    @model_validator(mode="after")
    def _has_a_condition(self) -> ThemeRule:
        if not (self.types or self.feature_keys or self.phrases):
            raise ValueError(f"rule {self.id!r} would match every ticket; give it types, feature_keys or phrases")
        return self

    def takes_all_of(self, other: ThemeRule) -> bool:
        """Whether every ticket that matches the other rule matches this one, as far as the entries show."""
        pairs = (
            (self.types, other.types),
            (self.feature_keys, other.feature_keys),
            (self.phrases, other.phrases),
        )
        return all(not mine or (theirs and set(theirs) <= set(mine)) for mine, theirs in pairs)


class Theme(PolicyModel):
    """One theme: what it is called, whether the product fails or lacks something, and its rules."""

    id: str = Field(pattern="^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=3, max_length=60)
    kind: Literal["defect", "product_gap"]
    rules: tuple[ThemeRule, ...] = Field(min_length=1)


class DefectThemePolicy(PolicyModel):
    """All themes in order of precedence: the first rule that matches a ticket takes it.

    Attributes
    ----------
    text_fields : fields of a ticket that phrases are looked up in
    themes : in order
    """

    text_fields: tuple[Literal["subject", "body"], ...] = Field(default=("subject",), min_length=1)
    themes: tuple[Theme, ...] = Field(min_length=1)

    @property
    def rules(self) -> Iterator[tuple[Theme, ThemeRule]]:
        """Every rule with its theme, in order of precedence."""
        return ((theme, rule) for theme in self.themes for rule in theme.rules)

    @model_validator(mode="after")
    def _each_once_and_reachable(self) -> DefectThemePolicy:
        themes, rules = {NO_THEME}, set()
        for theme in self.themes:
            if theme.id in themes:
                raise ValueError(f"theme id {theme.id!r} is taken; give each theme an id of its own")
            themes.add(theme.id)
        earlier: list[ThemeRule] = []
        for _, rule in self.rules:
            if rule.id in rules:
                raise ValueError(f"rule id {rule.id!r} is taken; give each rule an id of its own")
            rules.add(rule.id)
            taken = next((one.id for one in earlier if one.takes_all_of(rule)), None)
            if taken is not None:
                raise ValueError(f"rule {rule.id!r} is never reached: {taken!r} takes every ticket of it; move it up")
            earlier.append(rule)
        return self


def load_defect_themes(folder: Path | None) -> Document[DefectThemePolicy]:
    """Read `defect_themes.yaml`; PolicyError where it can't be used."""
    return load_document(folder, "defect_themes", DefectThemePolicy)
