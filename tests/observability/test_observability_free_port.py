"""A port that is taken is said before anything is started: which, and what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from health_pipeline.cli import app
from health_pipeline.observability.free_port import PortInUseError, require_free_port


@pytest.fixture
def taken():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_in_use_is_named_with_the_option_that_chooses_another(taken: int) -> None:
    with pytest.raises(PortInUseError, match=rf"Port {taken} on 127.0.0.1 can't be listened on .*`--desk-port`"):
        require_free_port("127.0.0.1", taken, "--desk-port")


def test_a_free_port_is_free_and_stays_so(taken: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    for _ in range(2):
        require_free_port("127.0.0.1", free, "--port")


def test_nothing_is_started_where_a_port_is_taken(taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("something was started"))
    for command in (["dev", "--port", str(taken)], ["dev", "--desk-port", str(taken), "--port", "0"]):
        assert CliRunner().invoke(app, command).exit_code == 1
    assert CliRunner().invoke(app, ["desk", "--demo-sign-in", "--port", str(taken)]).exit_code == 1
