"""The checks of what is published, as Dagster runs them: each finds its fault, and passes without it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from mart_builder import FIRST_WEEK

from health_pipeline.publication.checks import build_checks
from health_pipeline.publication.releases import current_release
from health_pipeline.settings import Settings

NEWEST = FIRST_WEEK.shift(2)


class Standing:
    """A clock that stands."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at


def told(settings: Settings, now: datetime) -> dict[str, dg.AssetCheckEvaluation]:
    """What each check says of the release, without a run of the release."""
    checks = build_checks()
    resources = {"settings": settings, "clock": Standing(now)}
    definitions = dg.Definitions(
        assets=[dg.AssetSpec("release")],
        asset_checks=checks,
        jobs=[dg.define_asset_job("look", selection=dg.AssetSelection.checks(*checks))],
        resources={name: dg.ResourceDefinition.hardcoded_resource(value) for name, value in resources.items()},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("look").execute_in_process(instance=instance)
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_a_week_that_is_not_there_is_told_by_the_clock_and_not_by_the_last_run(published: Settings) -> None:
    """At the very moment at which the next week could be reviewed."""
    due = NEWEST.shift(1).known_at(6)
    before, after = (told(published, now)["newest_week_is_published"] for now in (due - timedelta(seconds=1), due))
    assert (before.passed, before.metadata["weeks behind"].value) == (True, 0)
    assert (after.passed, after.severity, after.metadata["weeks behind"].value) == (
        False,
        dg.AssetCheckSeverity.WARN,
        1,
    )
    assert after.description == "Newest week published: 2026-10-19; newest week that has ended: 2026-10-26."
    assert told(published, due + timedelta(weeks=2))["newest_week_is_published"].metadata["weeks behind"].value == 3


def test_nothing_published_is_told(settings: Settings) -> None:
    found = told(settings, NEWEST.known_at(6))
    assert {name: one.passed for name, one in found.items()} == {
        "newest_week_is_published": False,
        "current_release_is_whole": False,
    }
    assert found["current_release_is_whole"].description == "nothing is published yet"


@pytest.mark.parametrize("damage", ["a byte", "a file more", "a file less"])
def test_a_damaged_release_is_an_error(published: Settings, damage: str) -> None:
    release = current_release(published)
    assert release is not None
    whole = told(published, NEWEST.known_at(6))["current_release_is_whole"]
    assert (whole.passed, whole.description) == (True, f"{release.name} is whole.")
    part = Path(f"parquet/account_health_weekly/{NEWEST}.parquet")
    if damage == "a byte":
        (release.folder / part).chmod(0o644)
        (release.folder / part).write_bytes((release.folder / part).read_bytes()[:-1] + b"x")
        told_of = f"{part} was changed: its checksum differs"
    elif damage == "a file more":
        (release.folder / "notes.txt").write_text("x")
        told_of = "notes.txt does not belong there"
    else:
        (release.folder / part).unlink()
        told_of = f"{part} is missing"
    found = told(published, NEWEST.known_at(6))["current_release_is_whole"]
    assert (found.passed, found.severity, found.description) == (False, dg.AssetCheckSeverity.ERROR, told_of)
