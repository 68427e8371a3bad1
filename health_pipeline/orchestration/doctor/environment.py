"""Checks of the machine and the installation: Python, the lock, the state folder, the disk, the clock, memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from health_pipeline.observability.webhook import is_web_address
from health_pipeline.orchestration.doctor.findings import Finding

OLDEST_PYTHON = (3, 11)
GIGABYTE = 1 << 30
SEVERE_FREE, LITTLE_FREE = 1 * GIGABYTE, 5 * GIGABYTE
# What these do differs from version to version in what we rely on.
_DECISIVE = ("dagster", "dbt-core", "dbt-duckdb", "duckdb", "great-expectations", "pandas", "scikit-learn")
_CLOCK_TOLERANCE = timedelta(minutes=10)
_SHOWN = 5


@dataclass(frozen=True)
class Environment:
    """Facts of the machine and the installation.

    Attributes
    ----------
    python : version
    installed, locked : package to version; `locked` only holds what this platform needs
    missing_parts : folders of the checkout that are not where the code looks for them
    home : HEALTH_HOME; home_problem : why it can't be written to, None where it can (or could be made)
    free_bytes : on its disk
    release_bytes : size of the newest release, 0 before the first
    now : by this machine's clock, naive UTC
    newest_record : the newest time that this installation wrote down itself, naive UTC
    machine_offset, company_zone, company_offset : from UTC, of the machine's zone and of the company's, at `now`
    memory_bytes, memory_limit_bytes : of the machine, and what DuckDB is allowed
    webhook_url : where failures are told, None for the log alone
    otel_endpoint : where traces and figures of runs are sent, None for nowhere
    """

    python: tuple[int, int]
    installed: Mapping[str, str]
    locked: Mapping[str, str]
    missing_parts: tuple[str, ...]
    home: Path
    home_problem: str | None
    free_bytes: int
    release_bytes: int
    now: datetime
    newest_record: datetime | None
    machine_offset: timedelta
    company_zone: str
    company_offset: timedelta
    memory_bytes: int
    memory_limit_bytes: int
    webhook_url: str | None
    otel_endpoint: str | None = None


def check_python(facts: Environment) -> Iterator[Finding]:
    """Python is new enough."""
    if facts.python < OLDEST_PYTHON:
        yield Finding(
            "python",
            "severe",
            f"this is Python {'.'.join(map(str, facts.python))}; 3.11 is the oldest that is tried",
            "the code or its packages fail in odd places",
            "install a newer Python and run `make install PYTHON=python3.12` after removing .venv",
        )


def check_lock(facts: Environment) -> Iterator[Finding]:
    """What is installed is what requirements.lock names."""
    absent = sorted(facts.locked.keys() - facts.installed.keys())
    other = sorted(
        name for name in facts.locked.keys() & facts.installed.keys() if facts.locked[name] != facts.installed[name]
    )
    if absent:
        yield Finding(
            "lock",
            "severe",
            f"{len(absent)} packages of requirements.lock are not installed: {', '.join(absent[:_SHOWN])}",
            "a command stops at the first of them that it needs",
            "run `make install`",
        )
    if other:
        shown = [f"{name} {facts.installed[name]} instead of {facts.locked[name]}" for name in other[:_SHOWN]]
        yield Finding(
            "lock",
            "severe" if set(other) & set(_DECISIVE) else "warning",
            f"{len(other)} packages have another version than requirements.lock: {', '.join(shown)}",
            "figures, checks or plots may differ from what was tested",
            "run `make install`; take new versions on purpose, with `make lock`",
        )


def check_checkout(facts: Environment) -> Iterator[Finding]:
    """The code lies in its checkout: dbt project, suites and workspace are beside it."""
    if facts.missing_parts:
        yield Finding(
            "checkout",
            "severe",
            f"{', '.join(facts.missing_parts)} is not beside the code",
            "installed away from its checkout, the package has no dbt project to build with and no suite to audit with",
            "clone the repository and run `make install` there; the package is not made to run on its own",
        )


def check_home(facts: Environment) -> Iterator[Finding]:
    """The state folder can be written to, and its disk has room."""
    if facts.home_problem is not None:
        yield Finding(
            "home",
            "severe",
            f"HEALTH_HOME ({facts.home}) can't be written to: {facts.home_problem}",
            "nothing can be loaded, reviewed or published",
            "give this user the right to write there, or set HEALTH_HOME to another folder",
        )
        return
    needed = max(SEVERE_FREE, 2 * facts.release_bytes)
    if facts.free_bytes < needed:
        yield Finding(
            "disk",
            "severe",
            f"{facts.free_bytes / GIGABYTE:.1f} GB are free on the disk of {facts.home}; a run needs about "
            f"{needed / GIGABYTE:.1f} GB",
            "the next run fails half way; the published release stays as it is",
            "free some room, or move HEALTH_HOME to a larger disk",
        )
    elif facts.free_bytes < LITTLE_FREE:
        yield Finding(
            "disk",
            "warning",
            f"{facts.free_bytes / GIGABYTE:.1f} GB are free on the disk of {facts.home}",
            "it will be full within some weeks: the landing keeps every load",
            "free some room, or move HEALTH_HOME to a larger disk",
        )


def check_clock(facts: Environment) -> Iterator[Finding]:
    """The clock is not behind what this installation wrote down itself."""
    if facts.newest_record is not None and facts.now < facts.newest_record - _CLOCK_TOLERANCE:
        yield Finding(
            "clock",
            "severe",
            f"the clock says {facts.now:%Y-%m-%d %H:%M} UTC, but something was loaded or published at "
            f"{facts.newest_record:%Y-%m-%d %H:%M} UTC",
            "loads would count from a wrong time, and the newest weeks can't be reviewed",
            "set the machine's clock and its time zone (times are kept in UTC), then run again",
        )


def check_time_zone(facts: Environment) -> Iterator[Finding]:
    """The company's time zone is the machine's, or somebody has chosen another one knowingly."""
    # A machine on UTC is a server; it says nothing about where the company is.
    if facts.machine_offset and facts.machine_offset != facts.company_offset:
        yield Finding(
            "time zone",
            "note",
            f"time_zone in company.yaml is {facts.company_zone} (UTC{_signed(facts.company_offset)}); this machine is "
            f"at UTC{_signed(facts.machine_offset)}",
            "weeks are UTC wherever the machine is; the schedule's 06:00 and the days in reports are the company's",
            "where the company's zone is wrong, correct time_zone in company.yaml; otherwise nothing",
        )


def _signed(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def check_memory(facts: Environment) -> Iterator[Finding]:
    """DuckDB is not allowed more memory than there is."""
    if facts.memory_bytes and facts.memory_limit_bytes > 0.9 * facts.memory_bytes:
        yield Finding(
            "memory",
            "warning",
            f"DuckDB may use {facts.memory_limit_bytes / GIGABYTE:.1f} GB of this machine's "
            f"{facts.memory_bytes / GIGABYTE:.1f} GB",
            "the system may stop a run for lack of memory; the published release stays as it is",
            "set HEALTH_DUCKDB_MEMORY_LIMIT to about half of the memory, such as 2GB; DuckDB uses the disk beyond",
        )


def check_webhook(facts: Environment) -> Iterator[Finding]:
    """Somebody hears of failures."""
    if facts.webhook_url is None:
        yield Finding(
            "webhook",
            "note",
            "HEALTH_WEBHOOK_URL is not set",
            "failed runs and checks are in the log and in Dagster's UI, and nowhere else",
            "set it to an address that takes JSON by POST",
        )
    elif not is_web_address(facts.webhook_url):
        yield Finding(
            "webhook",
            "warning",
            "HEALTH_WEBHOOK_URL does not start with https:// or http://",
            "no failure is posted anywhere",
            "correct it, or take it away",
        )


def check_telemetry(facts: Environment) -> Iterator[Finding]:
    """The collector's address is one."""
    if facts.otel_endpoint is not None and not is_web_address(facts.otel_endpoint):
        yield Finding(
            "telemetry",
            "warning",
            "HEALTH_OTEL_ENDPOINT does not start with https:// or http://",
            "no trace and no figure of a run is sent anywhere; run_summary in the mart has them all the same",
            "correct it, or take it away",
        )
