"""Pulls what the configured sources have due into the landing, in order of time; a no-op where everything is there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.contract.landing import SOURCE_KINDS, SourceKind
from health_pipeline.contract.yaml_text import parse_yaml
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.policy.documents import BUILT_IN
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Extract, Landing, LoadResult, QuarantinedLoad
from health_pipeline.sources.sentences import validation_sentence

logger = get_logger("sources")


class SourcesError(ValueError):
    """`sources.yaml` can't be used; the message says which, where in it, and what it must be."""


class DemoSource(BaseModel):
    """The demo company: its kind, its seed, how many accounts it has, how much they use the product."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: Literal["software", "services"] = "software"
    seed: int = 7
    accounts: int = Field(default=400, ge=1)
    events_per_account_week: float = Field(default=20.0, gt=0)


class SourcesFile(BaseModel):
    """What `sources.yaml` may hold. Files are loaded by `health-pipeline load` and need no entry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    demo: DemoSource | None = None


class PulledSource(Protocol):
    """Anything that delivers numbered loads at known times, one extract per source system."""

    @property
    def source_kinds(self) -> tuple[SourceKind, ...]:
        """The kinds of source system it has."""

    @property
    def load_times(self) -> tuple[datetime, ...]:
        """When each load begins, in order."""

    def loaded_at(self, load: int, source_kind: SourceKind) -> datetime:
        """When the system of that kind lands that load."""

    def extracts(self, load: int) -> list[Extract]:
        """What that load brings."""


@dataclass(frozen=True)
class KindReport:
    """What a pull did for one kind of source."""

    is_connected: bool
    is_required: bool
    landed: int
    held: int
    refused: int


@dataclass(frozen=True)
class PullReport:
    """What a pull did.

    Attributes
    ----------
    blocking : one sentence per required source whose newest due load waits for a person or was refused
    warnings : what committed loads had to say, and optional sources that are behind
    source_seconds : how long the sources took to hand over what they had; the rest of a pull is landing it
    """

    kinds: dict[SourceKind, KindReport]
    blocking: tuple[str, ...]
    warnings: tuple[str, ...]
    source_seconds: float = 0.0

    @property
    def landed(self) -> int:
        """Loads committed by this pull."""
        return sum(kind.landed for kind in self.kinds.values())

    @property
    def held(self) -> int:
        """Loads that wait for a person."""
        return sum(kind.held for kind in self.kinds.values())

    @property
    def refused(self) -> int:
        """Loads that were refused and not delivered again since."""
        return sum(kind.refused for kind in self.kinds.values())


def pull(settings: Settings, company: CompanyPolicy, through: datetime) -> PullReport:
    """Land every load of the pulled sources that is due and not dealt with.

    Parameters
    ----------
    through : loads made until then are due, UTC

    Raises
    ------
    SourcesError
        If `sources.yaml` can't be used.
    """
    landing = Landing(settings.landing, settings.quarantine, settings.duckdb_memory_limit)
    results: list[LoadResult] = []
    waits: list[float] = []
    for source in _sources(read_sources(settings.home / "sources.yaml"), company):
        results += pull_source(landing, source, company, through, waits)
    return replace(_report(landing, company, naive_utc(through), results), source_seconds=sum(waits))


def pull_source(
    landing: Landing,
    source: PulledSource,
    company: CompanyPolicy,
    through: datetime,
    waits: list[float] | None = None,
) -> list[LoadResult]:
    """Land the due loads of one source, oldest first.

    A system with a load that is held or refused is left alone from there on: its loads build on each other, and the
    order in which they were made is the order in which they count. Each wait for the source, in seconds, is added to
    `waits`.
    """
    dealt_with = {(kind, loaded_at) for kind, _, _, loaded_at in landing.deliveries()}
    waiting = {(load.source_kind, load.loaded_at) for load in landing.quarantine.loads() if load.status == "held"}
    stopped: set[SourceKind] = set()
    results = []
    for load, begins_at in enumerate(source.load_times):
        if begins_at > through:
            break
        due: dict[SourceKind, datetime] = {}
        for kind in source.source_kinds:
            loaded_at = source.loaded_at(load, kind)
            if (kind, naive_utc(loaded_at)) in waiting:
                stopped.add(kind)
            is_new = (kind, naive_utc(loaded_at)) not in dealt_with
            if loaded_at <= through and is_new and kind not in stopped:
                due[kind] = loaded_at
        landed = list(_land(landing, source, load, due, company, [] if waits is None else waits)) if due else []
        stopped |= {result.source_kind for result in landed if result.status in ("held", "refused")}
        results += landed
    return results


