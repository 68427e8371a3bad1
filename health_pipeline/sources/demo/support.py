"""The support desk: tickets as they stood at each load, the messages in them, and satisfaction answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.sources.demo.calendar import END, NEVER, days, load_of, office_moment
from health_pipeline.sources.demo.columns import (
    Deliveries,
    contract_table,
    ids,
    known_by,
    numbered,
    pick,
    versions_at,
)
from health_pipeline.sources.demo.people import People
from health_pipeline.sources.demo.wording import (
    AGENT_REPLIES,
    CUSTOMER_REPLIES,
    INTERNAL_REMARKS,
    TICKET_KINDS,
    TICKET_TYPES,
    TICKETS,
    ticket_texts,
)
from health_pipeline.sources.demo.world import World

_PRIORITIES = ("low", "normal", "high", "urgent")
_CHANNELS = ("email", "web", "chat")
_STATUS = ("new", "open", "pending", "hold", "solved", "closed")
_NEW, _OPEN, _PENDING, _HOLD, _SOLVED, _CLOSED = range(6)
_WITHOUT_ACCOUNT_SHARE, _PLACED_LATER_SHARE = 0.012, 0.012
_WITHOUT_BODY_SHARE, _WITHOUT_TYPE_SHARE = 0.03, 0.04


@dataclass(frozen=True)
class Tickets:
    """Every ticket; arrays of shape (tickets,). What happened when, NaT for never; `number` is its id's."""

    account: np.ndarray
    contact: np.ndarray
    text: np.ndarray
    priority: np.ndarray
    created_at: np.ndarray
    replied_at: np.ndarray
    escalated_at: np.ndarray
    lowered_at: np.ndarray
    held_at: np.ndarray
    solved_at: np.ndarray
    reopened_at: np.ndarray
    solved_again_at: np.ndarray
    closed_at: np.ndarray
    number: np.ndarray


def support_deliveries(world: World, people: People) -> list[Deliveries]:
    """Tickets, messages and satisfaction answers."""
    tickets = _draw_tickets(world, people)
    return [_tickets(world, people, tickets), _messages(world, tickets), _satisfaction(world, people, tickets)]


def _about(world: World, rng: np.random.Generator, account: np.ndarray, week: np.ndarray) -> np.ndarray:
    """What each ticket is about, as an index into TICKET_KINDS."""
    stories = world.stories
    quality = world.state.quality[account, week]
    about = np.where(rng.random(len(account)) < np.clip(1.25 - 1.25 * quality, 0.05, 0.95), 1, 0)

    def planted(story: str, kind: str, share: float, about: np.ndarray) -> np.ndarray:
        on = stories.is_on(story)[account, week] & (rng.random(len(account)) < share)
        return np.where(on, TICKET_KINDS.index(kind), about)

    about = planted("defect_storm", "storm", 0.75, about)
    about = planted("value_never_reached", "no_value", 0.6, about)
    about = planted("competitor_evaluation", "competitor", 0.35, about)
    about = planted("planned_migration", "migration", 0.5, about)
    about = planted("automation_burst", "automation", 0.6, about)
    about = planted("automation_replaces_logins", "automation", 0.4, about)
    about = planted("rollout_questions", "rollout", 0.8, about)
    about = planted("narrow_use", "no_value", 0.35, about)
    return planted("expansion_pull", "growth", 0.3, about)


