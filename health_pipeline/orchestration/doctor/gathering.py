"""Gathers the facts that the checks look at. It writes nothing; what can't be read is itself a fact."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sqlalchemy.exc import SQLAlchemyError

from health_pipeline.contract.clocks import last_ended_week, naive_utc
from health_pipeline.contract.landing import SOURCE_KINDS
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.orchestration.doctor.environment import Environment
from health_pipeline.orchestration.doctor.held_locks import held_locks, may_hold
from health_pipeline.orchestration.doctor.stores import RunState, SourceState, Stores, WaitingLoad
from health_pipeline.orchestration.jobs import QUARTERLY_JOB, WEEKLY_JOB
from health_pipeline.orchestration.overview import document_loaders
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.policy.risk_review import load_risk_review
from health_pipeline.policy.risk_signals import load_risk_signals
from health_pipeline.publication.releases import (
    PUBLISH_LOCK,
    Release,
    candidates_folder,
    current_release,
    damages,
    list_releases,
)
from health_pipeline.quality.incidents import list_incidents
from health_pipeline.quality.ledger_chain import anchors_of, verify_chain
from health_pipeline.settings import REPOSITORY, Settings
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.sentences import first_line

_PARTS = ("dbt_project/dbt_project.yml", "expectations/manifest.json", "workspace.yaml", "dagster.yaml")
_UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_TROUBLE = (OSError, ValueError, KeyError, LookupError, RuntimeError, duckdb.Error, SQLAlchemyError)
Value = TypeVar("Value")


class _Facts:
    """Reads stores one after the other; one that can't be read leaves a sentence and its default."""

    def __init__(self) -> None:
        self.unreadable: list[str] = []

    def read(self, what: str, look: Callable[[], Value], default: Value) -> Value:
        try:
            return look()
        except _TROUBLE as error:
            self.unreadable.append(f"{what} can't be read: {first_line(error)}")
            return default


def gather_environment(settings: Settings, now: datetime) -> Environment:
    """Facts of the machine and the installation.

    Parameters
    ----------
    now : naive UTC, by this machine's clock
    """
    facts = _Facts()
    release = facts.read("the release", lambda: current_release(settings), None)
    place = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    company = facts.read("company.yaml", lambda: load_company(settings.policy).model, CompanyPolicy(company_name="?"))
    return Environment(
        python=sys.version_info[:2],
        installed={canonicalize_name(one.metadata["Name"]): one.version for one in distributions()},
        locked=facts.read("requirements.lock", locked_versions, {}),
        missing_parts=tuple(part for part in _PARTS if not (REPOSITORY / part).exists()),
        home=settings.home,
        home_problem=_home_problem(settings.home, place),
        free_bytes=shutil.disk_usage(place).free,
        release_bytes=_size_of(release.folder) if release else 0,
        now=now,
        newest_record=facts.read("the landing", lambda: _newest_record(settings, release), None),
        machine_offset=timedelta(seconds=time.localtime(now.replace(tzinfo=UTC).timestamp()).tm_gmtoff),
        company_zone=company.time_zone,
        company_offset=now.replace(tzinfo=UTC).astimezone(company.zone).utcoffset() or timedelta(),
        memory_bytes=_memory_bytes(),
        memory_limit_bytes=_bytes_of(settings.duckdb_memory_limit),
        webhook_url=settings.webhook_url,
        otel_endpoint=settings.otel_endpoint,
    )


