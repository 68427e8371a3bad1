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

_NAMES = ("Onboarding", "Rollout to another team", "Migration to the new tenant")
_ONBOARDING, _ROLLOUT, _MIGRATION = range(3)
_MILESTONES = ("Kick-off", "Configuration", "Integration", "Go-live")
_PLANNED_SHARES = (0.05, 0.35, 0.7, 1.0)
_GO_LIVE = 3
_NEVER_GONE = np.iinfo(np.int64).max


@dataclass(frozen=True)
class _Projects:
    """Arrays of shape (projects,); `slipped_at` is when the plan was given up, `delay_days` by how much."""

    account: np.ndarray
    kind: np.ndarray
    started_at: np.ndarray
    due_at: np.ndarray
    warned_at: np.ndarray
    slipped_at: np.ndarray
    delay_days: np.ndarray
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
    rolled_out, rollout_week = world.happenings(rng, np.full((1, 1), 0.009), "projects")
    migrating = np.flatnonzero(stories.accounts_in("planned_migration"))
    late_story = np.flatnonzero(slips_at_first & ~recent)
    account = np.concatenate([onboarding, rolled_out, migrating, late_story])
    kind = np.repeat(
        [_ONBOARDING, _ROLLOUT, _MIGRATION, _ROLLOUT],
        [len(onboarding), len(rolled_out), len(migrating), len(late_story)],
    )
    started_at = np.concatenate(
        [
            accounts.started_at[onboarding] + days(2),
            week_start(rollout_week) + days(1.4),
            week_start(stories.start_week[migrating] - 2) + days(1.4),
            week_start(stories.start_week[late_story] - 4) + days(1.4),
        ]
    )
    kept = world.in_contract(account, started_at)
    account, kind, started_at = account[kept], kind[kept], started_at[kept]
    count = len(account)
    length = np.where(kind == _MIGRATION, 56.0, rng.uniform(60, 110, count))
    is_planted = slips_at_first[account] & (kind != _MIGRATION)
    slips_by_chance = (rng.random(count) < 0.12) & (kind != _MIGRATION)
    story_at = week_start(np.where(is_planted, stories.start_week[account], 0)) + days(2.3)
    slipped_at = np.where(
        is_planted,
        np.maximum(story_at, started_at + days(10)),
        np.where(slips_by_chance, started_at + days(length * rng.uniform(0.4, 0.8, count)), NEVER),
    )
    delay = np.where(is_planted, rng.uniform(80, 160, count), np.where(slips_by_chance, rng.uniform(14, 45, count), 0))
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
    is_red = has_slipped & (projects.delay_days[record] > 60)
    rag = np.where(is_done, 0, np.where(is_red, 2, (has_slipped | (at >= projects.warned_at[record])).astype(int)))
    is_stopped = at >= projects.stopped_at[record]
    due_at = projects.due_at[record] + np.where(has_slipped, days(projects.delay_days[record]), days(0))
    table = contract_table(
        "pm_project",
        "projects",
        len(record),
        {
            "project_id": ids("proj-", record + 1),
            "source_account_id": world.account_ids("projects", account),
            "name": pick(_NAMES, projects.kind[record]),
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
