"""The survey tool: would you recommend us, asked once a quarter, and how easy was it, asked about twice a year."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from health_pipeline.sources.demo.calendar import END, WEEKS, days, load_of, week_start
from health_pipeline.sources.demo.columns import Deliveries, contract_table, ids, numbered, pick
from health_pipeline.sources.demo.people import People
from health_pipeline.sources.demo.wording import SURVEY_COMMENTS
from health_pipeline.sources.demo.world import World

_EVERY_WEEKS = 13
_ASKED = 3
_BARE_SHARE = 0.06
_COMMENTS = [comment for comments in SURVEY_COMMENTS.values() for comment in comments]


def survey_deliveries(world: World, people: People) -> list[Deliveries]:
    """Answers to the quarterly survey, each account in a week of its own so that answers come in every week."""
    rng = world.stream("survey")
    turn = rng.integers(0, _EVERY_WEEKS, world.count)
    is_turn = (np.arange(WEEKS)[None, :] % _EVERY_WEEKS) == turn[:, None]
    asked = is_turn & world.contracts.is_live & world.is_known["survey"][:, None]
    account, week = (np.repeat(values, _ASKED) for values in np.nonzero(asked))
    contact = people.first[account] + np.arange(len(account)) % _ASKED
    sent_at = week_start(week) + days(1.4)
    responded_at = sent_at + days(rng.exponential(2.2, len(account)) + 0.02)
    state = world.state
    sponsorship = state.sponsorship[account, week]
    answers = rng.random(len(account)) < np.clip(0.12 + 0.45 * sponsorship, 0.05, 0.8)
    answers &= people.is_there(contact, sent_at) & world.in_contract(account, responded_at) & (responded_at < END)
    mood = 0.5 * state.value[account, week] + 0.3 * state.quality[account, week] + 0.2 * sponsorship
    mood = mood - 0.1 * (state.price_pressure[account, week] - 0.35)
    score = np.clip(np.round(8.3 + 15 * (mood - 0.65) + rng.normal(0, 1.5, len(account))), 0, 10)
    group = np.where(score <= 6, 0, np.where(score <= 8, 1, 2))
    comment = np.where(rng.random(len(account)) < 0.5, group * 3 + rng.integers(0, 3, len(account)), -1)
    kept = np.flatnonzero(answers)
    kept = kept[np.argsort(responded_at[kept], kind="stable")]
    at = responded_at[kept]
    # Some answers carry the address they were sent to and no account.
    is_bare = rng.random(len(kept)) < _BARE_SHARE
    quarter = pick([f"nps-{number:02d}" for number in range(WEEKS // _EVERY_WEEKS)], week[kept] // _EVERY_WEEKS)
    table = contract_table(
        "survey_response",
        "survey",
        len(kept),
        {
            "response_id": ids("nps-", numbered(at), 7),
            "survey_type": "nps",
            "survey_id": quarter,
            "source_account_id": pick(world.source_ids["survey"], np.where(is_bare, -1, account[kept])),
            "contact_email": people.email.take(pa.array(contact[kept])),
            "score": score[kept],
            "scale_min": 0.0,
            "scale_max": 10.0,
            "comment": pick(_COMMENTS, comment[kept]),
            "sent_at": sent_at[kept],
            "responded_at": at,
            "source_created_at": at,
            "source_updated_at": at,
        },
    )
    effort, effort_at = _effort(world, people)
    loads = [load_of(at), load_of(effort_at)]
    return [Deliveries("survey_response", pa.concat_tables([table, effort]), np.concatenate(loads))]


def _effort(world: World, people: People) -> tuple[pa.Table, np.ndarray]:
    """Answers on how easy it was to get something done (1 to 7, high is easy), asked about twice a year."""
    rng = world.stream("effort")
    account, week = world.happenings(rng, np.full((1, 1), 2 / 52), "survey")
    contact = people.first[account] + rng.integers(0, _ASKED, len(account))
    responded_at = week_start(week) + days(2.4 + rng.exponential(1.5, len(account)))
    answers = rng.random(len(account)) < 0.3
    answers &= people.is_there(contact, responded_at) & world.in_contract(account, responded_at) & (responded_at < END)
    kept = np.flatnonzero(answers)
    kept = kept[np.argsort(responded_at[kept], kind="stable")]
    account, week, at = account[kept], week[kept], responded_at[kept]
    ease = 5.2 + 6.0 * (world.state.quality[account, week] - 0.69) + rng.normal(0, 1.1, len(kept))
    table = contract_table(
        "survey_response",
        "survey",
        len(kept),
        {
            "response_id": ids("ces-", numbered(at), 7),
            "survey_type": "ces",
            "survey_id": "ease-of-use",
            "source_account_id": world.account_ids("survey", account),
            "contact_email": people.email.take(pa.array(contact[kept])),
            "score": np.clip(np.round(ease), 1, 7),
            "scale_min": 1.0,
            "scale_max": 7.0,
            "sent_at": week_start(week) + days(2.35),
            "responded_at": at,
            "source_created_at": at,
            "source_updated_at": at,
        },
    )
    return table, at