def _draw_tickets(world: World, people: People) -> Tickets:
    rng = world.stream("tickets")
    state, stories = world.state, world.stories
    size = np.sqrt(world.accounts.seats / 11.0)[:, None]
    rate = 0.16 * size * np.exp(2.4 * (0.69 - state.quality)) * np.clip(state.season, 0.5, 1.0)
    rate = rate * np.where(stories.is_on("defect_storm"), 3.5, 1.0)
    rate = rate * np.where(stories.is_on("rollout_questions"), 3.0, 1.0) + 0.5 * stories.is_on("rollout_questions")
    rate = rate + 0.25 * stories.is_on("value_never_reached") + 0.12 * stories.is_on("competitor_evaluation")
    rate = rate + 0.12 * stories.is_on("narrow_use")
    rate = rate * np.where(stories.is_on("quiet_decline"), 0.3, 1.0)
    account, week = world.happenings(rng, rate, "support")
    created_at = office_moment(rng, week)
    kept = world.in_contract(account, created_at)
    account, week, created_at = account[kept], week[kept], created_at[kept]
    count = len(account)
    about = _about(world, rng, account, week)
    # The texts of one kind are neighbours in TICKETS, so a code is the kind's first text and a number within it.
    kinds = np.array([TICKET_KINDS.index(ticket.about) for ticket in TICKETS])
    first, number = np.searchsorted(kinds, about), np.bincount(kinds)[about]
    subjects = len(world.profile.subjects)
    text = (first + rng.integers(0, 1_000_000, count) % number) * subjects + rng.integers(0, subjects, count)
    quality = state.quality[account, week]
    is_defect = np.isin(about, [TICKET_KINDS.index("defect"), TICKET_KINDS.index("storm")])
    is_asking = about == TICKET_KINDS.index("rollout")
    urgency = rng.normal(0.6, 0.65, count) + 0.9 * is_defect - 0.4 * is_asking + 1.5 * (0.69 - quality)
    priority = np.clip(np.round(urgency), 0, 3).astype(np.int64)
    replied_at = created_at + days(rng.lognormal(np.log(0.16), 0.9, count) * np.where(priority > 1, 0.6, 1.2))
    wait = rng.lognormal(np.log(2.6), 1.1, count) * np.exp(2.6 * (0.69 - quality)) * np.where(is_defect, 2.0, 1.0)
    wait = wait * np.where(is_asking, 0.4, 1.0)
    solved_at = replied_at + days(wait)
    escalates = (rng.random(count) < 0.03 + 0.12 * is_defect) & (wait > 1) & (priority < 3)
    lowers = (rng.random(count) < 0.06) & (wait > 1) & (priority > 1) & ~escalates
    # What waits for another team is on hold for a while.
    holds = (rng.random(count) < 0.05 + 0.2 * is_defect) & (wait > 3)
    reopens = rng.random(count) < np.clip(0.04 + 0.5 * (0.69 - quality), 0.01, 0.5)
    reopened_at = np.where(reopens, solved_at + days(rng.uniform(0.2, 3.8, count)), NEVER)
    solved_again_at = reopened_at + days(rng.lognormal(np.log(3), 0.8, count))
    return Tickets(
        number=numbered(created_at),
        account=account,
        contact=_writers(world, people, rng, account, created_at),
        text=text,
        priority=priority,
        created_at=created_at,
        replied_at=replied_at,
        escalated_at=np.where(escalates, replied_at + days(wait * 0.5), NEVER),
        lowered_at=np.where(lowers, replied_at + days(wait * 0.3), NEVER),
        held_at=np.where(holds, replied_at + days(wait * 0.4), NEVER),
        solved_at=solved_at,
        reopened_at=reopened_at,
        solved_again_at=solved_again_at,
        closed_at=np.where(np.isnat(solved_again_at), solved_at, solved_again_at) + days(4),
    )


