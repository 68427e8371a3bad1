"""Tunes the score's thresholds on seeds 0 to 9 of the demo company and reports them on seeds 100 to 109.

    .venv/bin/python -m benchmarks.tuning --cache DIR [--accounts 200] [--tune 0-9] [--report 100-109]

Each seed goes landing, identity, dbt, and its features and outcomes are kept in `DIR` as Parquet: a second run only
scores. Everything it finds holds on the demo company by construction.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from scipy import stats

from health_pipeline.contract.clocks import Week, weeks_between
from health_pipeline.contract.mart import empty_table
from health_pipeline.identity.landed import build_landed
from health_pipeline.identity.store import write_crosswalk
from health_pipeline.mart.dbt import dbt_vars, run_dbt, write_landing_manifest
from health_pipeline.mart.warehouse import read_mart
from health_pipeline.orchestration.demo import NEWEST_WEEK
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import Document, content_hash
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score
from health_pipeline.policy.validation import load_validation
from health_pipeline.scoring.validation.lead_time import lead_times
from health_pipeline.scoring.validation.readings import join_readings
from health_pipeline.scoring.weekly import PreviousWeek, score_weeks
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.pull import pull

# The table goes to the output, what is being done to the error stream.
out, told = (Console(soft_wrap=True, highlight=False, stderr=is_told) for is_told in (False, True))
TABLES = ("account_features_weekly", "account_outcomes_weekly")
LEAD_WEEKS = 4
# The objective: of the leavers, as many as can be at risk four weeks before without a notice, less what the same gives
# of those that stay; while at most a tenth of the accounts are at risk. Then the loosest watermelons that are at most
# an eighth of the green accounts: a queue somebody can work through.
MOST_AT_RISK = 0.10
MOST_WATERMELONS = 0.12


@dataclass(frozen=True)
class Thresholds:
    """What is tuned; each a round number.

    Attributes
    ----------
    at_risk_below, healthy_from, margin : of the score
    single_from_seats : from so many licensed seats on one engaged contact alone makes a watermelon
    usage_fall : a change of usage as low as this does
    """

    at_risk_below: int
    healthy_from: int
    margin: int
    single_from_seats: int = 200
    usage_fall: float = -0.7

    def applied_to(self, policy: Document[HealthScorePolicy]) -> Document[HealthScorePolicy]:
        """The policy with these thresholds."""
        content = yaml.safe_load(policy.path.read_text(encoding="utf-8"))
        at_risk, watch, healthy = content["tiers"]
        at_risk["below"] = watch["from"] = self.at_risk_below
        watch["below"] = healthy["from"] = self.healthy_from
        content["margin"] = self.margin
        _condition(content, "single_threaded", "seats_licensed")["value"] = self.single_from_seats
        _condition(content, "falling_trend", "usage_change_share_4w")["value"] = self.usage_fall
        return replace(policy, model=HealthScorePolicy.model_validate(content), hash=content_hash(content))

    @classmethod
    def of(cls, policy: Document[HealthScorePolicy]) -> Thresholds:
        """Those of a document."""
        content = yaml.safe_load(policy.path.read_text(encoding="utf-8"))
        _, watch, healthy = content["tiers"]
        seats = _condition(content, "single_threaded", "seats_licensed")["value"]
        fall = _condition(content, "falling_trend", "usage_change_share_4w")["value"]
        return cls(watch["from"], healthy["from"], content["margin"], seats, fall)


def _condition(content: dict[str, Any], reason: str, feature: str) -> dict[str, Any]:
    """The condition on that feature among a watermelon reason's; items are conditions or lists of them."""
    for item in content["watermelon"]["any_of"][reason]:
        for condition in item if isinstance(item, list) else [item]:
            if condition.get("feature") == feature:
                return condition
    raise LookupError(f"watermelon.any_of.{reason} has no condition on {feature}; tuning.py tunes that one")


