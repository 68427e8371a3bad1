"""The verdict of a week in words: what is at risk, what needs a decision, what changed, what could not be judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from statistics import median

from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.policy.wording import counted, percent
from health_pipeline.reporting.causes import SOURCE_WORDS, common_causes
from health_pipeline.reporting.figures import listed, money, short, signed
from health_pipeline.reporting.open_tasks import URGENT, open_tasks, who_needs_a_decision
from health_pipeline.reporting.release_data import ReleaseData, Row


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader sees.

    Attributes
    ----------
    headline : one sentence
    statements : (label, sentence): what needs a decision, what changed, what could not be judged
    """

    headline: str
    statements: tuple[tuple[str, str], ...]


def revenue_of(rows: Sequence[Row]) -> Decimal | None:
    """Sum the revenue that is known; None where no row's is."""
    known = [row["arr_reporting"] for row in rows if row["arr_reporting"] is not None]
    return sum(known, Decimal(0)) if known else None


def verdict(data: ReleaseData, company: CompanyPolicy) -> Verdict:
    """Say what the week means, from the published rows alone."""
    return Verdict(
        _headline(data, company),
        (
            ("Needs a decision", _decisions(data)),
            ("Since last week", _changed(data, company)),
            ("Could not be judged", _not_judged(data, company)),
        ),
    )


def _with_revenue(rows: Sequence[Row], currency: str) -> str:
    total = revenue_of(rows)
    return "" if total is None else f", with {money(total, currency)} of annual revenue"


def _headline(data: ReleaseData, company: CompanyPolicy) -> str:
    total = len(data.health)
    at_risk = [row for row in data.health if row["effective_tier"] == "at_risk"]
    scored = sum(row["effective_tier"] != "not_scored" for row in data.health)
    if not scored:
        return f"None of {counted(total, 'account')} could be judged this week: too little was measured."
    if not at_risk:
        return f"No account is at risk: {scored:,} of {total:,} could be judged."
    verb = "is" if len(at_risk) == 1 else "are"
    text = f"{len(at_risk):,} of {counted(total, 'account')} {verb} at risk"
    text += _with_revenue(at_risk, company.reporting_currency)
    unowned = sum(not row["owner_email"] for row in at_risk)
    if not unowned:
        return text + "."
    if not any(row["owner_email"] for row in data.health):
        return text + "; no source says who owns them."
    return text + f"; {unowned:,} of them {'has' if unowned == 1 else 'have'} no owner."


def _decisions(data: ReleaseData) -> str:
    tasks = open_tasks(data)
    if not tasks:
        return "No review task is open."
    as_of = data.week + timedelta(days=7)
    urgent = sum(task["priority"] <= URGENT for task in tasks)
    late = sum(task["due_date"] < as_of for task in tasks)
    choices = sum(row["playbook"] is None for row in data.plan_accounts)
    parts = [f"{counted(len(tasks), 'review task')} {'is' if len(tasks) == 1 else 'are'} open"]
    if urgent:
        parts.append(f"{urgent:,} of first or second priority")
    if late:
        parts.append(f"{late:,} past the due date")
    text = f"{', '.join(parts)}. {who_needs_a_decision(data, tasks)}".rstrip()
    if choices:
        text += (
            f" For {counted(choices, 'account')} the next step is a person's choice alone, because it would be a save "
            "offer or a sensitive message."
        )
    return text


def _changed(data: ReleaseData, company: CompanyPolicy) -> str:
    if data.before is None:
        return "This is the first published week; there is nothing to compare it with."
    moves = Counter(row["movement"] for row in data.movements)
    words = [
        f"{moves[movement]:,} {text}"
        for movement, text in (
            ("down", "moved down"),
            ("up", "moved up"),
            ("lost_score", "lost the score"),
            ("first_scored", "scored for the first time"),
            ("appeared", "appeared"),
            ("left", "left"),
        )
        if moves[movement]
    ]
    now = sum(row["effective_tier"] == "at_risk" for row in data.health)
    earlier = [r for r in data.trend if r["week"] == data.before and r["effective_tier"] == "at_risk"]
    change = now - sum(row["accounts"] for row in earlier)
    accounts = "account" if abs(change) == 1 else "accounts"
    text = f"{signed(change)} {accounts} at risk" if change else "As many accounts at risk as before"
    revenue = revenue_of([row for row in data.health if row["effective_tier"] == "at_risk"])
    revenue_before = revenue_of(earlier)
    if revenue is not None and revenue_before is not None:
        difference = revenue - revenue_before
        if difference:
            text += (
                f", {company.reporting_currency}\N{NO-BREAK SPACE}{'+' if difference > 0 else ''}{short(difference)}"
            )
        elif not change:
            text += ", with the same revenue"
    gap = (data.week - data.before).days // 7
    against = "" if gap == 1 else f" (against {gap} weeks before: the weeks between are not published)"
    text = f"{text}{against}. {listed(words).capitalize() if words else 'No tier changed'}."
    causes = common_causes(data)
    shared = sum(len(cause.movements) for cause in causes)
    if causes:
        tags = listed([f"{cause.tag}" for cause in causes])
        of_all = f"they may explain {shared:,} of {counted(len(data.movements), 'movement')}"
        text += f" Common causes: {tags}; {of_all if shared else 'no movement rests on them'}."
    return text


def _not_judged(data: ReleaseData, company: CompanyPolicy) -> str:
    dark = [row for row in data.health if row["effective_tier"] == "not_scored"]
    if dark:
        verb = "was" if len(dark) == 1 else "were"
        text = f"{counted(len(dark), 'account')} {verb} not scored{_with_revenue(dark, company.reporting_currency)}."
    else:
        text = "Every account was scored."
    coverages = [row["coverage"] for row in data.health if row["coverage"] is not None]
    if coverages:
        text += f" Half of the accounts have {percent(median(coverages))} or more of the weight measured."
    missing = [SOURCE_WORDS[row["source_kind"]] for row in data.freshness if not row["is_connected"]]
    stale = [SOURCE_WORDS[row["source_kind"]] for row in data.freshness if row["is_connected"] and row["is_stale"]]
    if missing:
        text += f" Not connected: {listed(missing)}."
    if stale:
        text += f" Stale: {listed(stale)}."
    known = sum(row["source_accounts"] or 0 for row in data.freshness)
    if known:
        matched = sum(row["matched_accounts"] or 0 for row in data.freshness)
        text += f" {matched:,} of {known:,} accounts of the sources are matched to an account."
    if company.not_applicable_domains:
        text += f" Not applicable to this company: {listed(list(company.not_applicable_domains))}."
    return text
