"""The people at each account: who holds which role, when they joined and left, and their addresses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from health_pipeline.sources.demo.calendar import END, HISTORY_START, NEVER, days, week_start
from health_pipeline.sources.demo.columns import joined, pick
from health_pipeline.sources.demo.world import World

# Each account's contacts in this order; smaller accounts have the first few of them.
ROLES = ("champion", "economic_buyer", "user", "decision_maker", "user", "other")
TITLES = ("Head of Operations", "VP Finance", "Analyst", "Chief Operating Officer", "Team Lead", "Administrator")
_OTHER = 5
_WITHOUT_CHAMPION_SHARE, _WITHOUT_SPONSOR_SHARE = 0.12, 0.2
CHAMPION, SPONSOR = 0, 1
_GIVEN = (
    "Ada", "Ben", "Carla", "Dev", "Elif", "Femi", "Gita", "Hanna", "Ivo", "Jana", "Kofi", "Lena",
    "Milo", "Nora", "Omar", "Pia", "Quin", "Rosa", "Sven", "Tara", "Uma", "Vito", "Wanda", "Yuri",
)  # fmt: skip
_FAMILY = (
    "Abbott", "Bauer", "Costa", "Dalgaard", "Eriksen", "Fischer", "Gupta", "Haddad", "Ito", "Jensen", "Kovacs",
    "Lopez", "Meyer", "Novak", "Okafor", "Petit", "Quist", "Romano", "Silva", "Tanaka",
)  # fmt: skip


@dataclass(frozen=True)
class People:
    """Every contact; arrays of shape (contacts,), by account; `role` indexes ROLES and TITLES.

    `first` of shape (accounts,) is the index of each account's first contact, `number` how many it has at most.
    A champion who left may have a successor, who comes last. `away_from` and `away_until` frame a leave.
    """

    account: np.ndarray
    role: np.ndarray
    joined_at: np.ndarray
    left_at: np.ndarray
    away_from: np.ndarray
    away_until: np.ndarray
    full_name: pa.Array
    email: pa.Array
    first: np.ndarray
    number: np.ndarray

    def is_there(self, contact: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Whether each contact worked at the account at each moment, and was not on leave."""
        is_away = (at >= self.away_from[contact]) & ~(at >= self.away_until[contact])
        return (at >= self.joined_at[contact]) & ~(at >= self.left_at[contact]) & ~is_away


def draw_people(world: World) -> People:
    """Three to five contacts per account, some of whom leave: by chance, or because a story says so."""
    rng = world.stream("people")
    accounts, stories = world.accounts, world.stories
    base = 3 + (accounts.seats > 8) + (accounts.seats > 20)
    leaves_for_story = stories.accounts_in("sponsor_leaves")
    story_at = week_start(np.where(leaves_for_story, stories.start_week, 0)) + days(rng.uniform(0.4, 4.4, world.count))
    by_chance = rng.random(world.count) < 0.14
    chance_at = HISTORY_START + days(rng.uniform(20, 700, world.count))
    champion_left_at = np.where(leaves_for_story, story_at, np.where(by_chance, chance_at, NEVER))
    champion_left_at = np.where(champion_left_at > accounts.started_at + days(60), champion_left_at, NEVER)
    goes_on_leave = stories.accounts_in("champion_on_leave")
    champion_left_at = np.where(goes_on_leave, NEVER, champion_left_at)
    # Where it is only chance, somebody takes over within weeks; in the story nobody does for long.
    wait = np.where(leaves_for_story, rng.uniform(120, 300, world.count), rng.uniform(5, 90, world.count))
    successor_at = champion_left_at + days(wait)
    has_successor = successor_at < END
    number = base + has_successor
    first = np.cumsum(number) - number
    account = np.repeat(np.arange(world.count), number)
    place = np.arange(len(account)) - first[account]
    is_successor = place == base[account]
    joined_at = accounts.created_at[account] + days(rng.uniform(0.1, 9, len(account)))
    joined_at = np.where(is_successor, successor_at[account], joined_at)
    left_at = np.where(place == CHAMPION, champion_left_at[account], NEVER)
    others_leave = (place == 2) & (rng.random(len(account)) < 0.1)
    others_at = HISTORY_START + days(rng.uniform(20, 720, len(account)))
    left_at = np.where(others_leave & (others_at > joined_at + days(60)), others_at, left_at)
    # In a story the economic buyer goes with the champion in two cases of three.
    goes_too = leaves_for_story[account] & (place == SPONSOR) & (account % 3 > 0)
    left_at = np.where(goes_too, champion_left_at[account] + days(1), left_at)
    on_leave = goes_on_leave[account] & (place == CHAMPION)
    away_from = week_start(np.where(on_leave, stories.start_week[account], 0)) + days(rng.uniform(0.3, 4, len(account)))
    away_until = week_start(np.where(on_leave, stories.end_week[account], 0)) + days(rng.uniform(0.3, 4, len(account)))
    given, family = rng.integers(0, len(_GIVEN), len(account)), rng.integers(0, len(_FAMILY), len(account))
    # Distinct within the account: each place has family names of its own.
    family = (family // 6 * 6 + place) % len(_FAMILY)
    full_name = joined(pick(_GIVEN, given), " ", pick(_FAMILY, family))
    lower = [pick([name.lower() for name in names], code) for names, code in ((_GIVEN, given), (_FAMILY, family))]
    email = joined(lower[0], ".", lower[1], "@", pa.array(accounts.domain[account]))
    # Some accounts never had anybody who speaks for the product, or nobody who decides.
    lacks_champion = (rng.random(world.count) < _WITHOUT_CHAMPION_SHARE) & ~leaves_for_story & ~goes_on_leave
    lacks_sponsor = (rng.random(world.count) < _WITHOUT_SPONSOR_SHARE) & ~leaves_for_story
    role = np.where(is_successor, CHAMPION, place)
    role = np.where((role == CHAMPION) & lacks_champion[account], _OTHER, role)
    role = np.where(np.isin(role, (SPONSOR, 3)) & lacks_sponsor[account], _OTHER, role)
    return People(
        account=account,
        role=role,
        joined_at=joined_at,
        left_at=left_at,
        away_from=np.where(on_leave, away_from, NEVER),
        away_until=np.where(on_leave, away_until, NEVER),
        full_name=full_name,
        email=email,
        first=first,
        number=number,
    )
