"""Personas as claims about accounts, each with the sentence of the persona's document that it comes from."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatch
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document
from health_pipeline.policy.features import Operator, feature


class PersonaClaim(PolicyModel):
    """A feature against a number, and the number of the sentence that says so (1 is the first)."""

    feature: str
    operator: Operator
    value: float = Field(allow_inf_nan=False)
    sentence: int = Field(ge=1)

    @field_validator("feature")
    @classmethod
    def _is_a_feature(cls, name: str) -> str:
        feature(name)
        return name


class Persona(PolicyModel):
    """One persona: which segment it stands for, its text sentence by sentence, and what of it can be held against data.

    Attributes
    ----------
    segment : str
        Name of the segment, or a pattern such as `high usage*`: names may be made anew with each model.
    written_on : date
        When the text was last looked at by a person.
    """

    title: str = Field(min_length=1)
    segment: str = Field(min_length=1)
    owner_email: str = Field(min_length=3)
    written_on: date
    sentences: tuple[str, ...] = Field(min_length=1)
    claims: tuple[PersonaClaim, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sentences_are_there(self) -> Persona:
        for claim in self.claims:
            if claim.sentence > len(self.sentences):
                raise ValueError(
                    f"a claim on {claim.feature} names sentence {claim.sentence}; there are {len(self.sentences)}"
                )
        return self

    def segment_of(self, names: tuple[str, ...]) -> str | None:
        """The segment it stands for: the one of that name, else the first that fits the pattern; None: nobody."""
        if self.segment in names:
            return self.segment
        return next((name for name in names if fnmatch(name, self.segment)), None)


class PersonaPolicy(PolicyModel):
    """All personas, how large a share of a segment a claim must hold for, and from when on a text is stale."""

    claim_holds_from: float = Field(default=0.6, gt=0, lt=1)
    least_known_accounts: int = Field(default=30, ge=5)
    stale_after_days: int = Field(default=365, ge=30)
    personas: dict[str, Persona]


def load_personas(folder: Path | None) -> Document[PersonaPolicy]:
    """Read `personas.yaml`; PolicyError says in one sentence what can't be used."""
    return load_document(folder, "personas", PersonaPolicy)
