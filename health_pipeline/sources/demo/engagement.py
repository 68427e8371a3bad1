"""Calendar and mail: meetings with invited and attending people, mails in and out; some arrive weeks late."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.sources.demo.accounts import OWNERS
from health_pipeline.sources.demo.calendar import END, days, load_of, office_moment
from health_pipeline.sources.demo.columns import Deliveries, contract_table, ids, pick
from health_pipeline.sources.demo.notes import bodies, draw_texts, subjects
from health_pipeline.sources.demo.people import CHAMPION, SPONSOR, People
from health_pipeline.sources.demo.world import World

# Some meetings are entered without a list of who came.
_LATE_SHARE, _WITHOUT_LIST_SHARE = 0.03, 0.04
_MEETING, _EMAIL = range(2)


def engagement_deliveries(world: World, people: People) -> list[Deliveries]:
    """Meetings and mails as `cs_note` rows."""
    rng = world.stream("engagement")
    state, stories = world.state, world.stories
    season = np.clip(state.season, 0.45, 1.0)
    quiet = np.where(stories.is_on("quiet_decline"), 1 - 0.7 * stories.intensity("quiet_decline"), 1.0)
    quiet = quiet * np.where(stories.is_on("sponsor_leaves"), 0.5, 1.0)
    parts = []
    for kind, rate in ((_MEETING, 0.05 + 0.2 * state.sponsorship), (_EMAIL, 0.15 + 0.6 * state.sponsorship)):
        account, week = world.happenings(rng, rate * season * quiet, "engagement")
        parts.append((account, week, np.full(len(account), kind)))
    account, week, kinds = (np.concatenate(values) for values in zip(*parts, strict=True))
    at = office_moment(rng, week)
    kept = world.in_contract(account, at)
    account, week, kinds, at = account[kept], week[kept], kinds[kept], at[kept]
    count = len(account)
    is_meeting = kinds == _MEETING
    weeks_late = np.where(rng.random(count) < _LATE_SHARE, rng.uniform(5, 14, count), 0.0)
    synced_at = at + days(0.02 + weeks_late)
    answered = rng.random(count) < np.clip(0.15 + 0.75 * state.sponsorship[account, week], 0, 0.95)
    direction = np.where(is_meeting | answered, 2, np.where(rng.random(count) < 0.2, 0, 1))
    invited, attending = _attendance(world, people, rng, account, week, at, is_meeting)
    text = draw_texts(world, rng, account, week)
    is_unlisted = rng.random(count) < _WITHOUT_LIST_SHARE
    kept = np.flatnonzero(synced_at < END)
    kept = kept[np.argsort(synced_at[kept], kind="stable")]
    owner = np.where(world.accounts.owner < 0, world.count % len(OWNERS), world.accounts.owner)[account[kept]]
    table = contract_table(
        "cs_note",
        "engagement",
        len(kept),
        {
            "note_id": ids("evt-", np.arange(len(kept)) + 1, 7),
            "source_account_id": world.account_ids("engagement", account[kept]),
            "activity_type": pick(("meeting", "email"), kinds[kept]),
            "direction": pick(("inbound", "outbound", "two_way"), direction[kept]),
            "subject": subjects(text[kept]),
            # Mail bodies are synchronised; what was said in a meeting is not.
            "body": pc.if_else(pa.array(is_meeting[kept]), pa.scalar(None, pa.string()), bodies(text[kept])),
            "sensitivity": "normal",
            "author_email": pick(OWNERS, owner),
            "attendee_emails": pick(attending, np.where(is_unlisted[kept], -1, kept)),
            "invited_emails": invited.take(pa.array(kept)),
            "duration_minutes": np.where(is_meeting, 30.0 + 15 * rng.integers(0, 3, count), np.nan)[kept],
            "occurred_at": at[kept],
            "source_created_at": synced_at[kept],
            "source_updated_at": synced_at[kept],
        },
    )
    return [Deliveries("cs_note", table, load_of(synced_at[kept]))]


def _attendance(
    world: World,
    people: People,
    rng: np.random.Generator,
    account: np.ndarray,
    week: np.ndarray,
    at: np.ndarray,
    is_meeting: np.ndarray,
) -> tuple[pa.Array, pa.Array]:
    """Who was invited and who came, as addresses with commas between them; a mail has one recipient.

    Contacts come in this order: champion, economic buyer, user. Whether champion and buyer come is sponsorship at
    work; in the story of value never reached they are invited and do not come.
    """
    count = len(account)
    sponsorship = world.state.sponsorship[account, week]
    stays_away = world.stories.is_on("value_never_reached")[account, week]
    comes, is_invited = [], []
    for place in range(3):
        contact = people.first[account] + place
        there = people.is_there(contact, at)
        invited = there & (rng.random(count) < (0.9, 0.4, 0.7)[place])
        willing = (0.2 + 1.0 * sponsorship, 0.1 + 0.9 * sponsorship, np.full(count, 0.85))[place]
        willing = np.where(stays_away & np.isin(place, (CHAMPION, SPONSOR)), 0.06, willing)
        is_invited.append(invited)
        comes.append(invited & (rng.random(count) < willing))
    # A meeting nobody came to is no meeting: the user was there.
    nobody = ~np.logical_or.reduce(comes)
    comes[2] = comes[2] | nobody
    is_invited[2] = is_invited[2] | nobody
    # Mails go to one person, the first of those who would have come.
    for place in range(3):
        earlier = np.logical_or.reduce(comes[:place]) if place else np.zeros(count, dtype=bool)
        comes[place] = np.where(is_meeting, comes[place], comes[place] & ~earlier)
    return _addresses(people, account, is_invited, is_meeting), _addresses(people, account, comes, None)


def _addresses(people: People, account: np.ndarray, who: list[np.ndarray], only: np.ndarray | None) -> pa.Array:
    parts = []
    for place, chosen in enumerate(who):
        shown = chosen if only is None else chosen & only
        parts.append(pick(people.email, np.where(shown, people.first[account] + place, -1)))
    # null_handling="skip" loses the rows in which every part is null (seen with pyarrow 22 and later).
    text = pc.binary_join_element_wise(*parts, ",", null_handling="replace", null_replacement="")
    text = pc.utf8_trim(pc.replace_substring(text, ",,", ","), ",")
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
