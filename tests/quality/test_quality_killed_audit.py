"""An audit that dies before its verdict is written, or fails: nothing can be published by it, whoever tries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from audited import Audited

from health_pipeline.observability.crash_points import ENVIRONMENT, EXIT_CODE
from health_pipeline.publication.candidate import Candidate, load_candidate
from health_pipeline.publication.errors import PublicationRefusedError
from health_pipeline.publication.gate import publish
from health_pipeline.publication.in_run import audit_candidate, candidate_of_run, note_candidate, verdict_of
from health_pipeline.publication.releases import clean_scratch, current_release
from health_pipeline.quality import audit as auditing
from health_pipeline.quality.suites import ACROSS_TYPES, Check
from health_pipeline.quality.verdict import CheckResult, DbtRecord, verdict_path
from health_pipeline.settings import Settings

A_CHECK = "account_health_weekly.score_range"
PROGRAM = """
import sys
from pathlib import Path
from health_pipeline.publication.candidate import load_candidate
from health_pipeline.publication.in_run import audit_candidate
from health_pipeline.quality.verdict import DbtRecord
from health_pipeline.settings import Settings
audit_candidate(Settings(), load_candidate(Path(sys.argv[1])), DbtRecord())
"""


@pytest.fixture
def copied(audited_candidate: Audited, tmp_path: Path) -> tuple[Settings, Candidate]:
    """The candidate in a state folder of its own, not audited yet."""
    # <home>/scratch/candidates/<candidate>
    home = audited_candidate.candidate.folder.parents[2]
    settings = Settings(home=tmp_path / "home")
    shutil.copytree(home, settings.home, symlinks=True)
    candidate = load_candidate(settings.home / audited_candidate.candidate.folder.relative_to(home))
    # Another test may have audited the shared candidate before.
    verdict_path(candidate.folder).unlink(missing_ok=True)
    return settings, candidate


def test_a_killed_audit_leaves_no_verdict_and_the_next_one_does(copied: tuple[Settings, Candidate]) -> None:
    settings, candidate = copied
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(candidate.folder)],
        env={**os.environ, ENVIRONMENT: "audit.before_verdict", "HEALTH_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == EXIT_CODE, killed.stderr
    assert verdict_of(candidate) is None
    with pytest.raises(PublicationRefusedError, match="has no verdict; audit it before publishing"):
        publish(settings, candidate, verdict_of(candidate), candidate.run_weeks[-1].as_of_at)
    verdict = audit_candidate(settings, candidate, DbtRecord())
    assert verdict.passed
    assert verdict_of(candidate) == verdict


def test_publishing_alone_after_a_failed_audit_is_refused(
    copied: tuple[Settings, Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the run that failed, by another one, by the function itself; with the verdict as it was written."""
    settings, candidate = copied
    before = current_release(settings)

    def one_fails(_: Path, checks: Sequence[Check], *__: object) -> list[CheckResult]:
        return [
            CheckResult(one.suite, one.name, one.type, one.severity, one.reason, one.full_name != A_CHECK, True)
            for one in checks
            if one.type not in ACROSS_TYPES
        ]

    monkeypatch.setattr(auditing, "evaluate_tables", one_fails)
    note_candidate(settings, "run-1", candidate)
    assert [one.check for one in audit_candidate(settings, candidate, DbtRecord()).critical_failures] == [A_CHECK]
    monkeypatch.undo()

    of_run = candidate_of_run(settings, "run-1")
    assert of_run == candidate
    with pytest.raises(PublicationRefusedError, match="The audit found 1 critical failures"):
        publish(settings, of_run, verdict_of(of_run), candidate.run_weeks[-1].as_of_at)
    with pytest.raises(PublicationRefusedError, match="This run built no candidate, so there is nothing"):
        candidate_of_run(settings, "run-2")
    assert current_release(settings) == before
    # And the next run begins without it.
    assert clean_scratch(settings) == [candidate.id]
    with pytest.raises(PublicationRefusedError, match="This run built no candidate"):
        candidate_of_run(settings, "run-1")
