"""Holds the risk signals against the demo company's planted stories: recall, false alarms, how many risks are open.

    .venv/bin/python -m benchmarks.risk_signals --cache DIR [--accounts 120] [--tune 0-2] [--report 100-102]

Each seed goes landing, identity, texts and dbt once and is kept in `DIR`; rules are compared on the seeds to tune on,
and the one in force is reported on the others. Everything it finds holds on the demo company by construction.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from benchmarks.risk_seeds import SeedCompany, seed_company
from benchmarks.tuning import seeds_of
from health_pipeline.contract.clocks import Week
from health_pipeline.policy.risk_signals import RiskSignalPolicy, load_risk_signals
from health_pipeline.risk.benign import fitting
from health_pipeline.risk.episodes import EpisodesBefore
from health_pipeline.risk.evidence import RecordsBySet
from health_pipeline.risk.model import Risk
from health_pipeline.risk.opening import openers
from health_pipeline.risk.patterns import FeaturePaths
from health_pipeline.risk.rows import records_by_account
from health_pipeline.risk.weekly import RiskInputs, review_weeks
from health_pipeline.sources.demo.story_shapes import SHAPES

out, told = (Console(soft_wrap=True, highlight=False, stderr=is_told) for is_told in (False, True))
# Where a story shows: the categories that name it.
SHOWS_IN: Mapping[str, frozenset[str]] = {
    "sponsor_leaves": frozenset({"sponsor_stakeholder"}),
    "value_never_reached": frozenset({"value_outcome", "product_quality"}),
    "defect_storm": frozenset({"support", "product_quality"}),
    "payment_trouble": frozenset({"commercial_payment"}),
    "competitor_evaluation": frozenset({"competitive"}),
    "delivery_slip": frozenset({"delivery", "onboarding"}),
    "quiet_decline": frozenset({"engagement_silence", "adoption"}),
    "expansion_pull": frozenset({"expansion"}),
}
# A story counts as seen until so many weeks after it is in full, and before the account has left.
SEEN_WITHIN_WEEKS = 13
# One that is not in full for so long by the newest week is not asked about.
IN_FULL_WEEKS = 4
# A lookalike that is over is still in the windows of the features for a while.
ECHO_WEEKS = 4
# Nothing was open before the first week: the share of open risks is read from here on.
SETTLED_AFTER_WEEKS = 8
WEEKS = 52


def reviewed_rows(company: SeedCompany, policy: RiskSignalPolicy) -> pd.DataFrame:
    """What a review of all weeks in order shows, nothing being closed by anybody.

    Returns
    -------
    DataFrame
        A row per risk, week and signal that fired: account_id, week, side, is_quiet, signal, category, is_opener; a
        week of silence has one row without a signal.
    """
    days = sorted(pc.unique(company.features["week"]).to_pylist())
    by_week = {day: company.records.filter(pc.equal(company.records["week"], pa.scalar(day))) for day in days}

    def records_of(week: Week, accounts: Sequence[str]) -> dict[str, RecordsBySet]:
        table = by_week[week.monday]
        return records_by_account(table.filter(pc.is_in(table["account_id"], pa.array(list(accounts), pa.string()))))

    paths = sorted({signal.path_of for signal in policy.signals if signal.path_of})
    inputs = RiskInputs(
        features=company.features,
        records_of=records_of,
        before=EpisodesBefore([], days[0]),
        policy=policy,
        paths=FeaturePaths(company.features.select(["account_id", "week", *paths]), paths),
    )
    weeks = review_weeks(inputs, [Week(day) for day in days])
    rows = pd.DataFrame([row for week in weeks for row in _rows(week.risks, policy)])
    return rows.assign(week=pd.to_datetime(rows["week"]))


def _rows(risks: Sequence[Risk], policy: RiskSignalPolicy) -> Iterator[dict[str, object]]:
    named = {signal.id: signal for signal in policy.signals}
    for risk in risks:
        strong = openers([(named[one.signal_id], bool(fitting(one.benign))) for one in risk.signals], policy)
        of_risk = {"account_id": risk.account_id, "week": risk.week, "side": risk.side, "is_quiet": risk.is_quiet}
        for one in risk.signals:
            is_opener = one.signal_id in strong
            yield {**of_risk, "signal": one.signal_id, "category": one.category, "is_opener": is_opener}
        if not risk.signals:
            yield {**of_risk, "signal": None, "category": None, "is_opener": False}


def told_stories(company: SeedCompany, rows: pd.DataFrame) -> pd.DataFrame:
    """What became of each story that could be seen: one row each.

    Returns
    -------
    DataFrame
        story, meaning, is_seen (a signal of its category, of the resembled story's for a lookalike, was strong enough
        to open a risk), is_open (any risk of that side was opened or had an occurrence), after_weeks (to the first).
    """
    weeks = pd.to_datetime(pd.Series(pc.unique(company.features["week"]).to_pylist()))
    ramps = {shape.name: shape.ramp_weeks for shape in SHAPES}
    strong = rows[rows["is_opener"]]
    found = []
    for story in company.stories.itertuples():
        start, is_lookalike = pd.Timestamp(story.start_week), story.meaning == "lookalike"
        full = start + pd.Timedelta(weeks=ramps[story.story])
        if start < weeks.min() or full + pd.Timedelta(weeks=IN_FULL_WEEKS) > weeks.max():
            continue
        until = full + pd.Timedelta(weeks=SEEN_WITHIN_WEEKS)
        if is_lookalike:
            until = pd.Timestamp(story.end_week) + pd.Timedelta(weeks=ECHO_WEEKS)
        elif pd.notna(story.ended_at):
            until = min(until, pd.Timestamp(story.ended_at))
        categories = SHOWS_IN[story.resembles if is_lookalike else story.story]
        side = "expansion" if "expansion" in categories else "risk"
        own = strong[(strong["account_id"] == story.account_id) & (strong["side"] == side)]
        own = own[(own["week"] >= start) & (own["week"] < until)]
        named = own[own["category"].isin(categories)]
        after = (named["week"].min() - start).days // 7 if len(named) else np.nan
        found.append((story.story, story.meaning, len(named) > 0, len(own) > 0, after))
    return pd.DataFrame(found, columns=["story", "meaning", "is_seen", "is_open", "after_weeks"])


def open_shares(company: SeedCompany, rows: pd.DataFrame) -> dict[str, float]:
    """Of the accounts of a week, the mean over the settled weeks.

    Returns
    -------
    dict of risk_fires (a risk has an occurrence), risk_open (a risk is open and not quiet), expansion_open
    """
    weeks = pd.to_datetime(pd.Series(company.features["week"].to_pylist()))
    counted = weeks[weeks >= weeks.min() + pd.Timedelta(weeks=SETTLED_AFTER_WEEKS)]
    late = rows[rows["week"].isin(counted.unique())]

    def share(of: pd.Series) -> float:
        return len(late.loc[of, ["account_id", "week"]].drop_duplicates()) / len(counted)

    is_risk = late["side"] == "risk"
    return {
        "risk_fires": share(is_risk & late["is_opener"]),
        "risk_open": share(is_risk & ~late["is_quiet"]),
        "expansion_open": share(~is_risk & ~late["is_quiet"]),
    }


def with_contributions(policy: RiskSignalPolicy, given: Mapping[str, str], **rule: object) -> RiskSignalPolicy:
    """The policy with other contributions of some signals, and another rule."""
    signals = [one.model_copy(update={"contribution": given.get(one.id, one.contribution)}) for one in policy.signals]
    return policy.model_copy(update={"signals": tuple(signals), **rule})


# The contributions that every threshold of the field had before rules were compared.
FIRST = {
    **dict.fromkeys(("goal_overdue", "logins_fell", "nps_fell", "workaround_words"), "medium"),
    **dict.fromkeys(("bad_ticket_answers", "milestone_slipped"), "medium"),
    "high_priority_ticket_open": "high",
}
RULES: dict[str, Callable[[RiskSignalPolicy], RiskSignalPolicy]] = {
    "each medium signal alone": lambda policy: with_contributions(
        policy, FIRST, opens_at="medium", opens_together_at=None, opens_when_explained=True, quiet_weeks=8
    ),
    "one high, or two medium of two categories": lambda policy: with_contributions(
        policy, FIRST, opens_when_explained=True, quiet_weeks=8
    ),
    "the same, explained signals open nothing": lambda policy: with_contributions(policy, FIRST, quiet_weeks=8),
    "and the commonest signals count little": lambda policy: with_contributions(policy, {}, quiet_weeks=8),
    "in force: quiet after 4 weeks": lambda policy: policy,
}


@dataclass(frozen=True)
class Result:
    """A rule on some seeds: the stories of all of them, and the shares of each."""

    stories: pd.DataFrame
    shares: pd.DataFrame


def evaluate(companies: Sequence[SeedCompany], policy: RiskSignalPolicy) -> Result:
    """Review each company under the policy."""
    stories, shares = [], []
    for company in companies:
        rows = reviewed_rows(company, policy)
        stories.append(told_stories(company, rows))
        shares.append(open_shares(company, rows))
    return Result(pd.concat(stories, ignore_index=True), pd.DataFrame(shares))


def counted(flags: pd.Series) -> str:
    """A share of stories with its 95 % Wilson interval."""
    hits, number = int(flags.sum()), len(flags)
    if not number:
        return "none"
    low, high = proportion_confint(hits, number, method="wilson")
    return f"{hits} of {number} ({100 * low:.0f} to {100 * high:.0f} %)"


def averaged(values: pd.Series) -> str:
    """A mean over seeds with its 95 % t interval."""
    mean, number = float(values.mean()), len(values)
    if number < 2:
        return f"{100 * mean:.1f} %"
    reach = stats.t.ppf(0.975, number - 1) * stats.sem(values)
    return f"{100 * mean:.1f} % ({100 * max(mean - reach, 0):.1f} to {100 * min(mean + reach, 1):.1f})"


def rule_line(name: str, found: Result) -> str:
    """A line of the table of rules."""
    by = found.stories.set_index("meaning")["is_seen"]
    seen = [counted(by[by.index == meaning]) for meaning in ("risk", "growth", "lookalike")]
    shares = [averaged(found.shares[column]) for column in ("risk_fires", "risk_open", "expansion_open")]
    return f"| {name} | {' | '.join([*seen, *shares])} |"


def story_lines(found: Result) -> Iterator[str]:
    """A line per story: how many were seen, any risk open, weeks to the first sight."""
    for shape in SHAPES:
        own = found.stories[found.stories["story"] == shape.name]
        weeks = own["after_weeks"].median()
        after = "" if np.isnan(weeks) else f"{weeks:.0f}"
        what = f"lookalike of {shape.resembles}" if shape.resembles else shape.meaning
        yield f"| {shape.name} | {what} | {counted(own['is_seen'])} | {counted(own['is_open'])} | {after} |"


def main(arguments: list[str] | None = None) -> None:
    """Build what is missing, compare the rules, report the one in force."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="where each seed is kept")
    parser.add_argument("--accounts", type=int, default=120)
    parser.add_argument("--tune", type=seeds_of, default=seeds_of("0-2"))
    parser.add_argument("--report", type=seeds_of, default=seeds_of("100-102"))
    given = parser.parse_args(arguments)
    given.cache.mkdir(parents=True, exist_ok=True)
    companies: dict[int, SeedCompany] = {}
    for seed in [*given.tune, *given.report]:
        started = time.monotonic()
        companies[seed] = seed_company(seed, given.accounts, WEEKS, given.cache)
        told.print(f"seed {seed}: {time.monotonic() - started:.0f} s")
    policy = load_risk_signals(None).model
    out.print("| rule | stories of risk seen | of growth | lookalikes that fire | fires | open | expansion open |")
    out.print("|---|---|---|---|---|---|---|")
    for name, rule in RULES.items():
        tuned = evaluate([companies[seed] for seed in given.tune], rule(policy))
        out.print(rule_line(f"{name}; tuned on {', '.join(map(str, given.tune))}", tuned))
    reported = evaluate([companies[seed] for seed in given.report], policy)
    out.print(rule_line(f"in force; reported on {', '.join(map(str, given.report))}", reported))
    out.print("\n| story | what | its category fires | any risk | weeks to it |\n|---|---|---|---|---|")
    for line in story_lines(reported):
        out.print(line)


if __name__ == "__main__":
    main()