GRID = [Thresholds(*cell) for cell in itertools.product((56, 58, 60, 62, 64), (72,), (4, 6, 8))]
# From loose to strict.
WATERMELONS = [(25, -0.5), (50, -0.5), (100, -0.5), (50, -0.6), (100, -0.6), (200, -0.7)]


def build_seed(seed: int, accounts: int, cache: Path) -> dict[str, pa.Table]:
    """Features and outcomes of a demo company of that seed, from the cache or made in a scratch home."""
    files = {name: cache / f"seed-{seed:03d}-{accounts}-{name}.parquet" for name in TABLES}
    if not all(path.is_file() for path in files.values()):
        with tempfile.TemporaryDirectory(dir=cache, prefix=f".seed-{seed}-") as folder:
            settings = Settings(home=Path(folder) / "home")
            for name, table in make_features(settings, seed, accounts).items():
                pq.write_table(table, files[name])
    return {name: pq.read_table(path) for name, path in files.items()}


def make_features(settings: Settings, seed: int, accounts: int) -> dict[str, pa.Table]:
    """Landing, identity and dbt of one demo company, without scores and releases."""
    settings.home.mkdir(parents=True)
    settings.scratch.mkdir()
    source = {"demo": {"seed": seed, "accounts": accounts}}
    (settings.home / "sources.yaml").write_text(yaml.safe_dump(source), encoding="utf-8")
    company = load_company(settings.policy).model
    weeks = list(weeks_between(Week(company.first_week), NEWEST_WEEK))
    pull(settings, company, weeks[-1].known_at(company.cutoff_hours))
    manifest = Landing(settings.landing, settings.quarantine).manifest()
    write_crosswalk(settings, build_landed(settings, manifest))
    write_landing_manifest(settings, manifest)
    run_dbt(settings, ["run", "--select", *(f"+{name}" for name in TABLES)], dbt_vars(settings, company, weeks))
    return {name: read_mart(settings, name) for name in TABLES}


def evaluate(tables: dict[str, pa.Table], policy: Document[HealthScorePolicy]) -> dict[str, float]:
    """Objective and guard rails of a policy on one seed.

    Returns
    -------
    dict of seen (share of leavers at risk four weeks before, notices apart), stayers (the same of those that stayed),
    at_risk (share of readings at risk, notices apart), watermelons (share of the green), leavers (how many)
    """
    features, outcomes = (tables[name] for name in TABLES)
    weeks = sorted({Week(day) for day in features["week"].to_pylist()})
    segments = pd.DataFrame({"account_id": [], "week": [], "segment": [], "segment_model_id": []})
    nothing = PreviousWeek(empty_table("account_health_weekly"), empty_table("score_contributions_weekly"))
    scored = score_weeks(features, segments, policy, load_company(None), weeks, nothing)
    health = scored.health.select(["account_id", "week", "score", "tier", "tier_reason"]).to_pandas()
    readings = join_readings(health, outcomes.to_pandas())
    rules = load_validation(None).model
    seen = lead_times(
        readings,
        weeks=(LEAD_WEEKS,),
        lookback=rules.lead_lookback_weeks,
        minimum_events=1,
        confidence=rules.confidence,
        counts_notices=False,
    ).seen[0]
    green = health["tier"].isin(["healthy", "expansion_ready"])
    by_score = (health["tier"] == "at_risk") & (health["tier_reason"] != "decisive")
    return {
        "seen": seen.seen / max(seen.events, 1),
        "stayers": seen.stayers_share,
        "at_risk": float(by_score.mean()),
        "watermelons": scored.watermelons.num_rows / max(int(green.sum()), 1),
        "leavers": float(seen.events),
    }


