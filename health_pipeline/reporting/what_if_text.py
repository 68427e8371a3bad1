"""`policy what-if` at the terminal and as CSV: reads the release, says who would move, publishes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.published import published_file, read_published
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.policy.documents import Document
from health_pipeline.policy.wording import TIER_WORDS, counted, readable
from health_pipeline.reporting.explain import newest_week
from health_pipeline.reporting.explanation_words import tier_word
from health_pipeline.reporting.what_if import (
    DOCUMENTS,
    JudgingDocuments,
    PublishedState,
    WhatIf,
    check_folder,
    what_if,
)
from health_pipeline.scoring.weekly import PreviousWeek
from health_pipeline.settings import Settings

SHOWN = 40
# What of company.yaml the scorer itself reads; the rest works through the features, which are taken as published.
SCORED_FIELDS = {"not_applicable_domains", "company_name", "data_owner_email", "segment_adoption", "time_zone"}


def published_state(settings: Settings, weeks: list[Week]) -> PublishedState:
    """Read what the replay needs from the current release.

    Raises
    ------
    ValueError
        If one of the weeks is not published.
    """
    features = read_published(settings, "account_features_weekly", weeks=weeks)
    health = read_published(settings, "account_health_weekly", weeks=weeks)
    there = set(health["week"].to_pylist())
    if missing := [week for week in weeks if week.monday not in there]:
        raise ValueError(
            f"{missing[0]} is not published; there are {len(there)} weeks up to {weeks[-1]}: ask for fewer."
        )
    before = [weeks[0].shift(-1)]
    return PublishedState(
        features=features,
        segments=health.select(["account_id", "week", "segment", "segment_model_id"]).to_pandas(),
        previous=PreviousWeek(
            health=read_published(settings, "account_health_weekly", weeks=before),
            contributions=read_published(settings, "score_contributions_weekly", weeks=before),
            features=read_published(settings, "account_features_weekly", weeks=before),
        ),
        previous_plan=read_published(settings, "action_plan_weekly", weeks=before),
        overrides=health.filter(pc.is_valid(health["override_tier"])),
    )


def run_what_if(settings: Settings, folder: Path, weeks: int) -> tuple[WhatIf, list[str]]:
    """Compare the documents of a folder with those in force on the newest published weeks.

    Parameters
    ----------
    settings : where state lives, and which policy is in force
    folder : as it would be named by HEALTH_POLICY
    weeks : how many of the newest published weeks

    Returns
    -------
    The comparison, and sentences about what it leaves out.

    Raises
    ------
    PolicyError
        If a document can't be used, or the folder has none.
    ValueError
        If so many weeks are not published.
    """
    check_folder(folder)
    if published_file(settings) is None:
        raise ValueError(f"Nothing is published under {settings.published}; run `health-pipeline weekly` first.")
    in_force, proposed = JudgingDocuments.of(settings.policy), JudgingDocuments.of(folder)
    newest = newest_week(settings)
    chosen = [newest.shift(-back) for back in reversed(range(weeks))]
    compared = what_if(published_state(settings, chosen), chosen, in_force, proposed)
    return compared, _notes(settings, folder, in_force, proposed)


def _notes(settings: Settings, folder: Path, in_force: JudgingDocuments, proposed: JudgingDocuments) -> list[str]:
    notes = []
    for name in DOCUMENTS:
        own = settings.policy / f"{name}.yaml" if settings.policy else None
        if own is not None and own.is_file() and not (folder / f"{name}.yaml").is_file():
            notes.append(
                f"{folder} has no {name}.yaml: the built-in one is used and not {own}, as in a run with that folder."
            )
    if fields := changed_features(in_force.company, proposed.company):
        notes.append(
            f"company.yaml differs in {', '.join(fields)}: features are taken as published, so what that changes about "
            "them is not in this."
        )
    return notes


def changed_features(in_force: Document[CompanyPolicy], proposed: Document[CompanyPolicy]) -> list[str]:
    """Fields of company.yaml that differ and would change features."""
    before, after = in_force.model.model_dump(), proposed.model.model_dump()
    return [name for name in before if before[name] != after[name] and name not in SCORED_FIELDS]


def what_if_text(
    compared: WhatIf, notes: list[str], names: Mapping[str, str], folder: Path
) -> Iterator[RenderableType]:
    """The comparison in reading order: how it was made, counts by tier, who moves, the plan's line."""
    first, newest = compared.weeks[0], compared.weeks[-1]
    span = f"the week of {newest}" if first == newest else f"{len(compared.weeks)} weeks from {first} to {newest}"
    yield (
        f"{folder} against the documents in force, on {span}: published features, scored anew from the published tier "
        f"path of {first.shift(-1)} on. Nothing is published."
    )
    for note in notes:
        yield f"[yellow]{escape(note)}[/yellow]"
    yield _counts(compared)
    moved = compared.moved
    if moved.empty:
        yield f"[bold]Nobody would move[/bold] of {counted(len(compared.accounts), 'account')}."
    else:
        yield f"[bold]{counted(len(moved), 'account')} of {len(compared.accounts)} would move[/bold] in {newest}:"
        yield _movers(moved.head(SHOWN), names)
        if len(moved) > SHOWN:
            yield f"and {len(moved) - SHOWN} more; --output FILE.csv writes them all."
    enters, leaves = compared.plan_changes
    yield (
        f"Plan: {counted(len(enters), 'account')} would come within the owners' hours, {len(leaves)} would leave them."
    )


def _counts(compared: WhatIf) -> Table:
    table = Table("tier", box=None, pad_edge=False)
    for heading in ("before", "after", "change"):
        table.add_column(heading, justify="right")
    counts = compared.tiers
    for tier in TIER_WORDS:
        if tier in counts.index:
            before, after = (int(counts[side][tier]) for side in ("before", "after"))
            table.add_row(tier_word(tier), str(before), str(after), f"{after - before:+d}" if after != before else "")
    return table


def _movers(moved: pd.DataFrame, names: Mapping[str, str]) -> Table:
    table = Table("account", "name", "tier before", "tier after", box=None, pad_edge=False)
    for heading in ("score before", "score after"):
        table.add_column(heading, justify="right")
    table.add_column("main measure")
    for row in moved.to_dict("records"):
        change = f"({row['main_measure_change']:+.2f})"
        measure = "" if pd.isna(row["main_measure"]) else f"{readable(row['main_measure'])} {change}"
        table.add_row(
            row["account_id"],
            escape(names.get(row["account_id"], "")),
            tier_word(row["tier_before"]),
            tier_word(row["tier_after"]),
            _score(row["score_before"]),
            _score(row["score_after"]),
            measure,
        )
    return table


def _score(score: float) -> str:
    return "none" if pd.isna(score) else f"{score:.2f}"


def write_csv(compared: WhatIf, path: Path) -> None:
    """Write a row per account of the newest week: ids and numbers, no names."""
    compared.accounts.sort_values("account_id").to_csv(path, index=False)
