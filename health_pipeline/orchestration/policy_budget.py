"""`policy budget` at the terminal: each signal's accounts over the last weeks, beside those of other documents."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.mart.published import published_file, read_published
from health_pipeline.policy.company import load_company
from health_pipeline.policy.risk_signals import load_risk_signals
from health_pipeline.risk.budget import SignalBudget, changed_signals, signal_budgets
from health_pipeline.settings import Settings


@dataclass(frozen=True)
class PolicyBudget:
    """What `policy budget` found.

    Attributes
    ----------
    weeks : the published weeks counted, oldest first
    now : of the documents in force
    then : of the folder's documents; None where none was given
    changes : `new`, `changed` or `gone` by signal id
    """

    weeks: tuple[date, ...]
    now: tuple[SignalBudget, ...]
    then: tuple[SignalBudget, ...] | None
    changes: dict[str, str]


def policy_budget(settings: Settings, folder: Path | None, weeks: int) -> PolicyBudget:
    """Count over the newest published weeks; nothing is published.

    Raises
    ------
    FileNotFoundError
        If nothing is published yet.
    PolicyError
        If a document can't be used.
    """
    mondays = _newest_weeks(settings, weeks)
    features = {monday: read_published(settings, "account_features_weekly", weeks=[Week(monday)]) for monday in mondays}
    off = load_company(settings.policy).model.not_applicable_domains
    in_force = load_risk_signals(settings.policy).model
    now = tuple(signal_budgets(features, in_force, off))
    if folder is None:
        return PolicyBudget(tuple(mondays), now, None, {})
    other = load_risk_signals(folder).model
    other_off = load_company(folder).model.not_applicable_domains
    then = tuple(signal_budgets(features, other, other_off))
    return PolicyBudget(tuple(mondays), now, then, changed_signals(in_force, other))


def _newest_weeks(settings: Settings, weeks: int) -> list[date]:
    path = published_file(settings)
    if path is None:
        raise FileNotFoundError("Nothing is published yet; run the weekly review first.")
    with open_duckdb(path, read_only=True) as connection:
        rows = connection.execute(
            "select distinct week from account_features_weekly order by week desc limit ?", [weeks]
        ).fetchall()
    return sorted(row[0] for row in rows)


def policy_budget_text(found: PolicyBudget) -> Iterator[RenderableType]:
    """The counts in reading order: what they are, the table, what can't be told."""
    yield (
        f"Accounts on which each signal would have fired, in {len(found.weeks)} published weeks from {found.weeks[0]} "
        f"to {found.weeks[-1]}. Nothing is published."
    )
    yield _table(found)
    silent = [one.signal.id for one in found.then or found.now if not one.known and one.is_applicable]
    if silent:
        yield f"Not known in these weeks, because what they read was not published yet: {', '.join(silent)}."
    off = [one.signal.id for one in found.then or found.now if not one.is_applicable]
    if off:
        yield f"Not evaluated, because the company does not have what they read: {', '.join(off)}."


def _table(found: PolicyBudget) -> Table:
    table = Table("signal", "category", "weighs", box=None, pad_edge=False)
    for heading in ("newest", "median", "most", "can't tell"):
        table.add_column(heading, justify="right")
    if found.then is None:
        for one in found.now:
            table.add_row(one.signal.id, one.signal.category, one.signal.contribution, *_figures(one))
        return table
    for heading in ("change", "newest then", "median then", "most then"):
        table.add_column(heading, justify="right")
    now = {one.signal.id: one for one in found.now}
    then = {one.signal.id: one for one in found.then}
    for name in dict.fromkeys([*now, *then]):
        one = then.get(name) or now[name]
        figures = _figures(now[name]) if name in now else ("",) * 4
        others = _figures(then[name])[:3] if name in then else ("",) * 3
        change = found.changes.get(name, "")
        table.add_row(name, one.signal.category, one.signal.contribution, *figures, change, *others)
    return table


def _figures(one: SignalBudget) -> tuple[str, ...]:
    if not one.is_applicable:
        return ("", "", "", "")
    return (*("?" if value is None else f"{value:g}" for value in (one.newest, one.usual, one.most)), f"{one.unknown}")


def write_budget(budgets: Sequence[SignalBudget], path: Path) -> None:
    """Write signal, week and accounts as CSV; empty where the week could not tell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["signal", "category", "week", "accounts"])
        for one in budgets:
            for week, count in one.accounts.items():
                writer.writerow([one.signal.id, one.signal.category, week, "" if count is None else count])
