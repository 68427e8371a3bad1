"""The health score's policy: groups, measures and their curves, scorecards, tiers, rules of the tier path."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from health_pipeline.policy.company import Domain
from health_pipeline.policy.documents import Document, PolicyModel, load_document
from health_pipeline.policy.features import Condition, feature, nearest

BandTier = Literal["at_risk", "watch", "healthy"]
LifecycleStage = Literal["onboarding", "established"]
Direction = Literal["higher_is_better", "lower_is_better"]
WatermelonReason = Literal["falling_trend", "single_threaded", "missed_goal", "csm_disagrees"]

# From bad to good. expansion_ready is healthy with conditions, so it has no band of its own.
BAND_TIERS: tuple[BandTier, ...] = ("at_risk", "watch", "healthy")
LIFECYCLE_STAGES: tuple[LifecycleStage, ...] = ("onboarding", "established")

RawValue = Annotated[float, Field(allow_inf_nan=False)]
Points = Annotated[float, Field(ge=0, le=100)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ValueBand(PolicyModel):
    """Whole numbers `from`..`to`, both included (null: open end), that are worth `value` points."""

    from_: int | None = Field(default=None, alias="from")
    to: int | None = None
    value: Points

    def __str__(self) -> str:
        return f"{'' if self.from_ is None else self.from_}-{'' if self.to is None else self.to}"


class NullMeaning(PolicyModel):
    """What a null of the feature says where its domain is measured."""

    means: str = Field(min_length=3)
    # Points it is worth; without them the measure does not apply to that account: coverage is not lowered.
    curve_value: Points | None = None


class Measure(PolicyModel):
    """A feature judged by a curve: points (linear between them, flat outside) or bands of whole numbers."""

    feature: str
    group: str
    domain: Domain
    direction: Direction
    weight: Weight
    curve: tuple[tuple[RawValue, Points], ...] = ()
    bands: tuple[ValueBand, ...] = ()
    # The scorecards it counts on; or those it does not count on. Neither: all of them.
    scorecards: tuple[str, ...] = ()
    not_on_scorecards: tuple[str, ...] = ()
    optional_when_null: NullMeaning | None = None

    @model_validator(mode="after")
    def _feature_is_known(self) -> Measure:
        domain = feature(self.feature).domain
        if self.domain != domain:
            raise ValueError(f"{self.feature} belongs to the domain {domain}, write domain: {domain}")
        if bool(self.curve) == bool(self.bands):
            raise ValueError("write either curve (points) or bands (whole numbers), and not both")
        if self.scorecards and self.not_on_scorecards:
            raise ValueError("write either scorecards or not_on_scorecards, and not both")
        return self

    def counts_on(self, scorecard: str) -> bool:
        """Whether the measure is on that scorecard."""
        return scorecard in self.scorecards if self.scorecards else scorecard not in self.not_on_scorecards

    @model_validator(mode="after")
    def _curve_is_monotone(self) -> Measure:
        if not self.curve:
            return self
        if len(self.curve) < 2:
            raise ValueError("curve needs at least two points [raw value, points]")
        for (raw, value), (next_raw, next_value) in pairwise(self.curve):
            if next_raw == raw:
                raise ValueError(
                    f"curve gives the raw value {raw:g} both {value:g} and {next_value:g} points; keep one of them"
                )
            if next_raw < raw:
                raise ValueError(f"curve is not ordered: {next_raw:g} follows {raw:g}; order by raw value")
        _check_direction([value for _, value in self.curve], self.direction, "curve")
        return self

    @model_validator(mode="after")
    def _bands_are_disjoint_and_exhaustive(self) -> Measure:
        if not self.bands:
            return self
        if feature(self.feature).type not in ("integer", "boolean"):
            raise ValueError(f"bands are for whole numbers and {self.feature} is not one; write a curve")
        if self.bands[0].from_ is not None or self.bands[-1].to is not None:
            raise ValueError("the first band has no from and the last no to, so that every number has a band")
        for band, following in pairwise(self.bands):
            if band.to is None or following.from_ is None:
                raise ValueError(f"the bands {band} and {following} overlap; give each an end and a start")
            if following.from_ <= band.to:
                verdict = "" if following.value == band.value else f", worth {band.value:g} and {following.value:g}"
                raise ValueError(
                    f"the bands {band} and {following} both hold {following.from_}{verdict}; bands must be disjoint"
                )
            if following.from_ != band.to + 1:
                raise ValueError(f"no band holds {band.to + 1}, between {band} and {following}; close the gap")
        _check_direction([band.value for band in self.bands], self.direction, "bands")
        return self


def _check_direction(values: list[float], direction: Direction, what: str) -> None:
    steps = [after - before for before, after in pairwise(values)]
    rising, falling = any(step > 0 for step in steps), any(step < 0 for step in steps)
    if not rising and not falling:
        raise ValueError(f"{what} is flat, so the measure says nothing; give different points or remove it")
    if direction == "higher_is_better" and falling:
        raise ValueError(f"{what} falls although the direction is higher_is_better; its points must never fall")
    if direction == "lower_is_better" and rising:
        raise ValueError(f"{what} rises although the direction is lower_is_better; its points must never rise")


class ScorecardWhen(PolicyModel):
    """Whom a scorecard judges: accounts of one of the stages and of one of the segments; none named means every one.

    A segment is a name, or a pattern of one: `*` stands for any text (`*low revenue*`), because the names of segments
    are made anew with each model.
    """

    lifecycle_stages: tuple[LifecycleStage, ...] = LIFECYCLE_STAGES
    segments: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_somebody(self) -> ScorecardWhen:
        if not self.lifecycle_stages:
            raise ValueError("lifecycle_stages is empty, so nobody is judged; name a stage or leave the key out")
        if any(not name.strip() for name in self.segments):
            raise ValueError("segments holds an empty name; name a segment, or leave the key out for every segment")
        return self

    def fits_segment(self, segment: str) -> bool:
        """Whether accounts of that segment are meant."""
        return not self.segments or any(fnmatchcase(segment, pattern) for pattern in self.segments)


class Scorecard(PolicyModel):
    """Whom it judges (`when`), and the groups that weigh differently there (0 leaves a group out)."""

    when: ScorecardWhen = ScorecardWhen()
    group_weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)


def _check_precedence(scorecards: dict[str, Scorecard]) -> None:
    """Everybody is judged, and every scorecard judges somebody: the first that fits is taken."""
    judged: dict[LifecycleStage, set[str]] = {stage: set() for stage in LIFECYCLE_STAGES}
    taken_by: dict[LifecycleStage, str] = {}
    for name, card in scorecards.items():
        before = {taken_by[stage] for stage in card.when.lifecycle_stages if stage in taken_by}
        open_stages = [stage for stage in card.when.lifecycle_stages if stage not in taken_by]
        if not open_stages:
            raise ValueError(
                f"the scorecard {name} judges nobody: {' and '.join(sorted(before))} before it takes every segment; "
                "the first that fits is taken, so put the narrower one first"
            )
        named = set(card.when.segments)
        if named and all(named <= judged[stage] for stage in open_stages):
            raise ValueError(
                f"the scorecard {name} judges nobody: scorecards before it take {', '.join(sorted(named))}; remove it, "
                "or name other segments"
            )
        for stage in open_stages:
            judged[stage] |= named
            if not named:
                taken_by[stage] = name
    for stage in LIFECYCLE_STAGES:
        if stage not in taken_by:
            raise ValueError(f"no scorecard judges {stage} accounts of every segment; add one without segments, last")


class TierBand(PolicyModel):
    """Scores from `from` up to but without `below`; the last band says `through` and holds its end."""

    tier: BandTier
    from_: Points = Field(alias="from")
    below: Points | None = None
    through: Points | None = None

    @property
    def end(self) -> float:
        """Where the band ends."""
        return self.through if self.through is not None else (self.below or 0.0)

    def __str__(self) -> str:
        return f"{self.tier} {self.from_:g}-{self.end:g}"


class OutcomeCap(PolicyModel):
    """An account whose outcomes are worth less than `below` points is `tier` at best, however active."""

    group: str
    below: Points
    tier: Literal["at_risk", "watch"] = "watch"


class ExpansionReady(PolicyModel):
    """When a healthy account is ready to grow."""

    healthy_weeks: int = Field(ge=1)
    all_of: tuple[Condition, ...] = Field(min_length=1)


class Watermelon(PolicyModel):
    """When a healthy account is put in the queue of those that are weak inside.

    Low coverage and stale inputs are a reason where they could decide: where the account would not be healthy if
    what is not known were worth `unknown_worth` points. Without `unknown_worth` they always are. An item of
    `any_of` is a condition, or a list of conditions that must hold together.
    """

    coverage_below: float = Field(ge=0, le=1)
    stale_weight_share: float = Field(gt=0, le=1)
    unknown_worth: Points | None = None
    any_of: dict[WatermelonReason, tuple[tuple[Condition, ...], ...]]

    @field_validator("any_of", mode="before")
    @classmethod
    def _a_condition_is_a_list_of_one(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {
            reason: [item if isinstance(item, list | tuple) else [item] for item in items]
            if isinstance(items, list | tuple)
            else items
            for reason, items in given.items()
        }

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of every reason."""
        return tuple(condition for items in self.any_of.values() for item in items for condition in item)


