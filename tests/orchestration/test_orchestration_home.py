"""The state folder's environment: what one run names does not stay for the next in the same process."""

from __future__ import annotations

import os

import pytest

from health_pipeline.orchestration.home import dagster_instance, prepare_home
from health_pipeline.settings import Settings


def test_a_policy_folder_is_named_for_its_own_run_only(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEALTH_HOME", "HEALTH_POLICY", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "before")
    own = tmp_path / "policy"
    prepare_home(Settings(home=tmp_path / "first", policy=own))
    assert os.environ["HEALTH_POLICY"] == str(own)
    prepare_home(Settings(home=tmp_path / "second", policy=None))
    assert "HEALTH_POLICY" not in os.environ
    assert os.environ["HEALTH_HOME"] == str(tmp_path / "second")
    assert Settings().policy is None


def test_a_run_gives_the_environment_back(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEALTH_POLICY", raising=False)
    monkeypatch.setenv("HEALTH_HOME", "before")
    settings = Settings(home=tmp_path / "home", policy=tmp_path / "policy")
    with pytest.raises(RuntimeError, match="a run that fails"), dagster_instance(settings):
        assert os.environ["HEALTH_POLICY"] == str(tmp_path / "policy")
        assert os.environ["HEALTH_HOME"] == str(tmp_path / "home")
        raise RuntimeError("a run that fails")
    assert "HEALTH_POLICY" not in os.environ
    assert os.environ["HEALTH_HOME"] == "before"