def _land(
    landing: Landing,
    source: PulledSource,
    load: int,
    due: dict[SourceKind, datetime],
    company: CompanyPolicy,
    waits: list[float],
) -> Iterator[LoadResult]:
    began = time.monotonic()
    extracts = [extract for extract in source.extracts(load) if extract.source_kind in due]
    waits.append(time.monotonic() - began)
    for extract in sorted(extracts, key=lambda extract: due[extract.source_kind]):
        yield landing.load(extract, company, due[extract.source_kind])
    logger.info("landed", load=load, made=f"{source.load_times[load]:%Y-%m-%d}", systems=len(extracts))


def read_sources(path: Path) -> SourcesFile:
    """Read `sources.yaml`; no file means that nothing is pulled.

    Raises
    ------
    SourcesError
        In one sentence: the file, the place in it, what it must be.
    """
    if not path.is_file():
        return SourcesFile()
    try:
        content = parse_yaml(path.read_text(encoding="utf-8")) or {}
        return SourcesFile.model_validate(content)
    except yaml.YAMLError as error:
        raise SourcesError(f"{path} is not YAML: {getattr(error, 'problem', error)}.") from error
    except ValidationError as error:
        raise SourcesError(f"{path}: {validation_sentence(error)}") from error


def _sources(configured: SourcesFile, company: CompanyPolicy) -> Iterator[PulledSource]:
    if configured.demo is not None:
        if configured.demo.company == "services" and "usage" not in company.not_applicable_domains:
            raise SourcesError(
                "sources.yaml names the demo's services company, which has no product use, and the policy wants it "
                f"measured; set HEALTH_POLICY={BUILT_IN / 'professional_services'}."
            )
        # the simulation is not imported where only files are loaded
        from health_pipeline.sources.demo import DemoCompany  # noqa: PLC0415

        demo = configured.demo
        yield DemoCompany(demo.seed, demo.accounts, demo.events_per_account_week, demo.company)


def _report(landing: Landing, company: CompanyPolicy, through: datetime, results: list[LoadResult]) -> PullReport:
    open_loads = [load for load in unresolved(landing) if load.loaded_at <= through]
    # a historical load tells of the past, whenever it was made
    connected = {load.source_kind for load in landing.loads() if load.mode == "historical" or load.loaded_at <= through}
    landed = Counter(result.source_kind for result in results if result.status == "committed")
    kinds: dict[SourceKind, KindReport] = {}
    for kind in SOURCE_KINDS:
        statuses = Counter(load.status for load in open_loads if load.source_kind == kind)
        kinds[kind] = KindReport(
            is_connected=kind in connected,
            is_required=company.source(kind).required,
            landed=landed[kind],
            held=statuses["held"],
            refused=statuses["refused"],
        )
    blocking = [_sentence(load) for load in open_loads if company.source(load.source_kind).required]
    behind = [_sentence(load) for load in open_loads if not company.source(load.source_kind).required]
    spoken = [message for result in results if result.status == "committed" for message in result.messages]
    return PullReport(kinds, tuple(blocking), (*spoken, *behind))


def unresolved(landing: Landing) -> list[QuarantinedLoad]:
    """Loads that are held, and refused ones whose system delivered nothing that was committed since."""
    newest: dict[tuple[str, str, str], datetime] = {}
    for kind, system, instance, loaded_at in landing.deliveries():
        key = (kind, system, instance)
        newest[key] = max(newest.get(key, loaded_at), loaded_at)
    found = []
    for load in landing.quarantined():
        last = newest.get((load.source_kind, load.source_system, load.source_instance))
        is_superseded = last is not None and last >= load.loaded_at
        if load.status == "held" or (load.status == "refused" and not is_superseded):
            found.append(load)
    return found


def _sentence(load: QuarantinedLoad) -> str:
    decide = f"`health-pipeline loads accept {load.load_id}`, or `loads reject` it"
    mend = f"mend the source and run again, or `health-pipeline loads reject {load.load_id}` to go on without it"
    return (
        f"The {load.source_kind} load of {load.source_system} made {load.loaded_at} UTC is {load.status} "
        f"({load.reason.rstrip('.')}): {decide if load.status == 'held' else mend}."
    )
