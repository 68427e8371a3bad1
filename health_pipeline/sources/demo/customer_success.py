"""The customer success platform: notes with the manager's pulse, goals and where they stand, treatments."""

from __future__ import annotations

import numpy as np

from health_pipeline.sources.demo.accounts import OWNERS
from health_pipeline.sources.demo.calendar import (
    END,
    HISTORY_START,
    NEVER,
    WEEKS,
    days,
    load_of,
    office_moment,
    week_index,
)
from health_pipeline.sources.demo.columns import (
    Deliveries,
    contract_table,
    ids,
    last_per_load,
    numbered,
    pick,
)
from health_pipeline.sources.demo.notes import bodies, draw_texts, subjects, turning_points
from health_pipeline.sources.demo.trials import STRATEGIES
from health_pipeline.sources.demo.world import World

_KINDS = ("note", "call", "sentiment", "business_review")
_NOTE, _CALL, _PULSE, _REVIEW = range(4)
_LATE_SHARE, _WITHOUT_DATE_SHARE = 0.03, 0.04
_GOALS = (
    ("Close the month in three days", "days to close", "days", 8.0, 3.0),
    ("Replace the spreadsheet reports", "reports replaced", "reports", 0.0, 20.0),
    ("Every planner works in the tool", "planners active", "percent", 20.0, 90.0),
    ("Halve the manual entries", "manual entries per week", "entries", 200.0, 100.0),
)
_STATUS = ("not_started", "on_track", "at_risk", "achieved", "missed", "cancelled")


def cs_deliveries(world: World) -> list[Deliveries]:
    """Notes, goals and treatments."""
    return [_notes(world), _goals(world), _treatments(world)]


def _notes(world: World) -> Deliveries:
    rng = world.stream("cs notes")
    state = world.state
    season = np.clip(state.season, 0.5, 1.0)
    quiet = np.where(world.stories.is_on("quiet_decline"), 0.5, 1.0)
    # Mean numbers a week: notes, calls, a pulse about every five weeks, a business review about every quarter.
    rates = (0.1, 0.08, 0.2, 0.3 / 13 + 0.9 / 13 * state.sponsorship)
    parts = []
    for kind, rate in enumerate(rates):
        account, week = world.happenings(rng, rate * season * (quiet if kind != _PULSE else 1.0), "cs")
        parts.append((account, week, np.full(len(account), kind)))
    account, week, kinds = (np.concatenate(values) for values in zip(*parts, strict=True))
    at = office_moment(rng, week)
    kept = world.in_contract(account, at)
    account, kinds, at = account[kept], kinds[kept], at[kept]
    text = draw_texts(world, rng, account, week[kept])
    turned, turned_at, turned_text = turning_points(world, rng)
    account, at = np.append(account, turned), np.append(at, turned_at)
    kinds, text = np.append(kinds, turned % 2), np.append(text, turned_text)
    week, count = np.clip(week_index(at), 0, WEEKS - 1), len(account)
    written_at = at + days(0.05 + np.where(rng.random(count) < _LATE_SHARE, rng.uniform(6, 14, count), 0))
    value, sponsorship = state.value[account, week], state.sponsorship[account, week]
    # Managers are optimists: half a point above what value and sponsorship say, and they see a quiet decline late.
    mood = 3.6 + 4.0 * (0.6 * value + 0.4 * sponsorship - 0.63) + rng.normal(0, 0.7, count)
    mood = mood + 0.8 * world.stories.is_on("quiet_decline")[account, week]
    pulse = np.where(kinds == _PULSE, np.clip(np.round(mood), 1, 5), 0).astype(np.int64)
    direction = np.where((kinds == _CALL) | (kinds == _REVIEW), 2, 3)
    kept = np.flatnonzero(written_at < END)
    kept = kept[np.argsort(written_at[kept], kind="stable")]
    owner = np.maximum(world.accounts.owner, 0)[account[kept]]
    written_at, at = written_at[kept], at[kept]
    table = contract_table(
        "cs_note",
        "cs",
        len(kept),
        {
            "note_id": ids("note-", np.arange(len(kept)) + 1, 7),
            "source_account_id": world.account_ids("cs", account[kept]),
            "activity_type": pick(_KINDS, kinds[kept]),
            "direction": pick(("inbound", "outbound", "two_way", "internal"), direction[kept]),
            "subject": subjects(text[kept]),
            "body": bodies(text[kept]),
            "sensitivity": pick(("normal", "sensitive"), (rng.random(count) < 0.03).astype(int)[kept]),
            "author_email": pick(OWNERS, owner),
            "duration_minutes": np.where(direction == 2, 45.0, np.nan)[kept],
            "occurred_at": at,
            "custom": pick(
                ["", *(f'{{"csm_sentiment":{number}}}' for number in range(1, 6))], pulse[kept] - (pulse[kept] == 0)
            ),
            "source_created_at": written_at,
            "source_updated_at": written_at,
        },
    )
    return Deliveries("cs_note", table, load_of(written_at))


