"""The validation page and its files: reads scores and outcomes, judges them, writes what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.policy.validation import ValidationPolicy, load_validation
from health_pipeline.policy.wording import TIER_WORDS
from health_pipeline.reporting import validation_tables as tables
from health_pipeline.reporting.charts import Drawing
from health_pipeline.reporting.validation_charts import LINES, WARNINGS, calibration_chart, gain_chart, lead_chart
from health_pipeline.reporting.validation_words import (
    BY_CONSTRUCTION,
    ValidationVerdict,
    at_risk_ratio,
    baseline_sentence,
    validation_verdict,
    with_interval,
)
from health_pipeline.reporting.weekly import STYLE, TIER_SIGNS, write_whole
from health_pipeline.scoring.validation.assessment import Validation, assess
from health_pipeline.scoring.validation.baselines import BASELINES
from health_pipeline.scoring.validation.challenger import Challenger, NotEnoughEventsError, challenge
from health_pipeline.scoring.validation.challenger_files import ADOPTION, verdict, write_challenger
from health_pipeline.scoring.validation.inputs import Inputs, file_inputs, published_inputs
from health_pipeline.scoring.validation.learning import LearningError
from health_pipeline.scoring.validation.readings import join_readings
from health_pipeline.settings import Settings
from health_pipeline.sources.pull import read_sources

logger = get_logger("reporting")


@dataclass(frozen=True)
class ValidationReport:
    """What was found, and where it was written.

    Attributes
    ----------
    verdict : headline and sentences
    page, figures : the HTML page, and every figure as CSV
    challenger : the folder of the learnt weights; None where there were too few events
    by_construction : on the demo company, that what is measured there holds by construction; else empty
    numbers : a few figures by name, for plots over time; only those there are
    """

    verdict: ValidationVerdict
    page: Path
    figures: Path
    challenger: Path | None
    by_construction: str
    numbers: dict[str, float]


@dataclass(frozen=True)
class _Page:
    """Everything the page shows."""

    found: Validation
    inputs: Inputs
    company: CompanyPolicy
    challenger: Challenger | None
    challenger_sentence: str
    challenger_folder: Path | None
    by_construction: str
    policy_hash: str


def validate(
    settings: Settings, output: Path | None = None, features: Path | None = None, outcomes: Path | None = None
) -> ValidationReport:
    """Hold scores against what happened after, and write the page, the figures and the challenger.

    Parameters
    ----------
    settings : where state lives, and which policy is in force
    output : folder to write into; the reports' without
    features, outcomes : Parquet files to validate in the place of the published mart; both or neither

    Raises
    ------
    NothingToValidateError
        If nothing is published, or a file can't be used.
    ValueError
        If only one of the two files is given, or their rows can't be joined.
    """
    if (features is None) != (outcomes is None):
        raise ValueError("--features and --outcomes belong together; give both, or neither for the published mart.")
    policy, company = load_health_score(settings.policy), load_company(settings.policy)
    rules = load_validation(settings.policy).model
    is_demo = features is None and read_sources(settings.home / "sources.yaml").demo is not None
    by_construction = BY_CONSTRUCTION if is_demo else ""
    if features is not None and outcomes is not None:
        inputs = file_inputs(features, outcomes, policy, company)
    else:
        inputs = published_inputs(settings)
    rows = inputs.features.to_pandas()
    readings = join_readings(inputs.health.to_pandas(), inputs.outcomes.to_pandas(), rows)
    found = assess(readings, rules)
    folder = output or settings.reports
    folder.mkdir(parents=True, exist_ok=True)
    newest = str(max(inputs.health["week"].to_pylist(), default="none"))
    challenger, sentence, challenger_folder = None, "", None
    try:
        challenger = challenge(readings, rows, policy, company.model.not_applicable_domains, rules)
        note = f"{inputs.source[0].upper()}{inputs.source[1:]}. {by_construction}".strip()
        challenger_folder = write_challenger(challenger, folder / f"challenger-{newest}", policy, settings.policy, note)
        sentence = verdict(challenger)
    except (NotEnoughEventsError, LearningError) as error:
        sentence = str(error)
    page = _Page(found, inputs, company.model, challenger, sentence, challenger_folder, by_construction, policy.hash)
    text = render(page)
    write_whole(folder / f"validation-{newest}.html", text)
    write_whole(folder / "validation.html", text)
    figures = folder / f"validation-{newest}.csv"
    write_whole(figures, found.figures.to_csv(index=False, float_format="%.6g"))
    logger.info("validated", readings=len(readings.rows), page=str(folder / "validation.html"))
    return ValidationReport(
        verdict=validation_verdict(found, sentence),
        page=folder / "validation.html",
        figures=figures,
        challenger=challenger_folder,
        by_construction=by_construction,
        numbers=plotted_numbers(found, challenger),
    )


def plotted_numbers(found: Validation, challenger: Challenger | None) -> dict[str, float]:
    """Figures worth following over the weeks; one that there is not is left out."""
    rows = {
        "AUC of the score": found.figure("churned", "auc"),
        "of those that left, share at risk": found.figure("churned", "recall", "at_risk"),
        "of at risk, share that left": found.figure("churned", "precision", "at_risk"),
        "at risk left so many times as often": at_risk_ratio(found),
        **{f"AUC above {words}": found.figure("churned", "auc_difference", name) for name, words in BASELINES.items()},
    }
    numbers = {name: round(float(row["value"]), 4) for name, row in rows.items() if not row["note"]}
    numbers["accounts that left"] = float(found.figure("churned", "auc")["events"])
    numbers["readings with a known outcome"] = float(len(found.readings.rows))
    seen = found.leads.seen[0]
    if seen.share is not None:
        numbers[f"of those that left, share at risk {seen.weeks} weeks before"] = round(seen.share.value, 4)
    if challenger is not None:
        numbers["AUC of the learnt weights above the policy in force"] = round(
            challenger.figure("auc")["difference"], 4
        )
    return numbers


def render(page: _Page) -> str:
    """Return the page as HTML; the same validation gives the same text."""
    environment = Environment(
        loader=PackageLoader("health_pipeline.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = page.found
    rules: ValidationPolicy = found.policy
    judged = not found.figure("churned", "auc")["note"]
    weeks = found.readings.weeks
    return environment.get_template(
        "validation.html.j2"
    ).render(
        style=Markup(STYLE.read_text(encoding="utf-8")),  # noqa: S704  our own stylesheet
        signs=TIER_SIGNS,
        tier_words=TIER_WORDS,
        company=page.company.company_name,
        span=f"Weeks {weeks[0]:%Y-%m-%d} to {weeks[-1]:%Y-%m-%d}" if weeks else "No week with known outcomes",
        verdict=validation_verdict(found, page.challenger_sentence),
        by_construction=page.by_construction,
        mark=f" ({page.by_construction[0].lower()}{page.by_construction[1:-1]})" if page.by_construction else "",
        judged=judged,
        confidence=f"{100 * rules.confidence:.0f} %",
        minimum_events=rules.minimum_events,
        resamples=f"{rules.resamples:,}",
        as_published=_as_published(page.inputs),
        readings_sentence=_readings_sentence(found),
        without_overlap=with_interval(found.figure("churned", "auc_without_overlap"), "number"),
        baselines_sentence=" ".join(baseline_sentence(found, name) for name in BASELINES),
        challenger_sentence=page.challenger_sentence,
        challenger_folder=str(page.challenger_folder or ""),
        challenger_tables=tables.challenger_tables(page.challenger) if page.challenger else [],
        provenance=_provenance(page),
        **(_judged_parts(found) if judged else {"charts": []}),
    )


def _judged_parts(found: Validation) -> dict[str, Any]:
    lines = [(f"line {name}", LINES[name][3]) for name in LINES if (found.gain["of"] == name).any()]
    charts = [
        _chart("often", "Share that left within 13 weeks, by tier", calibration_chart(found), ()),
        _chart("ranking", "Those that left, found by looking", gain_chart(found), lines),
    ]
    if found.leads.seen[0].share is not None:
        legend = [(f"warning {name}", words) for name, (_, words) in WARNINGS.items()]
        charts.append(_chart("early", "Had been at risk before they left", lead_chart(found), legend))
    return {
        "charts": charts,
        "tiers": tables.tier_table(found),
        "leads": tables.lead_table(found),
        "gains": tables.gain_table(found),
        "lists": tables.list_table(found),
        "baselines": tables.baseline_table(found),
        "populations": tables.population_table(found),
        "segment_tables": tables.segment_tables(found),
        "outcomes": tables.outcome_table(found),
    }


def _chart(key: str, title: str, drawing: Drawing, legend: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A chart; its numbers stand in a table beside it."""
    return {"key": key, "title": title, "drawing": drawing, "legend": legend}


def _as_published(inputs: Inputs) -> str:
    if inputs.is_as_published:
        return "Scores and tiers are those that were published then; nothing was computed again with today’s data."
    return "No published scores were given: the policy in force scored the features of each week anew."


def _readings_sentence(found: Validation) -> str:
    readings = found.readings
    return (
        f"{len(readings.rows):,} readings have a known outcome; {readings.not_mature:,} wait for their 13 weeks, of "
        f"{readings.outcome_unknown:,} the outcome can’t be told, and {readings.not_published:,} outcomes have no "
        "published score."
    )


def _provenance(page: _Page) -> list[tuple[str, str]]:
    return [
        ("Data", page.inputs.source + (f". {page.by_construction}" if page.by_construction else "")),
        ("Policy in force", f"health_score {page.policy_hash}"),
        ("Learnt weights", str(page.challenger_folder or "none")),
        ("Adoption", ADOPTION),
        (
            "Methods",
            "Wilson, JASA 22 (1927); DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); Field and Welsh, JRSS B "
            "69 (2007)",
        ),
    ]
