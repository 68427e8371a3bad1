"""Playbooks: what may be proposed for which accounts, for how many hours, and who has to approve it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from health_pipeline.policy.documents import Document, PolicyModel, load_document

Tier = Literal["at_risk", "watch", "healthy", "expansion_ready", "not_scored"]

# Stands in the plan where a save offer or a sensitive message would fit: the choice is a person's alone.
PERSONS_CHOICE = "persons_choice"
# What the records can say of a playbook's preconditions.
Requirement = Literal["owner", "goal", "contact", "sponsor", "contract", "value"]

# The review recommends and never acts on a customer: a text that orders to contact one is refused on load.
_VERBS = (
    "call|phone|email|e-mail|mail|message|contact|text|ping|write|send|offer|invite|visit|meet|notify|tell|inform|"
    "ask|remind|chase|reach|schedule|book|approach|engage|apologise|apologize|warn|discount|sell|upsell|convince|persuade"
)
_CONTACT_ORDERS = (
    re.compile(rf"(?:^|[.;:!?•-]\s+)(?:please\s+|then\s+|now\s+|first,?\s+|and\s+)?(?:{_VERBS})\b", re.IGNORECASE),
    re.compile(r"\breach(?:ing)?\s+out\b", re.IGNORECASE),
    re.compile(
        r"\b(?:must|should|needs? to|has to|have to|will|is to|are to|and|then)\s+"
        rf"(?:{_VERBS})\s+(?:to\s+|with\s+)?(?:the\s+|this\s+|each\s+|every\s+)?(?:customers?|accounts?|clients?|them)\b",
        re.IGNORECASE,
    ),
)
# Facts are facts; predictions about a named account do not exist.
_PREDICTIONS = re.compile(
    r"\b(?:churn\w*|predict\w*|forecast\w*|probabilit\w+|likelihood|likely|"
    r"(?:will|may|might|could|going to|about to)\s+(?:leave|cancel|defect|not renew|renew|lapse))\b",
    re.IGNORECASE,
)


def contact_orders(text: str) -> list[str]:
    """Return the places of a text that read as an order to contact a customer; empty where there is none."""
    return [match.group(0).strip() for pattern in _CONTACT_ORDERS for match in pattern.finditer(text)]


def predictions(text: str) -> list[str]:
    """Return the words of a text that predict what a customer does; empty where there is none."""
    return [match.group(0) for match in _PREDICTIONS.finditer(text)]


class Playbook(PolicyModel):
    """One playbook; the first of the document whose conditions all hold is the one proposed.

    Attributes
    ----------
    tiers : effective tiers it is for
    segments, lifecycle_stages, tier_reasons : it is only for these; empty means any
    when_low : it is only for accounts whose weakest measure group, weakest measure or its feature is named
    is_for_watermelons : only for accounts that are green outside and weak inside
    requires, preconditions : what has to hold first: what the records can say of it, and what a person checks
    is_save_offer, is_sensitive_message : then it is never pre-selected, and the plan says who must approve it
    hours : a person's hours for one account
    due_days : days after the week's end until when the review task should be decided
    """

    id: str = Field(pattern="^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=3)
    tiers: tuple[Tier, ...] = Field(min_length=1)
    segments: tuple[str, ...] = ()
    lifecycle_stages: tuple[Literal["onboarding", "established"], ...] = ()
    tier_reasons: tuple[str, ...] = ()
    when_low: tuple[str, ...] = ()
    is_for_watermelons: bool = False
    is_save_offer: bool = False
    is_sensitive_message: bool = False
    hours: float = Field(gt=0, le=80)
    due_days: int = Field(ge=1, le=90)
    approval_role: str = Field(pattern="^[a-z][a-z_]*$")
    proposal: str = Field(min_length=20)
    requires: tuple[Requirement, ...] = ()
    preconditions: tuple[str, ...] = ()

    @field_validator("title", "proposal")
    @classmethod
    def _is_a_proposal(cls, text: str) -> str:
        if found := contact_orders(text):
            raise ValueError(f"reads as an order to contact a customer ({found[0]!r}); word it as a proposal to review")
        if found := predictions(text):
            raise ValueError(f"predicts what a customer does ({found[0]!r}); say what was observed instead")
        return text

    @property
    def is_preselected(self) -> bool:
        """Whether the plan may name it: a save offer or a sensitive message is a person's choice."""
        return not (self.is_save_offer or self.is_sensitive_message)

    @property
    def has_conditions(self) -> bool:
        """Whether it is for some accounts of its tiers only."""
        return bool(
            self.segments or self.lifecycle_stages or self.tier_reasons or self.when_low or self.is_for_watermelons
        )


class PlaybookPolicy(PolicyModel):
    """All playbooks in order of precedence, and the tiers that get none."""

    tiers_without_proposal: tuple[Tier, ...] = ("healthy",)
    ownerless_due_days: int = Field(default=7, ge=1, le=90)
    playbooks: tuple[Playbook, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _covers_each_tier_once(self) -> PlaybookPolicy:
        seen: set[str] = {PERSONS_CHOICE}
        covered: set[str] = set()
        for playbook in self.playbooks:
            if playbook.id in seen:
                raise ValueError(f"playbook id {playbook.id!r} is taken; give each playbook an id of its own")
            seen.add(playbook.id)
            if set(playbook.tiers) <= covered:
                raise ValueError(
                    f"playbook {playbook.id!r} is never reached: an earlier one takes every account of "
                    f"{', '.join(playbook.tiers)}; move it up"
                )
            if not playbook.has_conditions:
                covered.update(playbook.tiers)
        expected = {"at_risk", "watch", "healthy", "expansion_ready", "not_scored"}
        if missing := sorted(expected - covered - set(self.tiers_without_proposal)):
            raise ValueError(
                f"no playbook without conditions for {', '.join(missing)}; add one at the end, or name the "
                "tier in tiers_without_proposal"
            )
        if both := sorted(covered & set(self.tiers_without_proposal)):
            raise ValueError(f"{', '.join(both)} has a playbook and is in tiers_without_proposal; choose one")
        return self


def load_playbooks(folder: Path | None) -> Document[PlaybookPolicy]:
    """Read `playbooks.yaml`; PolicyError where it can't be used."""
    return load_document(folder, "playbooks", PlaybookPolicy)
