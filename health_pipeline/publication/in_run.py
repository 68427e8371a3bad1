"""What one run knows of the candidate it built: the steps of a run find it by the run's id, and no other run does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.observability.workers import Workers
from health_pipeline.publication.candidate import Candidate, Unchanged, load_candidate
from health_pipeline.publication.errors import PublicationRefusedError
from health_pipeline.publication.releases import candidates_folder, current_release
from health_pipeline.quality.audit import audit, evaluate
from health_pipeline.quality.ledger_chain import anchors_of, check_chain
from health_pipeline.quality.packet_bodies import check_bodies
from health_pipeline.quality.suites import LEDGER_TYPE, PACKET_TYPE, load_checks
from health_pipeline.quality.verdict import CheckResult, DbtRecord, Verdict, run_kinds, verdict_path
from health_pipeline.settings import Settings


def _note(settings: Settings, run_id: str) -> Path:
    return settings.scratch / "runs" / f"{run_id}.json"


def note_candidate(settings: Settings, run_id: str, built: Candidate | Unchanged) -> None:
    """Note what the run built: a candidate, or that what is published came out again."""
    note = _note(settings, run_id)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"candidate": built.id if isinstance(built, Candidate) else None}), encoding="utf-8")


def candidate_of_run(settings: Settings, run_id: str) -> Candidate | None:
    """The candidate this run built; None where it found what is published already.

    Raises
    ------
    PublicationRefusedError
        If the run built none: its audit or publish step was started alone.
    """
    note = _note(settings, run_id)
    if not note.is_file():
        raise PublicationRefusedError(
            "This run built no candidate, so there is nothing it could audit or publish; run the whole job, "
            "`weekly_health_review` or `quarterly_segmentation_review`."
        )
    name = json.loads(note.read_text(encoding="utf-8"))["candidate"]
    return load_candidate(candidates_folder(settings) / name) if name else None


def audit_candidate(
    settings: Settings, candidate: Candidate, record: DbtRecord, second: Workers | None = None
) -> Verdict:
    """Audit a candidate's own file, and the ledger it anchors; the verdict is stored beside it."""
    weeks, quarters = candidate.run_weeks, candidate.run_quarters
    return audit(
        candidate.file,
        weeks,
        quarters,
        candidate.base_release,
        record,
        settings.ledger_url,
        restricted=settings.restricted,
        second=second,
    )


def verdict_of(candidate: Candidate) -> Verdict | None:
    """The verdict stored beside a candidate; None where it was not audited."""
    path = verdict_path(candidate.folder)
    return Verdict.from_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def evaluate_published(settings: Settings, weeks: Sequence[Week], quarters: Sequence[Quarter]) -> list[CheckResult]:
    """Evaluate the checks of those weeks or quarters on the current release: what an unchanged run reports.

    Raises
    ------
    PublicationRefusedError
        If nothing is published.
    """
    release = current_release(settings)
    if release is None:
        raise PublicationRefusedError("Nothing is published, so there is nothing to evaluate.")
    kinds = set(run_kinds(weeks, quarters))
    checks = [check for check in load_checks() if kinds & set(check.runs)]
    results = evaluate(
        release.file,
        checks,
        [week.monday for week in weeks],
        [quarter.first_day for quarter in quarters],
        release.manifest["retired_columns"],
    )
    of_ledger = [check for check in checks if check.type == LEDGER_TYPE]
    of_packets = [check for check in checks if check.type == PACKET_TYPE]
    results += check_bodies(of_packets, release.file, [week.monday for week in weeks], settings.restricted)
    return results + check_chain(of_ledger, settings.ledger_url, anchors_of(release.manifest))
