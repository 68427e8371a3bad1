"""DemoCompany: what each of its nine source systems delivers in each load."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from health_pipeline.contract.landing import SourceKind
from health_pipeline.sources.demo.billing import billing_deliveries
from health_pipeline.sources.demo.calendar import LOAD_TIMES, loaded_at
from health_pipeline.sources.demo.columns import Deliveries
from health_pipeline.sources.demo.crm import crm_deliveries
from health_pipeline.sources.demo.customer_success import cs_deliveries
from health_pipeline.sources.demo.engagement import engagement_deliveries
from health_pipeline.sources.demo.people import People, draw_people
from health_pipeline.sources.demo.profile import PROFILES, CompanyKind
from health_pipeline.sources.demo.projects import project_deliveries
from health_pipeline.sources.demo.risk_register import risk_deliveries
from health_pipeline.sources.demo.source_accounts import source_accounts
from health_pipeline.sources.demo.support import support_deliveries
from health_pipeline.sources.demo.survey import survey_deliveries
from health_pipeline.sources.demo.truth import Truth, tell_truth
from health_pipeline.sources.demo.usage import UsageSource
from health_pipeline.sources.demo.world import World, simulate_world
from health_pipeline.sources.extract import Extract, TableExtract

_DRAW: dict[SourceKind, Callable[[World, People], list[Deliveries]]] = {
    "crm": crm_deliveries,
    "billing": lambda world, _: billing_deliveries(world),
    "support": support_deliveries,
    "survey": survey_deliveries,
    "usage": lambda world, _: [],
    "cs": lambda world, _: cs_deliveries(world),
    "projects": lambda world, _: project_deliveries(world),
    "risk": lambda world, _: risk_deliveries(world),
    "engagement": engagement_deliveries,
}


class DemoCompany:
    """A simulated company: the same arguments give the same extracts, in whatever order they are asked for.

    Parameters
    ----------
    seed : int
    accounts : int
        About how many customers there are at any time; those who leave and those who join come on top.
    events_per_account_week : float
        Mean number of usage events of a customer in a week.
    kind : {"software", "services"}
        A services company has no product use, and no usage source.

    Raises
    ------
    ValueError
        If there are fewer than one account, the number of events is not positive, or there is no such kind.
    """

    def __init__(
        self,
        seed: int = 7,
        accounts: int = 400,
        events_per_account_week: float = 20.0,
        kind: CompanyKind = "software",
    ) -> None:
        if accounts < 1:
            raise ValueError(f"accounts is {accounts}; the demo company needs at least 1 customer")
        if events_per_account_week <= 0:
            raise ValueError(f"events_per_account_week is {events_per_account_week}; it must be positive")
        if kind not in PROFILES:
            raise ValueError(f"the demo company is one of {', '.join(PROFILES)}, not {kind!r}")
        self.seed = seed
        self.profile = PROFILES[kind]
        self.accounts = accounts
        self.events_per_account_week = events_per_account_week
        # Removed together with the company; holds a historical load of usage too large for memory.
        self._folder = TemporaryDirectory(prefix="demo-company-", ignore_cleanup_errors=True)

    @property
    def source_kinds(self) -> tuple[SourceKind, ...]:
        """The kinds of source system the company has."""
        return self.profile.source_kinds

    @property
    def load_times(self) -> tuple[datetime, ...]:
        """The 53 loads: 0 is the historical one of 2025-11-17, the others follow each Monday; 02:00 UTC."""
        return LOAD_TIMES

    def loaded_at(self, load: int, source_kind: SourceKind) -> datetime:
        """When the system of that kind lands load number `load`: between 02:00 and 05:00 UTC of its Monday."""
        return loaded_at(load, source_kind)

    @cached_property
    def _world(self) -> World:
        return simulate_world(self.seed, self.accounts, self.profile)

    @cached_property
    def _usage(self) -> UsageSource:
        return UsageSource(self._world, self.events_per_account_week, Path(self._folder.name))

    @cached_property
    def _deliveries(self) -> dict[SourceKind, list[Deliveries]]:
        people = draw_people(self._world)
        drawn = {kind: _DRAW[kind](self._world, people) for kind in self.source_kinds}
        return {kind: [source_accounts(self._world, kind), *tables] for kind, tables in drawn.items()}

    def extracts(self, load: int) -> list[Extract]:
        """What load number `load` (0 to 52) brings, one extract per source system.

        Load 0 holds the state of every record on 2025-11-17; each weekly load the records that were created or
        changed in the week before it, as they stood at its end, and what arrived late.

        Raises
        ------
        IndexError
            If there is no such load.
        """
        if not 0 <= load < len(LOAD_TIMES):
            raise IndexError(f"load {load} does not exist; the demo company has loads 0 to {len(LOAD_TIMES) - 1}")
        mode = "historical" if load == 0 else "incremental"
        return [
            Extract(kind, f"demo_{kind}", mode, tuple(self._tables(kind, load)))  # type: ignore[arg-type]
            for kind in self.source_kinds
        ]

    def _tables(self, kind: SourceKind, load: int) -> list[TableExtract]:
        tables = [deliveries.of_load(load) for deliveries in self._deliveries[kind]]
        if kind == "usage":
            tables += [self._usage.event_extract(load), self._usage.daily_extract(load)]
        return tables

    def truth(self) -> Truth:
        """The planted stories and the latent state, for tests and validation; the pipeline never asks for them."""
        return tell_truth(self._world)
