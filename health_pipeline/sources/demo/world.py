"""The simulated company as the sources see it: accounts, stories, latent state, contracts, and who is known where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from health_pipeline.contract.landing import SOURCE_KINDS, SourceKind
from health_pipeline.sources.demo.accounts import Accounts, make_accounts
from health_pipeline.sources.demo.calendar import random_stream, week_start
from health_pipeline.sources.demo.columns import ids
from health_pipeline.sources.demo.contracts import Contracts, simulate_contracts
from health_pipeline.sources.demo.latent import LatentState, simulate_state
from health_pipeline.sources.demo.stories import Stories, plant_stories

ID_PREFIX: dict[SourceKind, str] = {
    "crm": "CRM-", "billing": "cus_", "support": "org-", "survey": "panel-", "usage": "grp-",
    "cs": "CS", "projects": "client-", "risk": "RA-", "engagement": "eng-",
}  # fmt: skip
# Share of the accounts that a system knows: few companies keep a delivery project for everybody.
KNOWN_SHARE: dict[SourceKind, float] = {
    "crm": 1.0, "billing": 1.0, "support": 0.97, "survey": 0.92, "usage": 0.97,
    "cs": 0.96, "projects": 0.55, "risk": 0.95, "engagement": 0.95,
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """Everything the sources are drawn from.

    `source_ids` has each kind's ids of all accounts; `is_known` which accounts that kind's system has, of shape
    (accounts,).
    """

    seed: int
    accounts: Accounts
    stories: Stories
    state: LatentState
    contracts: Contracts
    source_ids: dict[SourceKind, pa.Array]
    is_known: dict[SourceKind, np.ndarray]

    @property
    def count(self) -> int:
        """How many accounts there ever were."""
        return self.accounts.count

    def stream(self, name: str, *numbers: int) -> np.random.Generator:
        """A random generator of its own for that purpose."""
        return random_stream(self.seed, name, self.count, *numbers)

    def account_ids(self, kind: SourceKind, account: np.ndarray) -> pa.Array:
        """The ids that kind's system has for those accounts."""
        return self.source_ids[kind].take(pa.array(account))

    def happenings(self, rng: np.random.Generator, rate: np.ndarray, kind: SourceKind) -> tuple[np.ndarray, np.ndarray]:
        """Draw events: `rate` of them per live account and week that the kind's system knows.

        Parameters
        ----------
        rate : shape (accounts, weeks) or what broadcasts to it

        Returns
        -------
        account, week : shape (events,) each, by account and week
        """
        wanted = np.where(self.contracts.is_live & self.is_known[kind][:, None], rate, 0.0)
        number = rng.poisson(wanted)
        account, week = np.nonzero(number)
        number = number[account, week]
        return np.repeat(account, number), np.repeat(week, number)

    def in_contract(self, account: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Whether each account was a customer at each moment."""
        return (at >= self.accounts.started_at[account]) & ~(at >= self.contracts.ended_at[account])


def simulate_world(seed: int, customers: int) -> World:
    """Draw accounts, stories, latent state and contracts; the same arguments give the same world."""
    accounts = make_accounts(seed, customers)
    stories = plant_stories(seed, accounts)
    state = simulate_state(seed, accounts, stories)
    contracts = simulate_contracts(seed, accounts, state, stories)
    rng = random_stream(seed, "systems", accounts.count)
    source_ids = {kind: ids(ID_PREFIX[kind], rng.permutation(accounts.count) + 1, 5) for kind in SOURCE_KINDS}
    is_known = {kind: rng.random(accounts.count) < KNOWN_SHARE[kind] for kind in SOURCE_KINDS}
    # What a story shows must be seen by the systems it shows in.
    told = stories.kind >= 0
    for kind in ("support", "survey", "usage", "cs", "engagement", "risk"):
        is_known[kind] |= told
    joins = accounts.started_at >= week_start(0)
    is_known["projects"] |= joins | stories.accounts_in("delivery_slip") | stories.accounts_in("planned_migration")
    return World(seed, accounts, stories, state, contracts, source_ids, is_known)