def choose(results: dict[Thresholds, pd.DataFrame], in_force: Thresholds) -> Thresholds:
    """The thresholds that see most leavers within the guard rail; those in force where nothing clearly beats them.

    A change has to be worth it: its gain over the seeds exceeds two standard errors, else what is in force stays.
    """
    allowed = {cell: table for cell, table in results.items() if table["at_risk"].mean() <= MOST_AT_RISK}
    if not allowed:
        return in_force
    best = max(allowed, key=lambda cell: worth(allowed[cell]).mean())
    if in_force not in allowed:
        return best
    gain = worth(allowed[best]) - worth(allowed[in_force])
    return best if gain.mean() > 2 * stats.sem(gain) else in_force


def choose_watermelons(results: dict[Thresholds, pd.DataFrame]) -> Thresholds:
    """The first, so the loosest, whose watermelons are few enough; the last where none are."""
    few = [cell for cell, table in results.items() if table["watermelons"].mean() <= MOST_WATERMELONS]
    return few[0] if few else list(results)[-1]


def worth(table: pd.DataFrame) -> pd.Series:
    """What a seed is worth: share of the leavers seen, less the share of those that stayed that was flagged too."""
    return table["seen"] - table["stayers"]


def row(name: str, table: pd.DataFrame) -> str:
    """A line of the Markdown table: means over seeds with 95 % t intervals."""
    cells = []
    for column in ("seen", "stayers", "at_risk", "watermelons"):
        values = table[column].to_numpy(dtype=float)
        reach = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else np.nan
        cells.append(
            f"{100 * values.mean():.0f} % ({100 * (values.mean() - reach):.0f} to {100 * (values.mean() + reach):.0f})"
        )
    return f"| {name} | {' | '.join(cells)} | {table['leavers'].sum():.0f} |"


def seeds_of(text: str) -> list[int]:
    """Read `0-9`, `3`, or several of them with commas between."""
    ranges = [part.partition("-") for part in text.split(",")]
    return [seed for first, _, last in ranges for seed in range(int(first), int(last or first) + 1)]


def main(arguments: list[str] | None = None) -> None:
    """Build what is missing, tune, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="where features of each seed are kept")
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--tune", type=seeds_of, default=seeds_of("0-9"))
    parser.add_argument("--report", type=seeds_of, default=seeds_of("100-109"))
    given = parser.parse_args(arguments)
    given.cache.mkdir(parents=True, exist_ok=True)
    seeds: dict[int, dict[str, pa.Table]] = {}
    for seed in [*given.tune, *given.report]:
        started = time.monotonic()
        seeds[seed] = build_seed(seed, given.accounts, given.cache)
        told.print(f"seed {seed}: {time.monotonic() - started:.0f} s")
    policy = load_health_score(None)
    in_force = Thresholds.of(policy)

    def evaluated(cell: Thresholds, numbers: list[int]) -> pd.DataFrame:
        table = pd.DataFrame([evaluate(seeds[seed], cell.applied_to(policy)) for seed in numbers])
        told.print(json.dumps({**asdict(cell), **table.mean().round(3).to_dict()}))
        return table

    cells = [
        replace(cell, single_from_seats=in_force.single_from_seats, usage_fall=in_force.usage_fall) for cell in GRID
    ]
    tiers = choose({cell: evaluated(cell, given.tune) for cell in dict.fromkeys([in_force, *cells])}, in_force)
    melons = [tiers, *(replace(tiers, single_from_seats=seats, usage_fall=fall) for seats, fall in WATERMELONS)]
    chosen = choose_watermelons({cell: evaluated(cell, given.tune) for cell in dict.fromkeys(melons)})
    out.print(f"In force: {in_force}\nChosen:   {chosen}\n")
    out.print("| thresholds | seeds | leavers seen | stayers flagged | at risk | watermelons of green | leavers |")
    out.print("|---|---|---|---|---|---|---|")
    for name, cell in {"in force": in_force, "chosen": chosen}.items():
        for what, numbers in (("tuned on", given.tune), ("reported on", given.report)):
            out.print(row(f"{name} | {what} {numbers[0]} to {numbers[-1]}", evaluated(cell, numbers)))


if __name__ == "__main__":
    main()
