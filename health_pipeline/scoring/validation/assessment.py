"""The whole validation as one call on data frames: figures with intervals, overall and per segment."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from health_pipeline.policy.validation import ValidationPolicy
from health_pipeline.scoring.validation.baselines import BASELINES, tenure_and_revenue_risk, usage_change_risk
from health_pipeline.scoring.validation.calibration import Calibration, calibration_by_tier
from health_pipeline.scoring.validation.intervals import (
    AccountResamples,
    delong_interval,
    percentile_interval,
)
from health_pipeline.scoring.validation.lead_time import LeadTimes, lead_times
from health_pipeline.scoring.validation.ranking import (
    LIST_STATISTICS,
    Floats,
    RankedOutcomes,
    list_statistics,
    riskiest,
)
from health_pipeline.scoring.validation.readings import LABEL_WEEKS, OUTCOMES, Readings, of_segment, one_per_label
from health_pipeline.segmentation.methods.intervals import Interval

NOT_ENOUGH = "not enough events"
FEW_READINGS = "not enough readings"
NOTHING = "no reading to judge"
ALL = "all accounts"
# The lists whose worth is asked: tiers, and the lowest scores of each week.
LISTS = ("at_risk", "at_risk_by_score", "at_risk_or_watch", "lowest_scores")
GROWTH_LISTS = ("expansion_ready",)
WITHOUT_NOTICE = "no notice on record"
KEYS = ["outcome", "kind", "population", "statistic", "of"]
COUNTS = ["events", "accounts", "readings", "note"]
FIGURES = [*KEYS, "value", "low", "high", *COUNTS]


@dataclass(frozen=True)
class Validation:
    """Everything that was found out.

    Attributes
    ----------
    figures : DataFrame of `FIGURES`, one row per outcome, population (of a kind: all, segment, period, notice),
        statistic and what it is of (`score`, a baseline, a list; of `rate` a tier); value, low and high are NaN and
        `note` says why where there is no figure
    calibrations : by outcome
    leads : lead times before leaving, counting notices; `leads_by_score` without them
    gain : DataFrame of share looked at and share of events found, by `of`, for leaving
    readings : what all of it is about
    """

    figures: pd.DataFrame
    calibrations: dict[str, Calibration]
    leads: LeadTimes
    leads_by_score: LeadTimes
    gain: pd.DataFrame
    readings: Readings
    policy: ValidationPolicy = field(repr=False)

    def figure(self, outcome: str, statistic: str, of: str = "score", population: str = ALL) -> pd.Series:
        """One row of the figures.

        Raises
        ------
        KeyError
            If there is no such figure.
        """
        table = self.figures
        wanted = {"outcome": outcome, "statistic": statistic, "of": of, "population": population}
        found = table[np.logical_and.reduce([table[name] == value for name, value in wanted.items()])]
        if found.empty:
            raise KeyError(f"no figure of {outcome}, {statistic}, {of}, {population}")
        return found.iloc[0]


@dataclass(frozen=True)
class _Population:
    """The readings a figure is about, and which outcome of theirs."""

    outcome: str
    kind: str
    name: str
    rows: pd.DataFrame
    policy: ValidationPolicy

    @cached_property
    def counts(self) -> tuple[int, int, int, str]:
        """Accounts with the event, accounts, readings; and why there can be no figure."""
        rows, least = self.rows, self.policy.minimum_events
        events, others = (int(rows.loc[rows[self.outcome] == flag, "account_id"].nunique()) for flag in (1, 0))
        note = NOT_ENOUGH if min(events, others) < least else ""
        return events, int(rows["account_id"].nunique()), len(rows), note if len(rows) else NOTHING

    def scored(self) -> _Population:
        """Only what has a score."""
        return replace(self, rows=self.rows[self.rows["score"].notna()])

    def column(self, name: str) -> Floats:
        return self.rows[name].to_numpy(dtype=float)

    def resamples(self) -> AccountResamples:
        accounts = self.rows["account_id"].to_numpy(dtype=object)
        return AccountResamples(accounts, self.policy.resamples, self.policy.seed)

    def figure(self, statistic: str, of: str, interval: Interval | None, note: str = "") -> dict[str, object]:
        """One row of the figures; without an interval its note says why."""
        keys = dict(zip(KEYS, (self.outcome, self.kind, self.name, statistic, of), strict=True))
        counts = dict(zip(COUNTS, self.counts, strict=True))
        limits = asdict(interval) if interval else {"value": np.nan, "low": np.nan, "high": np.nan}
        return {**keys, **limits, **counts, "note": counts["note"] or note}

    def figures(self, of: dict[tuple[str, str], float], resampled: Floats, note: str = "") -> list[dict[str, object]]:
        """A row per statistic, with its resamples in the column of the same place."""
        return [
            self.figure(*names, percentile_interval(value, resampled[:, place], self.policy.confidence), note)
            for place, (names, value) in enumerate(of.items())
        ]


def assess(readings: Readings, policy: ValidationPolicy) -> Validation:
    """Hold the published scores against what happened after.

    Parameters
    ----------
    readings : from `join_readings`
    policy : how many events a figure needs, resamples, lists, lead times

    Returns
    -------
    Validation
        With no figure at all where no outcome is known.
    """
    rows = _with_risks(readings.rows, policy)
    figures: list[dict[str, object]] = []
    for outcome, (_, falls) in OUTCOMES.items():
        for population in _populations(rows, outcome, policy):
            figures += _of_score(population, falls=falls)
            figures += _of_lists(population, LISTS if falls else GROWTH_LISTS)
            figures += _of_tiers(population, falls=falls)
            if outcome == "churned" and population.kind in ("all", "segment"):
                figures += _of_warnings(population, readings)
    everybody = _Population("churned", "all", ALL, rows, policy)
    for baseline in BASELINES:
        figures += _comparison(everybody, baseline)
    figures.append(_without_overlap(everybody.scored()))
    return Validation(
        figures=pd.DataFrame(figures, columns=FIGURES),
        calibrations={
            outcome: calibration_by_tier(
                rows, outcome, falls=falls, minimum_readings=policy.minimum_events, confidence=policy.confidence
            )
            for outcome, (_, falls) in OUTCOMES.items()
        },
        leads=_leads(readings, policy, counts_notices=True),
        leads_by_score=_leads(readings, policy, counts_notices=False),
        gain=_gain(rows),
        readings=readings,
        policy=policy,
    )


def _with_risks(rows: pd.DataFrame, policy: ValidationPolicy) -> pd.DataFrame:
    known = rows.assign(score_risk=-rows["score"], usage_change=usage_change_risk(rows))
    known["tenure_and_arr"] = tenure_and_revenue_risk(known, "churned", policy.minimum_events)
    at_risk = known["tier"] == "at_risk"
    known["at_risk"] = at_risk.astype(float)
    known["at_risk_by_score"] = (at_risk & ~known["has_notice"]).astype(float)
    known["at_risk_or_watch"] = known["tier"].isin(["at_risk", "watch"]).astype(float)
    known["expansion_ready"] = (known["tier"] == "expansion_ready").astype(float)
    known["lowest_scores"] = riskiest(known, "score_risk", policy.top_share).astype(float)
    return known


def _populations(rows: pd.DataFrame, outcome: str, policy: ValidationPolicy) -> list[_Population]:
    """Everybody; those without a notice; each segment; each 13 weeks, counted back from the newest."""
    known = rows[rows[outcome].notna()]
    found = [("all", ALL, known)]
    if known["has_notice"].any():
        found.append(("notice", WITHOUT_NOTICE, known[~known["has_notice"]]))
    segments = sorted(known["segment"].astype(str).unique())
    if len(segments) > 1:
        found += [("segment", segment, known[known["segment"].astype(str) == segment]) for segment in segments]
    if outcome == "churned" and len(known):
        blocks = (known["week_number"].max() - known["week_number"]) // LABEL_WEEKS
        for _, part in sorted(known.groupby(blocks), reverse=True) if blocks.nunique() > 1 else []:
            found.append(("period", f"{part['week'].min():%Y-%m-%d} to {part['week'].max():%Y-%m-%d}", part))
    return [_Population(outcome, kind, name, part, policy) for kind, name, part in found]


def _of_score(population: _Population, *, falls: bool) -> list[dict[str, object]]:
    """AUC and average precision of the score."""
    part = population.scored()
    names = [("auc", "score"), ("average_precision", "score")]
    if part.counts[-1]:
        return [part.figure(*name, None) for name in names]
    ranked = RankedOutcomes(part.column(part.outcome), part.column("score_risk") * (1.0 if falls else -1.0))
    values = dict(zip(names, ranked.both()[0].tolist(), strict=True))
    return part.figures(values, part.resamples().of_rows(ranked.both))


def _of_lists(population: _Population, lists: tuple[str, ...]) -> list[dict[str, object]]:
    """What each list is worth. Accounts without a score are on no list, and their events count as missed."""
    if population.counts[-1]:
        return [population.figure(name, listed, None) for listed in lists for name in LIST_STATISTICS]
    happened = population.column(population.outcome)
    resamples = population.resamples()
    found: list[dict[str, object]] = []
    for listed in lists:
        on_list = population.column(listed)
        columns = np.column_stack([happened, on_list, happened * on_list, np.ones(len(happened))])
        values = list_statistics(columns.sum(axis=0)[None, :])[0]
        named = dict(zip(((name, listed) for name in LIST_STATISTICS), values.tolist(), strict=True))
        note = "" if on_list.any() else "nobody is on the list"
        found += population.figures(named, resamples.of_sums(columns, list_statistics), note)
    return found


def _of_tiers(population: _Population, *, falls: bool) -> list[dict[str, object]]:
    """How often it happened in each tier that has readings, one reading per account and 13 weeks."""
    policy = population.policy
    tiers = calibration_by_tier(
        population.rows,
        population.outcome,
        falls=falls,
        minimum_readings=policy.minimum_events,
        confidence=policy.confidence,
    ).tiers
    found = []
    for row in tiers.to_dict("records"):
        is_judged = row["readings"] >= policy.minimum_events
        interval = Interval(row["rate"], row["low"], row["high"]) if is_judged else None
        counts = {name: row[name] for name in ("events", "accounts", "readings")}
        note = "" if is_judged else FEW_READINGS
        found.append({**population.figure("rate", row["tier"], interval), **counts, "note": note})
    return found


def _of_warnings(population: _Population, readings: Readings) -> list[dict[str, object]]:
    """Lead times: of those that left, the share at risk so many weeks before, and the median weeks of those seen."""
    own = readings if population.kind == "all" else of_segment(readings, population.name)
    found = []
    for of, counts_notices in (("at_risk", True), ("at_risk_by_score", False)):
        leads = _leads(own, population.policy, counts_notices=counts_notices)
        shares = [(f"at_risk_{seen.weeks}_weeks_before", seen.share, seen.events) for seen in leads.seen]
        dated = int(leads.events["lead_weeks"].notna().sum())
        for name, interval, events in (*shares, ("lead_weeks_median", leads.median, dated)):
            counts = {"events": events, "accounts": own.calendar["account_id"].nunique(), "readings": len(own.calendar)}
            note = "" if interval else NOT_ENOUGH if len(population.rows) else NOTHING
            found.append({**population.figure(name, of, interval), **counts, "note": note})
    return found


def _comparison(everybody: _Population, baseline: str) -> list[dict[str, object]]:
    """AUC of score and baseline on the same readings, and their difference with a paired interval."""
    rows = everybody.rows
    common = replace(everybody, rows=rows[rows["score"].notna() & rows[baseline].notna()])
    names = [("auc", f"score beside {baseline}"), ("auc", baseline), ("auc_difference", baseline)]
    if common.counts[-1]:
        return [common.figure(*name, None) for name in names]
    happened = common.column("churned")
    score, other = (RankedOutcomes(happened, common.column(name)) for name in ("score_risk", baseline))

    def areas(weights: Floats | None = None) -> Floats:
        pair = np.column_stack([score.auc(weights), other.auc(weights)])
        return np.column_stack([pair, pair[:, 0] - pair[:, 1]])

    values = dict(zip(names, areas()[0].tolist(), strict=True))
    return common.figures(values, common.resamples().of_rows(areas))


def _without_overlap(scored: _Population) -> dict[str, object]:
    """The AUC once more, one reading per account and 13 weeks, with DeLong's interval: another way to the same."""
    apart = replace(scored, rows=one_per_label(scored.rows))
    interval = None
    if not apart.counts[-1]:
        interval = delong_interval(apart.column("churned"), apart.column("score_risk"), apart.policy.confidence)
    return apart.figure("auc_without_overlap", "score", interval)


def _leads(readings: Readings, policy: ValidationPolicy, *, counts_notices: bool) -> LeadTimes:
    return lead_times(
        readings,
        weeks=policy.lead_weeks,
        lookback=policy.lead_lookback_weeks,
        minimum_events=policy.minimum_events,
        confidence=policy.confidence,
        counts_notices=counts_notices,
    )


def _gain(rows: pd.DataFrame) -> pd.DataFrame:
    """Gain curves on the same readings: only those that every ranker that has any readings can rank."""
    columns = {"score": "score_risk", **{name: name for name in BASELINES}}
    there = {of: column for of, column in columns.items() if rows[column].notna().any()}
    common = rows[rows[list(there.values())].notna().all(axis=1)]
    parts = []
    for of, column in there.items() if common["churned"].sum() else ():
        ranked = RankedOutcomes(common["churned"].to_numpy(dtype=float), common[column].to_numpy(dtype=float))
        looked_at, found = ranked.gain_curve()
        at = np.linspace(0, 1, 101)
        parts.append(pd.DataFrame({"of": of, "looked_at": at, "found": np.interp(at, looked_at, found)}))
    return pd.concat(parts) if parts else pd.DataFrame(columns=["of", "looked_at", "found"])
