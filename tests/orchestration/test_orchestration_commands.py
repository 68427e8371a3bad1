"""The commands that others rely on, as they are typed: what they say, what they change, and that 0 means done."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
from failed_checks import FAILED
from rich.console import Console
from typer.testing import CliRunner

from health_pipeline import cli
from health_pipeline.cli import landing, operations, policy, reviews
from health_pipeline.quality.incidents import record_incident
from health_pipeline.settings import Settings

Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Typed]:
    """Types commands with a state folder; gives exit code and what was said."""

    def at(home: Path) -> Typed:
        monkeypatch.setenv("HEALTH_HOME", str(home))

        def run(*arguments: object) -> tuple[int, str]:
            said = io.StringIO()
            for room in (landing, operations, policy, reviews):
                monkeypatch.setattr(room, "out", Console(file=said, width=400))
            result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
            return result.exit_code, said.getvalue() + result.output

        return run

    return at


def test_an_incident_is_listed_assigned_shown_and_closed(typed: Callable[[Path], Typed], tmp_path: Path) -> None:
    settings, run = Settings(home=tmp_path), typed(tmp_path)
    at = datetime(2026, 11, 2, 6, tzinfo=UTC)
    incident = record_incident(
        settings.ledger_url, "publication_refused", date(2026, 10, 26), [FAILED], "data@example.com", at
    )
    name = incident.incident_id

    def state_of(*options: str) -> list[str]:
        code, text = run("incidents", "list", *options)
        assert code == 0
        lines = [line for line in text.splitlines() if name in line]
        return [word for line in lines for word in ("open", "assigned", "closed") if re.search(rf"\b{word}\b", line)]

    assert state_of() == ["open"]
    assert run("incidents", "assign", name, "--to", "nobody", "--by", "ada")[0] == 1
    assert state_of() == ["open"]
    assert run("incidents", "assign", name, "--to", "bo@example.com", "--by", "ada") == (
        0,
        f"{name} is assigned to bo@example.com.\n",
    )
    assert state_of() == ["assigned"]
    code, text = run("incidents", "show", name)
    assert code == 0
    assert "score_range" in text and "a1" in text and "bo@example.com" in text
    assert run("incidents", "close", name, "--by", "bo@example.com")[0] != 0, "without a note nothing is closed"
    assert state_of() == ["assigned"]
    assert run("incidents", "close", name, "--by", "bo@example.com", "--note", "a unit was wrong")[0] == 0
    assert (state_of(), state_of("--all")) == ([], ["closed"])
    assert "a unit was wrong" in run("incidents", "list", "--all")[1]
    assert run("incidents", "close", name, "--by", "bo@example.com", "--note", "again")[0] == 1
    assert run("incidents", "show", "no-such-incident")[0] == 1


def test_the_first_hour_from_a_folder_to_loads(typed: Callable[[Path], Typed], tmp_path: Path) -> None:
    import vendor_exports

    folder, home, mapping = tmp_path / "exports", tmp_path / "home", tmp_path / "mapping.yaml"
    folder.mkdir()
    vendor_exports.hubspot(folder)
    run = typed(home)
    code, told = run("mapping", "init", folder, "--output", mapping)
    assert (code, mapping.is_file()) == (0, True)
    assert "crm_contact" in mapping.read_text()
    assert str(mapping) in told
    drafted = mapping.read_text()
    assert run("mapping", "init", folder, "--output", mapping)[0] == 1, "what is there is never written over"
    assert mapping.read_text() == drafted
    given = ("load", "--mapping", mapping, "--data", folder, "--historical")
    code, loaded = run(*given)
    assert code == 0
    (load_id,) = re.findall(r"committed: (\S+)", loaded)
    code, again = run(*given)
    assert (code, again.split(":")[0].strip()) == (0, "duplicate")
    code, listed = run("loads", "list")
    (line,) = (line for line in listed.splitlines() if "hubspot" in line)
    assert re.search(rf"{load_id}.*crm.*hubspot.*historical.*18.*committed", line)
    assert run("loads", "accept", "no-such-load", "--by", "ada@example.com")[0] == 1
    assert run("loads", "reject", "no-such-load", "--by", "ada@example.com", "--reason", "x")[0] == 1


def test_what_is_published_is_explained_compared_and_listed(
    typed: Callable[[Path], Typed], published_home: Path
) -> None:
    run = typed(published_home)
    mart = published_home / "published" / "current" / "customer_health.duckdb"
    with duckdb.connect(str(mart), read_only=True) as con:
        account, score = con.execute(
            "select account_id, score from account_health_current where score is not null order by account_id"
        ).fetchone()
    code, text = run("explain", account)
    assert code == 0
    assert account in text and f"score {score:.2f} of 100" in text
    code, text = run("explain", account, "--json")
    assert (code, json.loads(text)["score"]) == (0, score)
    assert run("explain", "no such account")[0] == 1
    assert run("explain", account, "--week", "2020-01-06")[0] == 1
    code, text = run("releases")
    assert code == 0
    assert Path(published_home / "published" / "current").resolve().name in text
    assert run("rollback", "no-such-release", "--by", "ada@example.com", "--reason", "x")[0] == 1