def _goals(world: World) -> Deliveries:
    """Each account works on two goals a year; reviews set the status by how much value there is.

    A goal that was missed is taken off the list some weeks later.
    """
    rng = world.stream("goals")
    accounts = world.accounts
    per_account = np.where(world.is_known["cs"], rng.integers(3, 6, world.count), 0)
    account = np.repeat(np.arange(world.count), per_account)
    place = np.arange(len(account)) - np.repeat(np.cumsum(per_account) - per_account, per_account)
    begin = np.maximum(accounts.started_at[account], HISTORY_START - days(60)) + days(5)
    started_at = begin + days(place * 150 + rng.uniform(0, 60, len(account)))
    kept = np.flatnonzero((started_at < END) & world.in_contract(account, started_at))
    account, started_at = account[kept], started_at[kept]
    count = len(account)
    due_at = started_at + days(rng.uniform(150, 260, count))
    # Reviewed with the customer about every six weeks, rarely where nobody has time for it.
    reviews = 12
    wait = rng.uniform(30, 55, (count, reviews))
    reviewed_at = started_at[:, None] + days(np.cumsum(wait, axis=1))
    week = np.clip(week_index(reviewed_at), 0, WEEKS - 1)
    state = world.state
    value, sponsorship = state.value[account[:, None], week], state.sponsorship[account[:, None], week]
    held = rng.random((count, reviews)) < np.clip(0.35 + 0.8 * sponsorship, 0.1, 0.97)
    held &= world.in_contract(account[:, None], reviewed_at) & (reviewed_at < END)
    share = np.clip((reviewed_at - started_at[:, None]) / (due_at - started_at)[:, None], 0, None)
    progress = np.clip(share * (0.25 + 0.95 * value) + rng.normal(0, 0.06, (count, reviews)), 0, 1.2)
    progress = np.maximum.accumulate(progress, axis=1)
    status = np.where(progress >= 0.9, 3, np.where(share > 1.25, 4, np.where(progress < share * 0.8, 2, 1)))
    # Achieved or missed is the end of a goal.
    is_over = np.maximum.accumulate((status >= 3) & held, axis=1)
    held &= ~np.pad(is_over, ((0, 0), (1, 0)))[:, :-1]
    goal = np.nonzero(held)[0]
    missed = status[held] == 4
    dropped_at = reviewed_at[held][missed] + days(rng.uniform(30, 80, missed.sum()))
    dropped_at = np.where(world.in_contract(account[goal[missed]], dropped_at), dropped_at, NEVER)
    record = np.concatenate([np.arange(count), goal, goal[missed]])
    at = np.concatenate([started_at, reviewed_at[held], dropped_at])
    status_then = np.concatenate([np.zeros(count, dtype=np.int64), status[held], np.full(len(dropped_at), 5)])
    progress_then = np.concatenate([np.zeros(count), progress[held], progress[held][missed]])
    validated_at = np.concatenate([np.full(count, NEVER), reviewed_at[held], reviewed_at[held][missed]])
    kept = last_per_load(record, at)
    record, at, status_then = record[kept], at[kept], status_then[kept]
    kind = record % len(_GOALS)
    # Some goals are written down without a date.
    lacks_date = rng.random(count) < _WITHOUT_DATE_SHARE
    baseline, target = np.array([goal[3] for goal in _GOALS])[kind], np.array([goal[4] for goal in _GOALS])[kind]
    table = contract_table(
        "cs_goal",
        "cs",
        len(record),
        {
            "goal_id": ids("goal-", numbered(started_at)[record]),
            "source_account_id": world.account_ids("cs", account[record]),
            "name": pick([goal[0] for goal in _GOALS], kind),
            "status": pick(_STATUS, status_then),
            "metric": pick([goal[1] for goal in _GOALS], kind),
            "baseline_value": baseline,
            "target_value": target,
            "current_value": np.round(baseline + (target - baseline) * np.minimum(progress_then[kept], 1), 1),
            "unit": pick([goal[2] for goal in _GOALS], kind),
            "start_date": started_at[record],
            "due_date": np.where(lacks_date[record], NEVER, due_at[record]),
            "achieved_at": np.where(status_then == 3, at, NEVER),
            "last_validated_at": validated_at[kept],
            "owner_email": pick(OWNERS, accounts.owner[account[record]]),
            "source_created_at": started_at[record],
            "source_updated_at": at,
        },
    )
    return Deliveries("cs_goal", table, load_of(at))


def _treatments(world: World) -> Deliveries:
    trials = world.trials
    in_order = np.argsort(trials.at, kind="stable")
    kept = in_order[world.is_known["cs"][trials.account[in_order]]]
    kept = kept[world.in_contract(trials.account[kept], trials.at[kept])]
    account, at = trials.account[kept], trials.at[kept]
    count = len(kept)
    table = contract_table(
        "treatment",
        "cs",
        count,
        {
            "treatment_id": ids("tr-", numbered(at)),
            "source_account_id": world.account_ids("cs", account),
            "strategy": pick(STRATEGIES, trials.strategy[kept]),
            "arm": pick(("control", "treated"), trials.is_treated[kept].astype(int)),
            "is_randomised": trials.is_randomised[kept],
            "assigned_at": at,
            "source_created_at": at,
            "source_updated_at": at,
        },
    )
    return Deliveries("treatment", table, load_of(at))
