"""The validation page's tables: the numbers behind its charts, by list, population, outcome and baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from health_pipeline.policy.wording import TIER_WORDS
from health_pipeline.reporting.tables import Cell, Table
from health_pipeline.reporting.validation_charts import LINES, tier_rows
from health_pipeline.reporting.validation_words import OUTCOME_WORDS, interval_text, share, with_interval
from health_pipeline.scoring.validation.assessment import ALL, Validation
from health_pipeline.scoring.validation.baselines import BASELINES
from health_pipeline.scoring.validation.calibration import SHOWN_TIERS
from health_pipeline.scoring.validation.challenger import COMPARED, Challenger
from health_pipeline.scoring.validation.challenger_files import most_changed

LIST_WORDS = {
    "at_risk": "At risk",
    "at_risk_by_score": "At risk before or without a notice",
    "at_risk_or_watch": "At risk or watch",
    "lowest_scores": "Lowest scores of each week",
    "expansion_ready": "Expansion-ready",
}


def tier_table(found: Validation, outcome: str = "churned") -> Table:
    """Observed share by tier, one reading per account and 13 weeks."""
    rows = [
        (
            Cell(row["label"], tier=row["tier"]),
            Cell(f"{row['readings']:,}"),
            Cell(f"{row['events']:,}"),
            Cell(_rate(row)),
        )
        for row in tier_rows(found, outcome)
    ]
    word = OUTCOME_WORDS[outcome]
    columns = (("Tier", False), ("Readings", True), (word, True), ("Share (interval)", True))
    note = "One reading per account and 13 weeks, so that nobody is counted twice for one event. Wilson’s interval."
    return Table(f"{word} within 13 weeks, by tier", columns, rows, "No outcome is known.", note)


def _rate(row: Mapping[Any, Any]) -> str:
    if math.isnan(row["rate"]):
        return "not enough readings"
    return f"{share(row['rate'], 1)} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def lead_table(found: Validation) -> Table:
    """Of those that left, how many had been at risk so long before."""
    rows = []
    for every, by_score in zip(found.leads.seen, found.leads_by_score.seen, strict=True):
        kinds = [Cell(interval_text(seen.share), f"{seen.seen:,} accounts") for seen in (every, by_score)]
        stayers = Cell(share(every.stayers_share))
        rows.append((Cell(f"{every.weeks} weeks before"), Cell(f"{every.events:,}"), *kinds, stayers))
    columns = (
        ("At least", False),
        ("Left", True),
        ("At risk", True),
        ("Before a notice", True),
        ("Stayed", True),
    )
    note = (
        "Before a notice: readings that no notice put at risk. Stayed: accounts that did not leave, over the same "
        f"weeks. An at-risk reading counts as a warning for {found.policy.lead_lookback_weeks} weeks. Customers that "
        "were not read so long before they left are not counted. Whole weeks from when a reading could be known."
    )
    return Table("At risk before leaving", columns, rows, "Nobody left.", note)


def gain_table(found: Validation) -> Table:
    """Points of the gain curve."""
    at = [0.05, 0.1, 0.2, 0.3, 0.5]
    present = [name for name in LINES if (found.gain["of"] == name).any()]
    rows = []
    for looked_at in at:
        here = found.gain[(found.gain["looked_at"] - looked_at).abs() < 1e-9].set_index("of")["found"]
        rows.append((Cell(share(looked_at)), *(Cell(share(float(here[name]))) for name in present)))
    columns = (("Looked at", False), *((LINES[name][4], True) for name in present))
    note = "Readings that every one of them can rank; without an interval."
    return Table("Those that left, found by looking", columns, rows, "No outcome is known.", note)


def list_table(found: Validation) -> Table:
    """What each list is worth."""
    figures = found.figures[(found.figures["outcome"] == "churned") & (found.figures["population"] == ALL)]
    # a tier that is no list of this outcome has a rate all the same
    figures = figures[figures["statistic"] == "load"]
    rows = []
    for listed, words in LIST_WORDS.items():
        if not (figures["of"] == listed).any():
            continue
        kinds = (("load", "share"), ("precision", "share"), ("recall", "share"), ("lift", "times"), ("ratio", "times"))
        rows.append(
            (Cell(words), *(Cell(with_interval(found.figure("churned", name, listed), kind)) for name, kind in kinds))
        )
    columns = (
        ("List", False),
        ("Of all readings", True),
        ("Of the list, left", True),
        ("Of those that left, on it", True),
        ("Against all", True),
        ("Against the others", True),
    )
    note = (
        "In the field’s words: load, precision, recall, lift, rate ratio. Readings of every week; intervals resample "
        "whole accounts."
    )
    return Table("What each list is worth", columns, rows, "No outcome is known.", note)


def population_table(found: Validation) -> Table:
    """AUC and at-risk figures by segment and period."""
    figures = found.figures[(found.figures["outcome"] == "churned") & found.figures["of"].isin(["score", "at_risk"])]
    rows = []
    for population in dict.fromkeys(figures["population"]):
        own = figures[figures["population"] == population].set_index(["statistic", "of"])
        area = own.loc[("auc", "score")]
        cells = [Cell(f"{int(area['events']):,}"), Cell(f"{int(area['accounts']):,}")]
        if area["note"]:
            cells += [Cell(str(area["note"]))] + [Cell("–")] * 3
        else:
            cells += [
                Cell(with_interval(area, "number")),
                Cell(with_interval(own.loc[("average_precision", "score")], "number")),
            ]
            cells += [Cell(with_interval(own.loc[(name, "at_risk")])) for name in ("precision", "recall")]
        rows.append((Cell(_population_words(area)), *cells))
    columns = (
        ("Readings of", False),
        ("Left", True),
        ("Accounts", True),
        ("AUC", True),
        ("Average precision", True),
        ("Of at risk, left", True),
        ("Of those that left, at risk", True),
    )
    return Table("By segment and over time", columns, rows, "No outcome is known.")


def segment_tables(found: Validation) -> list[Table]:
    """How often by tier, and how early, in each segment; none where there is one segment."""
    figures = found.figures[(found.figures["outcome"] == "churned") & (found.figures["kind"] == "segment")]
    segments = list(dict.fromkeys(figures["population"]))
    if not segments:
        return []
    by_key = figures.set_index(["population", "statistic", "of"])
    present = set(figures.loc[figures["statistic"] == "rate", "of"])
    tiers = [tier for tier in SHOWN_TIERS if tier in present]
    weeks = [seen.weeks for seen in found.leads.seen]
    rates, leads = [], []
    for segment in segments:
        name = Cell(f"Segment “{segment}”")
        cells = [_segment_cell(by_key, (segment, "rate", tier)) for tier in tiers]
        rates.append((name, *cells))
        warned = [(segment, f"at_risk_{number}_weeks_before", "at_risk") for number in weeks]
        median = _segment_cell(by_key, (segment, "lead_weeks_median", "at_risk"), "weeks")
        leads.append((name, *(_segment_cell(by_key, key) for key in warned), median))
    tier_note = "One reading per account and 13 weeks, by the segment of the reading. Wilson’s interval."
    lead_note = (
        "Of those that left, the share at risk at least so long before, by the segment of their last reading, notices "
        "counted; the CSV has it without. Median: whole weeks, of those that were at risk."
    )
    tier_columns = (("Left within 13 weeks", False), *((TIER_WORDS[tier], True) for tier in tiers))
    lead_columns = (
        ("At risk before leaving", False),
        *((f"{number} weeks", True) for number in weeks),
        ("Median", True),
    )
    return [
        Table("How often, by segment and tier", tier_columns, rates, "", tier_note),
        Table("How early, by segment", lead_columns, leads, "", lead_note),
    ]


def _segment_cell(figures: Any, key: tuple[str, str, str], kind: str = "share") -> Cell:
    if key not in figures.index:
        return Cell("no reading")
    row = figures.loc[key]
    return Cell(with_interval(row, kind), f"{int(row['events']):,} left")


def _population_words(row: Any) -> str:
    name = str(row["population"])
    return {"segment": f"Segment “{name}”", "period": f"Weeks {name}"}.get(str(row["kind"]), name[0].upper() + name[1:])


def baseline_table(found: Validation) -> Table:
    """Score and baselines on the same readings."""
    rows = []
    for baseline, words in BASELINES.items():
        score = found.figure("churned", "auc", f"score beside {baseline}")
        rows.append(
            (
                Cell(words[0].upper() + words[1:]),
                Cell(f"{int(score['events']):,}"),
                Cell(with_interval(score, "number")),
                Cell(with_interval(found.figure("churned", "auc", baseline), "number")),
                Cell(with_interval(found.figure("churned", "auc_difference", baseline), "difference")),
            )
        )
    columns = (
        ("Rule", False),
        ("Left", True),
        ("AUC of the score", True),
        ("AUC of the rule", True),
        ("Difference", True),
    )
    note = (
        "On the readings that both can rank. Tenure and revenue: a logistic model, fitted for each week on what was "
        "known before it. Differences are paired: the same resampled accounts."
    )
    return Table("Against simple rules", columns, rows, "No outcome is known.", note)


def outcome_table(found: Validation) -> Table:
    """The other labels: shrinking, leaving or shrinking, growing."""
    rows = []
    for outcome, words in OUTCOME_WORDS.items():
        area = found.figure(outcome, "auc")
        listed = "expansion_ready" if outcome == "expanded" else "at_risk"
        cells = [Cell(f"{int(area['events']):,}"), Cell(with_interval(area, "number")), Cell(LIST_WORDS[listed])]
        for name, kind in (("precision", "share"), ("recall", "share"), ("ratio", "times")):
            cells.append(Cell(with_interval(found.figure(outcome, name, listed), kind)))
        rows.append((Cell(words), *cells))
    columns = (
        ("Within 13 weeks", False),
        ("Accounts", True),
        ("AUC", True),
        ("List", False),
        ("Of the list", True),
        ("On the list", True),
        ("Against the others", True),
    )
    note = "For growing the order is turned round: a high score should go before it."
    return Table("Every outcome", columns, rows, "No outcome is known.", note)


def challenger_tables(challenger: Challenger) -> list[Table]:
    """The challenger's figures on later weeks, and the weights that changed most."""
    figures = []
    for statistic, words in COMPARED.items():
        row = challenger.figure(statistic)
        text = f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
        figures.append(
            (
                Cell(words[0].upper() + words[1:]),
                Cell(f"{row['policy']:.3f}"),
                Cell(f"{row['challenger']:.3f}"),
                Cell(text),
            )
        )
    columns = (("On later weeks", False), ("Policy in force", True), ("Learnt weights", True), ("Difference", True))
    weights = [
        (
            Cell(row["measure"], row["scorecard"]),
            Cell(share(row["normalised_weight"], 1)),
            Cell(share(row["normalised_weight_learnt"], 1)),
        )
        for row in most_changed(challenger.weights).to_dict("records")
    ]
    shown = (("Measure", False), ("In force", True), ("Learnt", True))
    return [
        Table("The challenger against the policy in force", columns, figures),
        Table("Weights that changed most", shown, weights),
    ]
