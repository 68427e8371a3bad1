"""Delivery projects and their milestones: onboarding, later rollouts, planned migrations, and the ones that slip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.sources.demo.accounts import OWNERS
from health_pipeline.sources.demo.calendar import HISTORY_START, NEVER, days, load_of, week_index, week_start
from health_pipeline.sources.demo.columns import (
    Deliveries,
    complete,
    contract_table,
    ids,
    known_by,
    pick,
    versions_at,
)
from health_pipeline.sources.demo.world import World

_ONBOARDING, _ROLLOUT, _MIGRATION = range(3)
_MILESTONES = ("Kick-off", "Configuration", "Integration", "Go-live")
_PLANNED_SHARES = (0.05, 0.35, 0.7, 1.0)
_GO_LIVE = 3
_NEVER_GONE = np.iinfo(np.int64).max


@dataclass(frozen=True)
class _Projects:
    """Arrays of shape (projects,); `slipped_at` is when the plan was given up or moved, `delay_days` by how much."""

    account: np.ndarray
    kind: np.ndarray
    started_at: np.ndarray
    due_at: np.ndarray
    warned_at: np.ndarray
    slipped_at: np.ndarray
    delay_days: np.ndarray
    is_agreed: np.ndarray
    completed_at: np.ndarray
    stopped_at: np.ndarray


def project_deliveries(world: World) -> list[Deliveries]:
    """Projects and milestones; the tool is small and delivers everything each time."""
    projects = _draw_projects(world)
    return [_projects(world, projects), _milestones(world, projects)]


def _draw_projects(world: World) -> _Projects:
    rng = world.stream("projects")
    accounts, stories = world.accounts, world.stories
    known = world.is_known["projects"]
    recent = known & (accounts.started_at >= HISTORY_START - days(300))
    onboarding = np.flatnonzero(recent)
    slips_at_first = stories.accounts_in("delivery_slip")
    rolled_out, rollout_week = world.happenings(rng, np.full((1, 1), world.profile.projects_per_week), "projects")
    migrating = np.flatnonzero(stories.accounts_in("planned_migration"))
    late_story = np.flatnonzero(slips_at_first & ~recent)
    agreed = np.flatnonzero(stories.accounts_in("agreed_delay"))
    asking = np.flatnonzero(stories.accounts_in("rollout_questions"))
    # Which accounts, what kind of project, and when each begins; those of a story some weeks before it.
    parts = (
        (onboarding, _ONBOARDING, accounts.started_at[onboarding] + days(2)),
        (rolled_out, _ROLLOUT, week_start(rollout_week) + days(1.4)),
        (migrating, _MIGRATION, week_start(stories.start_week[migrating] - 2) + days(1.4)),
        (late_story, _ROLLOUT, week_start(stories.start_week[late_story] - 4) + days(1.4)),
        (agreed, _ROLLOUT, week_start(stories.start_week[agreed] - 5) + days(1.4)),
        (asking, _ROLLOUT, week_start(stories.start_week[asking] - 1) + days(1.4)),
    )
    account = np.concatenate([part[0] for part in parts])
    kind = np.repeat([part[1] for part in parts], [len(part[0]) for part in parts])
    started_at = np.concatenate([part[2] for part in parts])
    order = np.argsort(started_at, kind="stable")
    account, kind, started_at = account[order], kind[order], started_at[order]
    kept = world.in_contract(account, started_at)
    account, kind, started_at = account[kept], kind[kept], started_at[kept]
    count = len(account)
    length = np.where(kind == _MIGRATION, 56.0, rng.uniform(60, 110, count))
    is_planted = slips_at_first[account] & (kind != _MIGRATION)
    # Moved because the customer wants it so: the project in hand when the story begins, and nothing turns amber.
    begins = week_start(np.where(stories.accounts_in("agreed_delay")[account], stories.start_week[account], -999))
    is_agreed = (started_at < begins) & (begins < started_at + days(60)) & (kind == _ROLLOUT)
    is_calm = is_agreed | stories.accounts_in("rollout_questions")[account]
    slips_by_chance = (rng.random(count) < 0.12) & (kind != _MIGRATION) & ~is_calm
    story_at = week_start(np.where(is_planted, stories.start_week[account], 0)) + days(2.3)
    slipped_at = np.where(
        is_planted,
        np.maximum(story_at, started_at + days(10)),
        np.where(slips_by_chance, started_at + days(length * rng.uniform(0.4, 0.8, count)), NEVER),
    )
    slipped_at = np.where(is_agreed, begins + days(2.3), slipped_at)
    delay = np.where(is_planted, rng.uniform(80, 160, count), np.where(slips_by_chance, rng.uniform(14, 45, count), 0))
    delay = np.where(is_agreed, rng.uniform(56, 100, count), delay)
    value = world.state.value[account, np.clip(week_index(started_at), 0, 103)]
    drag = rng.uniform(-6, 12, count) * (1.2 - value)
    stopped_at = world.contracts.ended_at[account]
    completed_at = started_at + days(length + delay + drag)
    return _Projects(
        account=account,
        kind=kind,
        started_at=started_at,
        due_at=started_at + days(length),
        warned_at=np.where(is_planted, slipped_at - days(7), NEVER),
        slipped_at=slipped_at,
        delay_days=delay,
        is_agreed=is_agreed,
        completed_at=np.where(
            completed_at < stopped_at, completed_at, np.where(np.isnat(stopped_at), completed_at, NEVER)
        ),
        stopped_at=np.where(stopped_at <= completed_at, stopped_at, NEVER),
    )


def _projects(world: World, projects: _Projects) -> Deliveries:
    record, at = versions_at(
        projects.started_at, projects.warned_at, projects.slipped_at, projects.completed_at, projects.stopped_at
    )
    account = projects.account[record]
    has_slipped, is_done = at >= projects.slipped_at[record], at >= projects.completed_at[record]
    is_late = has_slipped & ~projects.is_agreed[record]
    is_red = is_late & (projects.delay_days[record] > 60)
    rag = np.where(is_done, 0, np.where(is_red, 2, (is_late | (at >= projects.warned_at[record])).astype(int)))
    is_stopped = at >= projects.stopped_at[record]
    due_at = projects.due_at[record] + np.where(has_slipped, days(projects.delay_days[record]), days(0))
    table = contract_table(
        "pm_project",
        "projects",
        len(record),
        {
            "project_id": ids("proj-", record + 1),
            "source_account_id": world.account_ids("projects", account),
            "name": pick(world.profile.projects, projects.kind[record]),
            "status": pick(("active", "completed", "cancelled"), np.where(is_done, 1, np.where(is_stopped, 2, 0))),
            "rag": pick(("green", "amber", "red"), rag),
            "phase": pick(("delivery", "closed"), (is_done | is_stopped).astype(int)),
            "start_date": projects.started_at[record],
            "due_date": due_at,
            "completed_at": known_by(projects.completed_at[record], at),
            "owner_email": pick(OWNERS, (account + 3) % len(OWNERS)),
            "source_created_at": projects.started_at[record],
            "source_updated_at": at,
        },
    )
    return complete("pm_project", table, record, load_of(at), np.full(len(record), _NEVER_GONE))


def _milestones(world: World, projects: _Projects) -> Deliveries:
    rng = world.stream("milestones")
    steps = len(_MILESTONES)
    project = np.repeat(np.arange(len(projects.account)), steps)
    step = np.tile(np.arange(steps), len(projects.account))
    started_at = projects.started_at[project]
    length = (projects.due_at[project] - started_at) / days(1)
    planned_at = started_at + days(length * np.array(_PLANNED_SHARES)[step])
    late_days = rng.exponential(2, len(project)) + projects.delay_days[project] * (
        planned_at > projects.slipped_at[project]
    )
    completed_at = planned_at + days(late_days)
    completed_at = np.where(step == _GO_LIVE, projects.completed_at[project], completed_at)
    ceiling = projects.completed_at[project]
    completed_at = np.where(completed_at > ceiling, ceiling, completed_at)
    completed_at = np.where(completed_at >= projects.stopped_at[project], NEVER, completed_at)
    # The plan is moved when it is given up: open milestones get their new dates then.
    moved_at = np.where(completed_at <= projects.slipped_at[project], NEVER, projects.slipped_at[project])
    record, at = versions_at(started_at, moved_at, completed_at)
    is_moved = (at >= moved_at[record]) & (planned_at[record] > moved_at[record])
    due_at = planned_at[record] + np.where(is_moved, days(projects.delay_days[project[record]]), days(0))
    is_done = at >= completed_at[record]
    table = contract_table(
        "pm_milestone",
        "projects",
        len(record),
        {
            "milestone_id": ids("ms-", record + 1),
            "project_id": ids("proj-", project[record] + 1),
            "name": pick(_MILESTONES, step[record]),
            "status": pick(("open", "completed"), is_done.astype(int)),
            "baseline_due_date": planned_at[record],
            "due_date": due_at,
            "completed_at": known_by(completed_at[record], at),
            "is_go_live": step[record] == _GO_LIVE,
            "source_created_at": started_at[record],
            "source_updated_at": at,
        },
    )
    return complete("pm_milestone", table, record, load_of(at), np.full(len(record), _NEVER_GONE))