def locked_versions(path: Path = REPOSITORY / "requirements.lock") -> dict[str, str]:
    """The packages of the lock that this platform needs, with their versions."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        if "==" not in line or line.startswith((" ", "#")):
            continue
        requirement = Requirement(line.rstrip("\\ "))
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = next(iter(requirement.specifier)).version
    return found


def gather_stores(settings: Settings, now: datetime) -> Stores:
    """Facts of policy, landing, release, ledger and Dagster's history.

    Parameters
    ----------
    now : naive UTC
    """
    facts = _Facts()
    problems = tuple(_policy_problems(settings))
    company = facts.read("company.yaml", lambda: load_company(settings.policy).model, CompanyPolicy(company_name="?"))
    if problems:
        # said once, as a policy problem
        facts.unreadable.clear()
    landing = Landing(settings.landing, settings.quarantine)
    release = facts.read("the release", lambda: current_release(settings), None)
    nothing: dict[str, Any] = {}
    nobody: tuple[str | None, bool] = (None, False)
    no_lack: tuple[str, ...] = ()
    nothing_found: tuple[str, ...] = ()
    figures = facts.read("the mart", lambda: _figures(release), nothing)
    holder, is_alive = facts.read("the run lock", lambda: _lock_holder(settings), nobody)
    dagster = facts.read("Dagster's history", lambda: _dagster(settings), nothing)
    reviewable = last_ended_week(now.replace(tzinfo=UTC), company.cutoff_hours)
    return Stores(
        now=now,
        policy_problems=problems,
        risk_review_lacks=facts.read("risk_review.yaml", lambda: _risk_review_lacks(settings), no_lack)
        if not problems
        else no_lack,
        sources=facts.read("the landing", lambda: _sources(landing, company), ()),
        waiting=facts.read("the quarantine", lambda: _waiting(landing, company), ()),
        release=release.name if release else None,
        release_damages=tuple(damages(release)) if release else (),
        newest_week=str(release.published_weeks[-1]) if release and release.published_weeks else None,
        reviewable_week=str(reviewable),
        lock_holder=holder,
        holder_is_alive=is_alive,
        held_locks=facts.read("/proc/locks", lambda: held_locks(_lock_files(settings)), ()),
        left_behind=_left_behind(settings),
        ledger_problems=facts.read("the ledger's chain", lambda: _ledger_problems(settings), nothing_found),
        open_incidents=facts.read("the ledger", lambda: _open_incidents(settings), ()),
        **figures,
        **dagster,
        unreadable=tuple(facts.unreadable),
    )


def _home_problem(home: Path, place: Path) -> str | None:
    if home.exists() and not home.is_dir():
        return "it is a file"
    return None if os.access(place, os.W_OK | os.X_OK) else f"no right to write in {place}"


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _newest_record(settings: Settings, release: Release | None) -> datetime | None:
    # a scheduled load may carry the time of its delivery; when it was finished is this machine's own clock
    moments = [load.finished_at for load in Landing(settings.landing, settings.quarantine).loads()]
    if release is not None:
        moments.append(release.published_at)
    return max(moments, default=None)


def _memory_bytes() -> int:
    if platform.system() == "Windows":
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _bytes_of(text: str) -> int:
    number, unit = text.upper().rstrip("BI KMGT"), text.upper().lstrip("0123456789. ")
    return int(float(number) * _UNITS[unit]) if number and unit in _UNITS else 0


def _risk_review_lacks(settings: Settings) -> tuple[str, ...]:
    signals = load_risk_signals(settings.policy).model.signals
    return load_risk_review(settings.policy).model.not_ready(frozenset(signal.category for signal in signals))


def _policy_problems(settings: Settings) -> Iterator[str]:
    for load in document_loaders(settings):
        try:
            load()
        except _TROUBLE as error:
            yield first_line(error)


def _sources(landing: Landing, company: CompanyPolicy) -> tuple[SourceState, ...]:
    newest: dict[str, datetime] = {}
    for load in landing.loads():
        newest[load.source_kind] = max(load.loaded_at, newest.get(load.source_kind, load.loaded_at))
    return tuple(
        SourceState(kind, company.source(kind).required, company.source(kind).stale_after_days, newest.get(kind))
        for kind in SOURCE_KINDS
    )


def _waiting(landing: Landing, company: CompanyPolicy) -> tuple[WaitingLoad, ...]:
    return tuple(
        WaitingLoad(
            load.load_id, load.source_kind, load.source_system, load.status, company.source(load.source_kind).required
        )
        for load in landing.quarantined()
        if load.status in ("held", "refused")
    )


def _figures(release: Release | None) -> dict[str, Any]:
    if release is None:
        return {}
    with open_duckdb(release.file, read_only=True) as con:
        accounts, unowned, unscored, revenue = con.execute(
            "select count(*), count(*) filter (where owner_email is null), count(*) filter (where score is null), "
            "sum(arr_reporting) from account_health_current"
        ).fetchall()[0]
        unmatched, at_stake = con.execute("select count(*), sum(revenue_at_stake) from unmatched_records").fetchall()[0]
    return {
        "accounts": accounts,
        "unowned": unowned,
        "unscored": unscored,
        "revenue": revenue,
        "unmatched": unmatched,
        "unmatched_revenue": at_stake,
    }


def _lock_holder(settings: Settings) -> tuple[str | None, bool]:
    note = settings.run_lock.with_suffix(".holder")
    if not note.exists():
        return None, False
    content = json.loads(note.read_text(encoding="utf-8"))
    process = int(content["process"])
    return f"run {content['run']} (process {process})", _is_alive(process) and may_hold(process, settings.run_lock)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lock_files(settings: Settings) -> tuple[Path, ...]:
    return settings.run_lock, settings.home / PUBLISH_LOCK


def _left_behind(settings: Settings) -> tuple[str, ...]:
    folder = candidates_folder(settings)
    return tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()


def _ledger_problems(settings: Settings) -> tuple[str, ...]:
    if not (settings.home / "ledger").is_dir():
        return ()
    anchors = anchors_of(*(release.manifest for release in list_releases(settings)))
    return verify_chain(settings.ledger_url, anchors).problems


def _open_incidents(settings: Settings) -> tuple[str, ...]:
    if not (settings.home / "ledger").is_dir():
        return ()
    return tuple(incident.id for incident in list_incidents(settings.ledger_url, "open"))


def _dagster(settings: Settings) -> dict[str, Any]:
    """What Dagster's own storage says; nothing where this folder has none yet."""
    if not (settings.dagster_home / "dagster.yaml").is_file():
        return {}
    with _quiet_instance(settings) as instance:
        return {
            "runs": tuple(_newest_runs(instance)),
            "schedules": _schedules(instance),
            "daemon_seen_at": _daemon_seen_at(instance),
        }


@contextmanager
def _quiet_instance(settings: Settings) -> Iterator[Any]:
    import dagster as dg  # noqa: PLC0415 - seconds to import, and only needed where there is a history

    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        yield instance


def _newest_runs(instance: Any) -> Iterator[RunState]:
    from dagster import RunsFilter  # noqa: PLC0415

    for job in (WEEKLY_JOB, QUARTERLY_JOB):
        for record in instance.get_run_records(RunsFilter(job_name=job), limit=1):
            ended = naive_utc(datetime.fromtimestamp(record.end_time, UTC)) if record.end_time else None
            yield RunState(job, record.dagster_run.status.value, ended, record.dagster_run.run_id)


def _schedules(instance: Any) -> dict[str, bool]:
    from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType  # noqa: PLC0415

    found = dict.fromkeys(("weekly_health_review_schedule", "quarterly_segmentation_review_schedule"), False)
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        if state.instigator_name in found:
            found[state.instigator_name] = state.status in (InstigatorStatus.RUNNING, InstigatorStatus.DECLARED_IN_CODE)
    return found


def _daemon_seen_at(instance: Any) -> datetime | None:
    beat = instance.get_daemon_heartbeats().get("SCHEDULER")
    return naive_utc(datetime.fromtimestamp(beat.timestamp, UTC)) if beat else None
