"""Mitigation options of a packet: playbooks with their preconditions. None is pre-selected, whatever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from health_pipeline.mart.account_facts import AccountFacts
from health_pipeline.policy.playbooks import Playbook, PlaybookPolicy, Requirement

Met = Literal["met", "not_met", "to_be_checked"]
# What the records can say of a precondition; anything else a person checks.
_CHECKS: dict[Requirement, tuple[str, Callable[[AccountFacts], bool]]] = {
    "owner": ("The account has an owner.", lambda facts: facts.owner_email is not None),
    "goal": ("A goal of the customer is on record.", lambda facts: bool(facts.goals)),
    "contact": (
        "A contact who is still there is on record.",
        lambda facts: any(p.is_there for p in facts.stakeholders),
    ),
    "sponsor": (
        "A decision maker or economic buyer who is still there is on record.",
        lambda facts: any(p.is_there and p.role in ("decision_maker", "economic_buyer") for p in facts.stakeholders),
    ),
    "contract": (
        "The end of the contract's period is known.",
        lambda facts: any(c.period_ends_on for c in facts.contracts),
    ),
    "value": ("The recurring revenue is known.", lambda facts: facts.value is not None),
}


@dataclass(frozen=True)
class Precondition:
    """What has to hold before a playbook makes sense, and whether the records say so."""

    says: str
    is_met: Met


@dataclass(frozen=True)
class Option:
    """A playbook a person may choose. A save offer or a sensitive message names who must approve it."""

    playbook_id: str
    title: str
    proposal: str
    hours: float
    approval_role: str
    is_save_offer: bool
    is_sensitive_message: bool
    preconditions: tuple[Precondition, ...]


def options_of(offered: Iterable[str], facts: AccountFacts, playbooks: PlaybookPolicy) -> tuple[Option, ...]:
    """The playbooks offered, each once and in that order, with what the records say of their preconditions.

    Raises
    ------
    ValueError
        If a playbook is offered that playbooks.yaml does not have.
    """
    by_id = {playbook.id: playbook for playbook in playbooks.playbooks}
    names = dict.fromkeys(offered)
    if unknown := sorted(names.keys() - by_id.keys()):
        raise ValueError(f"signals offer {', '.join(unknown)}, which playbooks.yaml does not have; add it there.")
    return tuple(_option(by_id[name], facts) for name in names)


def _option(playbook: Playbook, facts: AccountFacts) -> Option:
    checked = []
    for requirement in playbook.requires:
        says, check = _CHECKS[requirement]
        checked.append(Precondition(says, "met" if check(facts) else "not_met"))
    checked += [Precondition(text, "to_be_checked") for text in playbook.preconditions]
    return Option(
        playbook.id,
        playbook.title,
        playbook.proposal,
        playbook.hours,
        playbook.approval_role,
        playbook.is_save_offer,
        playbook.is_sensitive_message,
        tuple(checked),
    )


def touches_customer_or_budget(options: Sequence[Option]) -> bool:
    """Whether an option is a save offer or a sensitive message."""
    return any(option.is_save_offer or option.is_sensitive_message for option in options)
