"""The order of a benchmark: land, publish the past, measure the next weeks in turn, and compare the usage features."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml

from benchmarks.reviews import RunFigures, land, review, segment
from benchmarks.scales import FIRST_WEEK, HISTORY_WEEKS, Scale
from benchmarks.states import KeptStates
from benchmarks.usage_comparison import MODELS, Comparison, UsageComparison
from health_pipeline.contract.clocks import Quarter, Week, quarter_of
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.settings import REPOSITORY, Settings

SEED = 7


@dataclass(frozen=True)
class NextWeek:
    """The review of one week, with one new load of each system, on top of that many published weeks."""

    published_before: int
    run: RunFigures


@dataclass(frozen=True)
class Figures:
    """Everything a benchmark found out.

    `next_weeks` are in the order in which they ran: each state in turn, as often as the scale says.

    `first_build` compares the first build of all history, with the features of its newest weeks
    (`Scale.compared_weeks`), with the yardsticks on all files; `next_week` the newest week's incremental build with the
    yardsticks, which have to read all files too: first and last use may be anywhere.
    """

    scale: Scale
    accounts: int
    events: int
    runs: tuple[RunFigures, ...]
    next_weeks: tuple[NextWeek, ...]
    first_build: Comparison
    next_week: Comparison


def prepare(scale: Scale, folder: Path) -> None:
    """Make an empty state folder for the scale: its sources, and the built-in policy with an earlier first week."""
    shutil.rmtree(folder, ignore_errors=True)
    policy, home = folder / "policy", folder / "home"
    policy.mkdir(parents=True)
    home.mkdir()
    built_in = REPOSITORY / "health_pipeline" / "policy" / "documents" / "company.yaml"
    company = yaml.safe_load(built_in.read_text(encoding="utf-8"))
    company["first_week"] = FIRST_WEEK
    # The last simulated week brings less: at 10,000 accounts the volume guard held it, and nobody accepts here.
    for source in company["sources"].values():
        source["volume_band"] = [0.0, 100.0]
    (policy / "company.yaml").write_text(yaml.safe_dump(company), encoding="utf-8")
    demo = {"seed": SEED, "accounts": scale.accounts, "events_per_account_week": scale.events_per_account_week}
    (home / "sources.yaml").write_text(yaml.safe_dump({"demo": demo}), encoding="utf-8")


def opened(folder: Path) -> tuple[Settings, CompanyPolicy]:
    """The settings of a benchmark's folder, and its company."""
    settings = Settings(home=folder / "home", policy=folder / "policy")
    return settings, load_company(settings.policy).model


def run_benchmark(scale: Scale, folder: Path, commit: str, tell: Callable[[str], None]) -> Figures:
    """Measure one scale in a folder of its own.

    The states that the next weeks are reviewed on are kept aside. Where the folder holds some that the same commit
    kept, it goes on from there, for publishing two years takes hours; else it is emptied. The next weeks are measured
    at the end, one state after the other and again: a machine that is slower an hour later is no growth.

    Parameters
    ----------
    commit : of the code, as `describe_machine` names it
    tell : called with a line of progress after each run

    Raises
    ------
    BenchmarkRunError
        If a run of the pipeline fails.
    UnequalFeaturesError
        If a yardstick does not give what the models give.
    """
    states = KeptStates(folder, scale.published_before, commit)
    runs = states.restore()
    if not runs:
        prepare(scale, folder)
    settings, company = opened(folder)

    def note(run: RunFigures) -> RunFigures:
        runs.append(run)
        tell(f"{run.whole.seconds:7.1f} s  {run.whole.peak_bytes / 2**30:5.2f} GiB  {run.label}")
        return run

    if runs:
        tell(f"          goes on from {states.kept} published weeks, kept by an earlier sitting")
    else:
        note(land(settings, f"{FIRST_WEEK + timedelta(weeks=HISTORY_WEEKS)}T06:00"))
    first = Week(FIRST_WEEK + timedelta(weeks=scale.first_reviewed))
    published = states.kept
    for target in scale.published_before:
        if target <= states.kept:
            continue
        while published < target:
            # The last one alone, as on Mondays: after a run of many weeks DuckDB puts together, once, what they left in
            # pieces, seconds of a candidate at 10,000 accounts.
            count = min(scale.weeks_per_run, target - 1 - published) or 1
            weeks = [first.shift(published + number) for number in range(count)]
            past = (
                f"past weeks {published + 1} to {published + count}"
                if count > 1
                else f"past week {published + 1} alone"
            )
            note(review(settings, weeks, past, MODELS))
            published += count
        if target == scale.published_before[0]:
            note(segment(settings, str(newest_reviewed_quarter(first.shift(published - 1), company))))
        states.keep(target, runs)
    next_weeks = []
    for _ in range(scale.repeats):
        for target in scale.published_before:
            states.bring_back(target)
            run = review(settings, [first.shift(target)], f"next week, {target} published before", MODELS)
            next_weeks.append(NextWeek(target, note(run)))
    ways = ("bare", "pandas") if scale.with_pandas else ("bare",)
    comparison = UsageComparison(settings, company, folder / "comparison")
    comparison.take_newest_run()
    newest = comparison.compare(scale.repeats, ways)
    tell("          the newest week's usage features are equal")
    reviewed = [first.shift(number) for number in range(published + 1)]
    comparison.give_weeks(reviewed[-scale.compared_weeks :])
    everything = comparison.compare(scale.repeats, ("models", *ways))
    tell(f"          the usage features of {everything.weeks} weeks, all history built at once, are equal")
    accounts = round(everything.account_weeks / everything.weeks)
    return Figures(scale, accounts, everything.events, tuple(runs), tuple(next_weeks), everything, newest)


def newest_reviewed_quarter(newest: Week, company: CompanyPolicy) -> Quarter:
    """The newest quarter whose last week is not after that week."""
    quarter = quarter_of(newest, company.fiscal_year_start_month)
    while quarter.last_week > newest:
        quarter = quarter_of(quarter.weeks[0].shift(-1), company.fiscal_year_start_month)
    return quarter