def _writers(world: World, people: People, rng: np.random.Generator, account: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A contact of each account who was there at that time, the account's user where the drawn one was not."""
    drawn = people.first[account] + rng.integers(0, 3, len(account))
    return np.where(people.is_there(drawn, at), drawn, people.first[account] + 2)


def _tickets(world: World, people: People, tickets: Tickets) -> Deliveries:
    rng = world.stream("ticket fields")
    count = len(tickets.account)
    drawn = rng.random(count)
    placed_later = (drawn > _WITHOUT_ACCOUNT_SHARE) & (drawn < _WITHOUT_ACCOUNT_SHARE + _PLACED_LATER_SHARE)
    # Written from an address nobody knows, until an agent finds out whose it is.
    placed_at = np.where(placed_later, tickets.replied_at + days(rng.uniform(0.1, 9, count)), NEVER)
    record, at = versions_at(
        tickets.created_at,
        placed_at,
        tickets.replied_at,
        tickets.escalated_at,
        tickets.lowered_at,
        tickets.held_at,
        tickets.solved_at,
        tickets.reopened_at,
        tickets.solved_again_at,
        tickets.closed_at,
    )
    is_anonymous = (drawn < _WITHOUT_ACCOUNT_SHARE)[record] | (placed_later[record] & ~(at >= placed_at[record]))
    lacks_body = (rng.random(count) < _WITHOUT_BODY_SHARE)[record]
    lacks_type = (rng.random(count) < _WITHOUT_TYPE_SHARE)[record]
    channel, minutes = rng.integers(0, 3, count)[record], rng.integers(8, 120, count)[record]
    has_reply, is_escalated = at >= tickets.replied_at[record], at >= tickets.escalated_at[record]
    is_reopened = at >= tickets.reopened_at[record]
    solved_at = np.where(is_reopened, tickets.solved_again_at[record], tickets.solved_at[record])
    is_solved, is_closed = at >= solved_at, at >= tickets.closed_at[record]
    status = np.where(has_reply, np.where(is_reopened, _OPEN, _PENDING), _NEW)
    status = np.where((at >= tickets.held_at[record]) & ~is_reopened, _HOLD, status)
    status = np.where(is_closed, _CLOSED, np.where(is_solved, _SOLVED, status))
    priority = np.minimum(tickets.priority[record] + is_escalated, 3) - (at >= tickets.lowered_at[record])
    text, account = tickets.text[record], tickets.account[record]
    promised = np.where(priority > 1, days(0.25), days(1.0))
    late = (tickets.replied_at - tickets.created_at)[record] > promised
    email = people.email.take(pa.array(tickets.contact[record]))
    subjects = world.profile.subjects
    about = pick([f'{{"feature_key":"{subject}"}}' for subject in subjects], text % len(subjects))
    texts = ticket_texts(subjects)
    table = contract_table(
        "support_ticket",
        "support",
        len(record),
        {
            "ticket_id": ids("T", tickets.number[record], 7),
            "source_account_id": pick(world.source_ids["support"], np.where(is_anonymous, -1, account)),
            "requester_email": pc.if_else(pa.array(is_anonymous), pa.scalar("someone@gmail.com"), email),
            "subject": pick(texts.subjects, text),
            "body": pick(texts.bodies, np.where(lacks_body, -1, text)),
            "type": pick(TICKET_TYPES, np.where(lacks_type, -1, text // len(subjects))),
            "channel": pick(_CHANNELS, channel),
            "status": pick(_STATUS, status),
            "priority": pick(_PRIORITIES, priority),
            "is_escalated": is_escalated,
            "created_at": tickets.created_at[record],
            "first_response_at": known_by(tickets.replied_at[record], at),
            "solved_at": known_by(solved_at, at),
            "closed_at": known_by(tickets.closed_at[record], at),
            "reopen_count": is_reopened.astype(np.int64),
            "sla_breached": late & has_reply,
            "minutes_spent": np.where(has_reply, minutes, 0) + np.where(is_solved, minutes // 2, 0),
            "custom": about if world.profile.has_product else None,
            "source_created_at": tickets.created_at[record],
            "source_updated_at": at,
        },
    )
    return Deliveries("support_ticket", table, load_of(at))


def _messages(world: World, tickets: Tickets) -> Deliveries:
    rng = world.stream("messages")
    count = len(tickets.account)
    rows = np.arange(count)
    follows_up = rng.random(count) < 0.45
    middle = tickets.replied_at + (tickets.solved_at - tickets.replied_at) // 2
    remarked = np.where(rng.random(count) < 0.2, tickets.replied_at + days(0.02), NEVER)
    # Who writes, whether the customer can read it, when, and which of the texts.
    authors: tuple[tuple[int, int, bool, np.ndarray], ...] = (
        (0, 0, True, tickets.created_at),
        (1, 1, True, tickets.replied_at),
        (0, 2, True, np.where(follows_up, middle, NEVER)),
        (1, 3, False, remarked),
        (0, 2, True, tickets.reopened_at),
    )
    ticket = np.tile(rows, len(authors))
    sent_at = np.concatenate([at for *_, at in authors])
    author = np.repeat([who for who, *_ in authors], count)
    is_public = np.repeat([public for _, _, public, _ in authors], count)
    texts = (ticket_texts(world.profile.subjects).bodies, AGENT_REPLIES, CUSTOMER_REPLIES, INTERNAL_REMARKS)
    offsets = np.cumsum([0, *(len(part) for part in texts)])
    kind = np.repeat([place for _, place, _, _ in authors], count)
    drawn = rng.integers(0, 1_000_000, len(kind)) % np.array([len(part) for part in texts])[kind]
    code = offsets[kind] + np.where(kind == 0, tickets.text[ticket], drawn)
    kept = np.flatnonzero(sent_at < END)
    kept = kept[np.argsort(sent_at[kept], kind="stable")]
    table = contract_table(
        "support_message",
        "support",
        len(kept),
        {
            "message_id": ids("M", np.arange(len(kept)) + 1, 8),
            "ticket_id": ids("T", tickets.number[ticket[kept]], 7),
            "author_kind": pick(("customer", "agent"), author[kept]),
            "is_public": is_public[kept],
            "body": pick([text for part in texts for text in part], code[kept]),
            "sent_at": sent_at[kept],
            "source_created_at": sent_at[kept],
            "source_updated_at": sent_at[kept],
        },
    )
    return Deliveries("support_message", table, load_of(sent_at[kept]))


def _satisfaction(world: World, people: People, tickets: Tickets) -> Deliveries:
    rng = world.stream("satisfaction")
    count = len(tickets.account)
    responded_at = tickets.solved_at + days(rng.uniform(0.05, 2.5, count))
    answers = np.flatnonzero((rng.random(count) < 0.38) & (responded_at < END))
    hours = (tickets.solved_at - tickets.created_at)[answers] / days(1 / 24)
    week = np.clip(load_of(tickets.solved_at[answers]) + 51, 0, 103)
    quality = world.state.quality[tickets.account[answers], week]
    mood = 4.3 + 4.0 * (quality - 0.69) - 0.35 * np.log1p(hours / 72) + rng.normal(0, 0.8, len(answers))
    at = responded_at[answers]
    table = contract_table(
        "survey_response",
        "support",
        len(answers),
        {
            "response_id": ids("csat-", numbered(at), 7),
            "survey_type": "csat",
            "survey_id": "ticket-solved",
            "source_account_id": world.account_ids("support", tickets.account[answers]),
            "contact_email": people.email.take(pa.array(tickets.contact[answers])),
            "ticket_id": ids("T", tickets.number[answers], 7),
            "score": np.clip(np.round(mood), 1, 5),
            "scale_min": 1.0,
            "scale_max": 5.0,
            "sent_at": tickets.solved_at[answers] + days(0.02),
            "responded_at": at,
            "source_created_at": at,
            "source_updated_at": at,
        },
    )
    return Deliveries("survey_response", table, load_of(at))
