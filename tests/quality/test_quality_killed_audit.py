"""An audit that dies before its verdict is written: nothing can be published by it, and another audit can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from audited import Audited

from health_pipeline.observability.crash_points import ENVIRONMENT, EXIT_CODE
from health_pipeline.publication.candidate import load_candidate
from health_pipeline.publication.errors import PublicationRefusedError
from health_pipeline.publication.gate import publish
from health_pipeline.publication.in_run import audit_candidate, verdict_of
from health_pipeline.quality.verdict import DbtRecord, verdict_path
from health_pipeline.settings import Settings

PROGRAM = """
import sys
from pathlib import Path
from health_pipeline.publication.candidate import load_candidate
from health_pipeline.publication.in_run import audit_candidate
from health_pipeline.quality.verdict import DbtRecord
from health_pipeline.settings import Settings
audit_candidate(Settings(), load_candidate(Path(sys.argv[1])), DbtRecord())
"""


def test_a_killed_audit_leaves_no_verdict_and_the_next_one_does(audited_candidate: Audited, tmp_path: Path) -> None:
    # <home>/scratch/candidates/<candidate>
    home = audited_candidate.candidate.folder.parents[2]
    settings = Settings(home=tmp_path / "home")
    shutil.copytree(home, settings.home, symlinks=True)
    candidate = load_candidate(settings.home / audited_candidate.candidate.folder.relative_to(home))
    # Another test may have audited the shared candidate before.
    verdict_path(candidate.folder).unlink(missing_ok=True)
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