class HealthScorePolicy(PolicyModel):
    """The whole document. See `documents/health_score.yaml` for what each key does."""

    groups: dict[str, Weight] = Field(min_length=1)
    measures: dict[str, Measure] = Field(min_length=1)
    scorecards: dict[str, Scorecard] = Field(min_length=1)
    default_lifecycle_stage: LifecycleStage = "established"
    coverage_floor: float = Field(ge=0, le=1)
    tiers: tuple[TierBand, ...]
    margin: float = Field(ge=0, le=100)
    hysteresis_weeks: Literal[1, 2]
    decisive: tuple[Condition, ...] = ()
    outcome_cap: OutcomeCap
    expansion_ready: ExpansionReady
    watermelon: Watermelon

    @model_validator(mode="after")
    def _tiers_are_disjoint_and_exhaustive(self) -> HealthScorePolicy:
        if [band.tier for band in self.tiers] != list(BAND_TIERS):
            raise ValueError(f"tiers must be {', '.join(BAND_TIERS)}, each once, in this order")
        if self.tiers[0].from_ != 0 or self.tiers[-1].through != 100:
            raise ValueError("tiers must begin with from: 0 and end with through: 100")
        for band, following in pairwise(self.tiers):
            if band.below is None or band.through is not None:
                raise ValueError(f"the tier {band.tier} must say below: (only the last one says through:)")
            if following.from_ < band.below:
                raise ValueError(
                    f"the tiers {band} and {following} overlap; let {following.tier} start at {band.below:g}"
                )
            if following.from_ > band.below:
                raise ValueError(f"the tiers {band} and {following} leave a gap; let them meet")
        for band in self.tiers:
            if band.end <= band.from_:
                raise ValueError(f"the tier {band} ends before it begins; let it end higher")
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> HealthScorePolicy:
        places = {f"measures.{name}.group": m.group for name, m in self.measures.items()}
        places["outcome_cap.group"] = self.outcome_cap.group
        for name, card in self.scorecards.items():
            places |= {f"scorecards.{name}.group_weights.{group}": group for group in card.group_weights}
        for condition in (*self.expansion_ready.all_of, *self.decisive, *self.watermelon.conditions):
            if condition.group is not None:
                places[f"condition {condition}"] = condition.group
        for place, group in places.items():
            if group not in self.groups:
                raise ValueError(
                    f"{place} names the group {group!r}, which groups does not have; {nearest(group, self.groups)}"
                )
        for name, measure in self.measures.items():
            for scorecard in (*measure.scorecards, *measure.not_on_scorecards):
                if scorecard not in self.scorecards:
                    raise ValueError(
                        f"measures.{name} names the scorecard {scorecard!r}, which scorecards does not have; "
                        f"{nearest(scorecard, self.scorecards)}"
                    )
        if any(condition.feature is None for condition in self.decisive):
            raise ValueError("a decisive condition names a feature, so that a fact decides and not a weighted value")
        return self

    @model_validator(mode="after")
    def _one_condition_is_not_green_and_yellow(self) -> HealthScorePolicy:
        seen: dict[str, tuple[str, Direction]] = {}
        for name, measure in self.measures.items():
            other, direction = seen.setdefault(measure.feature, (name, measure.direction))
            if direction != measure.direction:
                raise ValueError(
                    f"the measures {other} and {name} read {measure.feature} in opposite directions, so the "
                    "same condition is green in one and yellow in the other; declare one direction"
                )
        return self

    @model_validator(mode="after")
    def _scorecards_judge_everybody(self) -> HealthScorePolicy:
        _check_precedence(self.scorecards)
        for name in self.scorecards:
            weights = self.group_weights(name)
            outcome = self.outcome_cap.group
            if outcome not in weights:
                raise ValueError(f"the scorecard {name} has no measure of the group {outcome}; outcomes come first")
            heavier = [group for group, weight in weights.items() if group != outcome and weight >= weights[outcome]]
            if heavier:
                raise ValueError(
                    f"on the scorecard {name} the group {heavier[0]} weighs {weights[heavier[0]]:g} and "
                    f"{outcome} {weights[outcome]:g}; {outcome} must carry the most weight"
                )
        return self

    def scorecard_of(self, lifecycle_stage: str | None, segment: str) -> str:
        """The scorecard that judges: the first in the document's order whose `when` fits."""
        stage = lifecycle_stage or self.default_lifecycle_stage
        return next(
            name
            for name, card in self.scorecards.items()
            if stage in card.when.lifecycle_stages and card.when.fits_segment(segment)
        )

    def scorecard_measures(self, scorecard: str) -> dict[str, Measure]:
        """The measures that count on a scorecard, in the document's order, without groups of weight 0."""
        left_out = {group for group, weight in self.scorecards[scorecard].group_weights.items() if weight == 0}
        return {
            name: measure
            for name, measure in self.measures.items()
            if measure.counts_on(scorecard) and measure.group not in left_out
        }

    def group_weights(self, scorecard: str) -> dict[str, float]:
        """The weight of each group that has a measure on the scorecard, as written (not normalised)."""
        own = self.scorecards[scorecard].group_weights
        present = {measure.group for measure in self.scorecard_measures(scorecard).values()}
        return {group: own.get(group, weight) for group, weight in self.groups.items() if group in present}

    def tier_of(self, score: float) -> BandTier:
        """The tier whose band holds the score."""
        return next((band.tier for band in reversed(self.tiers) if score >= band.from_), self.tiers[0].tier)


def load_health_score(folder: Path | None) -> Document[HealthScorePolicy]:
    """Read `health_score.yaml`; PolicyError says in one sentence what can't be used."""
    return load_document(folder, "health_score", HealthScorePolicy)
