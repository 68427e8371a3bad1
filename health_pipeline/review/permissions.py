"""Who may do what with whose cases: roles x permissions x ownership, as one table of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["csm", "lead", "analyst", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
# own: cases the person owns. team: cases of the team's members, and of nobody in a team. all: every case.
Scope = Literal["own", "team", "all"]
Permission = Literal[
    "view",
    "read_notes",
    "review",
    "assign",
    "propose",
    "approve",
    "approve_higher",
    "record",
    "request_override",
    "approve_override",
    "erase_text",
    "switch_four_eyes",
    "manage_users",
    "verify_ledger",
]
# What is not here is not allowed.
GRANTS: dict[Role, dict[Permission, Scope]] = {
    "csm": {
        "view": "own",
        "read_notes": "own",
        "review": "own",
        "assign": "own",
        "propose": "own",
        "approve": "own",
        "record": "own",
        "request_override": "own",
    },
    "lead": {
        "view": "team",
        "read_notes": "team",
        "review": "team",
        "assign": "team",
        "propose": "team",
        "approve": "team",
        "approve_higher": "team",
        "record": "team",
        "request_override": "team",
        "approve_override": "team",
        "erase_text": "team",
        "switch_four_eyes": "all",
        "verify_ledger": "all",
    },
    # Sees figures and packets, no notes, and decides nothing.
    "analyst": {"view": "all", "verify_ledger": "all"},
    # Looks after people and the ledger, and decides nothing.
    "admin": {"erase_text": "all", "switch_four_eyes": "all", "manage_users": "all", "verify_ledger": "all"},
}
# The pipeline itself: packets come in, time passes. No person can be it: it is no address.
SYSTEM = "the pipeline"


@dataclass(frozen=True)
class Person:
    """Somebody who uses the desk."""

    email: str
    name: str
    role: Role
    team: str | None = None
    is_active: bool = True


def as_role(text: str) -> Role | None:
    """The role of that name; None where there is none."""
    return next((role for role in ROLES if role == text), None)


def scope_of(person: Person | None, permission: str) -> Scope | None:
    """How far a person's permission reaches; None where there is none."""
    if person is None or not person.is_active:
        return None
    return GRANTS[person.role].get(permission)  # type: ignore[call-overload]


def covers(person: Person | None, permission: str, owner_email: str | None, owner_team: str | None) -> bool:
    """Whether a person has the permission for something of that owner.

    Parameters
    ----------
    person : None for somebody the ledger does not know
    owner_email : None: nobody owns it
    owner_team : team of the owner; None where the owner is in none, or unknown

    Notes
    -----
    A lead without a team leads everybody. What is nobody's, or belongs to somebody in no team, is every lead's: else a
    case whose owner never signed in could not be given to anybody. What nobody owns a CSM may assign.
    """
    scope = scope_of(person, permission)
    if scope is None or person is None:
        return False
    if scope == "all":
        return True
    is_own = owner_email is not None and owner_email.lower() == person.email.lower()
    if scope == "own":
        return is_own or (owner_email is None and permission in {"view", "assign"})
    return is_own or owner_team is None or person.team is None or person.team == owner_team
