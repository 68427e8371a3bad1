"""The users a demo begins with: owners of accounts, a lead, an analyst, an admin. Only into an empty ledger."""

from __future__ import annotations

from health_pipeline.mart.published import read_published
from health_pipeline.review.ledger import Ledger
from health_pipeline.review.permissions import Person
from health_pipeline.settings import Settings

TEAM = "everybody"
DOMAIN = "demo.example"


def add_demo_people(ledger: Ledger, settings: Settings) -> int:
    """Add them, on the record, where there is no user yet; how many were added."""
    if ledger.people():
        return 0
    accounts = read_published(settings, "accounts")
    owners = sorted({str(email).lower() for email in accounts.column("owner_email").to_pylist() if email})
    admin = Person(f"admin@{DOMAIN}", "Demo admin", "admin")
    people = [
        admin,
        Person(f"lead@{DOMAIN}", "Demo lead", "lead", TEAM),
        Person(f"analyst@{DOMAIN}", "Demo analyst", "analyst"),
        *(Person(email, _name(email), "csm", TEAM) for email in owners),
    ]
    for person in people:
        ledger.set_person(person, admin.email)
    return len(people)


def _name(email: str) -> str:
    return email.partition("@")[0].replace(".", " ").replace("_", " ").title()
