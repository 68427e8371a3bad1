"""The simulated company as the sources see it: accounts, stories, latent state, contracts, and who is known where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from health_pipeline.contract.landing import SOURCE_KINDS, SourceKind
from health_pipeline.sources.demo.accounts import Accounts, make_accounts
from health_pipeline.sources.demo.calendar import random_stream, week_start
from health_pipeline.sources.demo.columns import ids, pick
from health_pipeline.sources.demo.contracts import Contracts, simulate_contracts
from health_pipeline.sources.demo.latent import LatentState, simulate_state
from health_pipeline.sources.demo.profile import SOFTWARE, Profile
from health_pipeline.sources.demo.stories import Stories, plant_stories
from health_pipeline.sources.demo.trials import Trials, draw_trials

ID_PREFIX: dict[SourceKind, str] = {
    "crm": "CRM-", "billing": "cus_", "support": "org-", "survey": "panel-", "usage": "grp-",
    "cs": "CS", "projects": "client-", "risk": "RA-", "engagement": "eng-",
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """Everything the sources are drawn from.

    `source_ids` has each kind's ids of all accounts; `is_known` which accounts that kind's system has, of shape
    (accounts,). `is_self_hosted`: the product runs at the customer, who sends roll-ups of its use alone.
    """

    seed: int
    profile: Profile
    accounts: Accounts
    stories: Stories
    state: LatentState
    trials: Trials
    contracts: Contracts
    source_ids: dict[SourceKind, pa.Array]
    is_known: dict[SourceKind, np.ndarray]
    is_self_hosted: np.ndarray

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

    def new_workspace(self, account: np.ndarray) -> pa.Array:
        """The usage system's ids of the second workspaces that moved accounts get; null for the others."""
        has_one = self.stories.accounts_in("planned_migration")
        number = self.count + np.cumsum(has_one)
        return pick(ids(ID_PREFIX["usage"], number, 5), np.where(has_one[account], account, -1))

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
        contracts = self.contracts
        stays = (at >= self.accounts.started_at[account]) & ~(at >= contracts.ended_at[account])
        return stays | (at >= contracts.returned_at[account])


def simulate_world(seed: int, customers: int, profile: Profile = SOFTWARE) -> World:
    """Draw accounts, stories, latent state and contracts; the same arguments give the same world.

    Which systems know an account, and how its product is hosted, is drawn before the stories and without regard to
    them, so that a gap says nothing; a story is told only where the systems that would show it know the account.
    """
    accounts = make_accounts(seed, customers)
    rng = random_stream(seed, "systems", accounts.count)
    source_ids = {kind: ids(ID_PREFIX[kind], rng.permutation(accounts.count) + 1, 5) for kind in SOURCE_KINDS}
    is_known = {kind: rng.random(accounts.count) < profile.known_share[kind] for kind in SOURCE_KINDS}
    is_self_hosted = rng.random(accounts.count) < profile.self_hosted_share
    sees_events = {**is_known, "usage": is_known["usage"] & ~is_self_hosted}
    stories = plant_stories(seed, accounts, sees_events, profile.has_product)
    state = simulate_state(seed, accounts, stories)
    trials = draw_trials(seed, accounts)
    contracts = simulate_contracts(seed, accounts, state, stories, trials)
    # Who joins, who slips and who is moved to another workspace has a project.
    is_known["projects"] |= accounts.started_at >= week_start(0)
    for story in ("delivery_slip", "agreed_delay", "planned_migration", "rollout_questions"):
        is_known["projects"] |= stories.accounts_in(story)
    return World(seed, profile, accounts, stories, state, trials, contracts, source_ids, is_known, is_self_hosted)
