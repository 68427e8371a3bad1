"""The `ledger` commands: users, verifying, making cases anew, and exit codes that say whether it was done."""

from __future__ import annotations

from pathlib import Path

import pytest
from reviewing import ADMIN, CSM, add_people, packet
from sqlalchemy import text
from typer.testing import CliRunner

from health_pipeline.cli import app
from health_pipeline.review import Ledger, TextRef
from health_pipeline.settings import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HEALTH_HOME", str(tmp_path / "home"))
    return Settings()


def says(*arguments: str, code: int = 0) -> str:
    # What a command prints goes to the terminal it was bound to; its exit code is what scripts read.
    result = CliRunner().invoke(app, ["ledger", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_users_are_added_by_an_admin(home: Settings) -> None:
    says("user", "csm@example.com", "--name", "Cas", "--role", "csm", code=1)
    says("user", "ada@example.com", "--name", "Ada", "--role", "admin")
    says("user", "csm@example.com", "--name", "Cas", "--role", "csm", "--team", "north", "--by", "ada@example.com")
    says("user", "eve@example.com", "--name", "Eve", "--role", "admin", "--by", "csm@example.com", code=1)
    says("user", "eve@example.com", "--name", "Eve", "--role", "queen", "--by", "ada@example.com", code=1)
    with Ledger.open(home) as ledger:
        known = [(person.email, person.role, person.team) for person in ledger.people()]
    assert known == [("ada@example.com", "admin", None), ("csm@example.com", "csm", "north")]


def test_verify_fails_where_somebody_edited(home: Settings) -> None:
    with Ledger.open(home) as ledger:
        add_people(ledger)
        ledger.take_in("r1", [packet()])
        says("verify")
        with ledger.engine.begin() as connection:
            connection.execute(text("update ledger_case set document = replace(document, 'detected', 'approved')"))
        says("verify", code=1)
        says("rebuild")
        says("verify")
        with ledger.engine.begin() as connection:
            connection.execute(text("update ledger_event set actor = 'eve@example.com' where seq = 2"))
        says("verify", code=1)


def test_a_text_is_erased_once_with_who_and_why(home: Settings) -> None:
    with Ledger.open(home) as ledger:
        add_people(ledger)
        ledger.take_in("r1", [packet()])
        said = ledger.set_four_eyes(False, ADMIN, "Kim of the customer asked")
    text_id = said.payload["texts"]["reason"]["text_id"]

    def erase(by: str) -> int:
        arguments = ["erase", text_id, "--by", by, "--reason", "asked to be forgotten"]
        return CliRunner().invoke(app, arguments).exit_code

    assert erase(CSM) == 1, "a customer success manager may not"
    assert (erase(ADMIN), erase(ADMIN)) == (0, 0)
    with Ledger.open(home) as ledger:
        (event,) = ledger.events(types=["text_erased"])
        why = TextRef(**event.payload["texts"]["reason"])
        assert (event.actor, event.payload["text_id"]) == (ADMIN, text_id)
        assert ledger.texts([TextRef(**said.payload["texts"]["reason"]), why]) == {
            text_id: None,
            why.text_id: "asked to be forgotten",
        }
        assert ledger.verify().holds


def test_tokens_are_made_shown_once_and_revoked(home: Settings) -> None:
    def desk(*arguments: str) -> int:
        return CliRunner().invoke(app, ["desk", "token", *arguments]).exit_code

    assert desk("create", "crm-sync", "--by", "ada@example.com") == 1, "nobody may yet"
    says("user", "ada@example.com", "--name", "Ada", "--role", "admin")
    assert desk("create", "crm-sync", "--by", "ada@example.com", "--days", "30") == 0
    with Ledger.open(home) as ledger:
        (made,) = ledger.events(types=["token_created"])
    assert desk("list") == 0
    assert desk("revoke", made.payload["token_id"], "--by", "ada@example.com") == 0
    assert desk("revoke", made.payload["token_id"], "--by", "ada@example.com") == 1, "it was"


def test_intake_needs_a_release(home: Settings) -> None:
    says("intake", code=1)
    says("accept-loss", "r000001", "--by", "ada@example.com", "--reason", "lost", code=1)
    # nothing was landed that is gone
    says("accept-loss", "--by", "ada@example.com", "--reason", "lost", code=1)
