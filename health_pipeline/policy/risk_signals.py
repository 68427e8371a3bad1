"""The risk signals: what fires them, on which records, what would speak against them, which playbooks they offer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document
from health_pipeline.policy.features import Operator, feature, nearest
from health_pipeline.policy.playbooks import predictions
from health_pipeline.policy.record_sets import RECORD_SETS
from health_pipeline.policy.risk_phrases import PhraseCategory

Category = PhraseCategory
# Thirteen of risk, and expansion on the other side.
CATEGORIES: tuple[Category, ...] = get_args(Category)
EXPANSION = "expansion"
# What a general lexicon makes of the words: never a sole cause.
TONE = "text_sentiment_91d"
Contribution = Literal["low", "medium", "high", "critical"]
Explanation = Literal["season", "migration", "automation", "late_data"]
Identifier = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class Comparison(PolicyModel):
    """A feature against a threshold; what is unknown never meets it.

    Attributes
    ----------
    feature, comparator, threshold : `days_since_last_two_way_touch >= 60`
    baseline : a feature shown beside it as what the value is compared with
    """

    feature: str
    comparator: Operator
    threshold: float = Field(allow_inf_nan=False)
    baseline: str | None = None

    @field_validator("feature", "baseline")
    @classmethod
    def _is_a_feature(cls, name: str | None) -> str | None:
        if name is not None:
            feature(name)
        return name

    def __str__(self) -> str:
        return f"{self.feature} {self.comparator} {self.threshold:g}"


class Observation(PolicyModel):
    """Comparisons that must all be met, and the sets of landed records that show it.

    Attributes
    ----------
    is_absence : the records are the last ones before a silence; what they show is inferred, and confirms nothing
    is_known_when_stale : an old statement is what it is about, so a stale domain does not silence it
    """

    when: tuple[Comparison, ...] = Field(min_length=1)
    evidence: tuple[str, ...] = Field(min_length=1)
    is_absence: bool = False
    is_known_when_stale: bool = False

    @field_validator("evidence")
    @classmethod
    def _are_record_sets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in RECORD_SETS:
                raise ValueError(f"there is no set of records {name!r}; {nearest(name, RECORD_SETS)}")
        return names

    @property
    def features(self) -> tuple[str, ...]:
        """The features compared, each once."""
        return tuple(dict.fromkeys(comparison.feature for comparison in self.when))


class RiskSignal(Observation):
    """One signal.

    Attributes
    ----------
    id, title : a name, and what was observed in words; never what a customer will do
    category : one of the thirteen, or expansion
    when : comparisons, all of them
    evidence : sets of records that count as evidence; without a record of any of them it does not fire
    contribution : how much it weighs in the severity that is suggested
    benign : explanations that are looked for before anybody is worried
    playbooks : ids of playbooks.yaml, offered to choose from
    path_of : the feature whose path over the weeks says whether it came suddenly or gradually
    opens_alone : decisive in its category: it opens a risk by itself, whatever its contribution
    """

    id: Identifier
    title: str = Field(min_length=10, max_length=120)
    category: Category
    contribution: Contribution
    benign: tuple[Explanation, ...] = ()
    playbooks: tuple[Identifier, ...] = Field(min_length=1)
    path_of: str | None = None
    opens_alone: bool = False

    @model_validator(mode="after")
    def _rests_on_more_than_a_tone(self) -> RiskSignal:
        if set(self.features) == {TONE}:
            raise ValueError(
                f"rests on {TONE} alone, and a general lexicon is a hint in English; compare another feature beside it"
            )
        return self

    @field_validator("title")
    @classmethod
    def _says_what_was_observed(cls, title: str) -> str:
        if found := predictions(title):
            raise ValueError(f"predicts what a customer does ({found[0]!r}); say what was observed instead")
        return title

    @field_validator("path_of")
    @classmethod
    def _path_is_a_feature(cls, name: str | None) -> str | None:
        if name is not None:
            feature(name)
        return name

    @property
    def side(self) -> Literal["risk", "expansion"]:
        """Which of an account's two open cases it belongs to."""
        return "expansion" if self.category == EXPANSION else "risk"


class CounterEvidence(Observation):
    """What speaks against risks of some categories where it is seen."""

    id: Identifier
    against: tuple[Category, ...] = Field(min_length=1)


class BenignExplanation(PolicyModel):
    """A common cause that is no risk: it fits where any of its observations is made."""

    explanation: Explanation
    any_of: tuple[Observation, ...] = Field(min_length=1)


class RiskSignalPolicy(PolicyModel):
    """The whole document. See `documents/risk_signals.yaml` for what each key does; `risk.opening` is its rule."""

    opens_at: Contribution
    opens_together_at: Contribution | None = None
    opens_when_explained: bool = True
    quiet_weeks: int = Field(ge=1, le=52)
    combine_within_days: int = Field(ge=7, le=91)
    renewal_near_days: int = Field(ge=7, le=365)
    path_weeks: int = Field(ge=3, le=26)
    records_per_set: int = Field(ge=1, le=3)
    signals: tuple[RiskSignal, ...] = Field(min_length=1)
    counter_evidence: tuple[CounterEvidence, ...] = ()
    benign_explanations: tuple[BenignExplanation, ...] = ()

    @property
    def observations(self) -> Iterator[Observation]:
        """Everything that is compared with features."""
        yield from self.signals
        yield from self.counter_evidence
        for explanation in self.benign_explanations:
            yield from explanation.any_of

    @model_validator(mode="after")
    def _each_id_once(self) -> RiskSignalPolicy:
        seen: set[str] = set()
        for name in (*(one.id for one in self.signals), *(one.id for one in self.counter_evidence)):
            if name in seen:
                raise ValueError(f"the id {name!r} is taken; give each signal and counter evidence one of its own")
            seen.add(name)
        return self

    @model_validator(mode="after")
    def _two_open_at_a_lower_level_than_one(self) -> RiskSignalPolicy:
        levels = get_args(Contribution)
        if self.opens_together_at is not None and levels.index(self.opens_together_at) > levels.index(self.opens_at):
            raise ValueError(
                f"opens_together_at ({self.opens_together_at}) is above opens_at ({self.opens_at}), where one signal "
                "opens a risk already; set it to that level or a lower one"
            )
        return self

    @model_validator(mode="after")
    def _explanations_are_there(self) -> RiskSignalPolicy:
        there = [explanation.explanation for explanation in self.benign_explanations]
        if len(there) != len(set(there)):
            raise ValueError("benign_explanations says an explanation twice; put its observations into one any_of")
        for signal in self.signals:
            if missing := sorted(set(signal.benign) - set(there)):
                raise ValueError(
                    f"signal {signal.id} looks for {', '.join(missing)}, which benign_explanations does not describe"
                )
        return self

    @model_validator(mode="after")
    def _every_category_has_a_signal(self) -> RiskSignalPolicy:
        if missing := [name for name in CATEGORIES if name not in {signal.category for signal in self.signals}]:
            raise ValueError(f"no signal of the category {', '.join(missing)}; each category needs one at least")
        return self


def load_risk_signals(folder: Path | None) -> Document[RiskSignalPolicy]:
    """Read `risk_signals.yaml`; PolicyError says in one sentence what can't be used."""
    return load_document(folder, "risk_signals", RiskSignalPolicy)
