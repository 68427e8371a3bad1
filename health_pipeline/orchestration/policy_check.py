"""`policy check` at the terminal: which file is used for what, every error, weights in both forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from health_pipeline.identity.overrides import find_override_file, load_overrides
from health_pipeline.policy.check import (
    CheckedDocument,
    Finding,
    check_documents,
    not_applicable_measures,
    unknown_files,
    unknown_playbook_names,
    unknown_risk_names,
)
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.policy.documents import PolicyError
from health_pipeline.policy.health_score import HealthScorePolicy
from health_pipeline.scoring.scorer import HealthScorer
from health_pipeline.scoring.tier_path import REASONS
from health_pipeline.settings import Settings


@dataclass(frozen=True)
class PolicyCheck:
    """What `policy check` found.

    Attributes
    ----------
    documents : every document with the file used for it
    overrides : what is said of identity_overrides; a sentence
    findings : of all of them, errors first
    """

    documents: tuple[CheckedDocument, ...]
    overrides: str
    findings: tuple[Finding, ...]

    @property
    def is_usable(self) -> bool:
        """Whether a run could use them: no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)


def check_policy(settings: Settings) -> PolicyCheck:
    """Check every document that people tune, as a run would read it.

    Raises
    ------
    PolicyError
        If HEALTH_POLICY names no folder.
    """
    documents = check_documents(settings.policy)
    findings = [finding for document in documents for finding in document.findings]
    findings += unknown_files(settings.policy)
    findings += not_applicable_measures(documents)
    findings += unknown_playbook_names(documents, REASONS)
    findings += unknown_risk_names(documents)
    words = "no file: nothing is overridden"
    try:
        file = find_override_file(settings.policy, settings.home)
        entries = load_overrides(settings.policy, settings.home)
        if file is not None:
            words = f"{len(entries.overrides) + len(entries.merges)} entries  {file}"
    except PolicyError as error:
        # its sentence names the file already
        findings.append(Finding("error", settings.policy or settings.home, "identity_overrides", str(error)))
        words = "can't be used"
    ordered = sorted(findings, key=lambda finding: finding.severity != "error")
    return PolicyCheck(tuple(documents), words, tuple(ordered))


def policy_check_text(checked: PolicyCheck, with_weights: bool = True) -> Iterator[RenderableType]:
    """The check in reading order: files, weights, errors, warnings, verdict."""
    yield _files(checked)
    models: dict[str, Any] = {document.name: document.model for document in checked.documents}
    score, company = models["health_score"], models["company"]
    if with_weights and isinstance(score, HealthScorePolicy) and isinstance(company, CompanyPolicy):
        yield ""
        yield "Weights as written, and as shares of the score over what the company has (each scorecard sums to 100 %):"
        yield weights_table(score, company)
    yield ""
    colours = {"error": "red", "warning": "yellow"}
    for finding in checked.findings:
        yield f"[{colours[finding.severity]}]{finding.severity}[/]  {escape(str(finding))}"
    errors = sum(finding.severity == "error" for finding in checked.findings)
    warnings = len(checked.findings) - errors
    verdict = "These documents can be used" if not errors else "These documents can't be used"
    yield f"{verdict}: {errors} errors, {warnings} warnings."


def _files(checked: PolicyCheck) -> Table:
    table = Table("document", "used", "hash", "file", box=None, pad_edge=False)
    for document in checked.documents:
        used = "own" if document.is_own else "built-in"
        table.add_row(document.name, used, document.hash or "can't be used", escape(str(document.file)))
    table.add_row("identity_overrides", "", "", escape(checked.overrides))
    return table


def weights_table(score: HealthScorePolicy, company: CompanyPolicy) -> Table:
    """Weights in both forms, a row per scorecard and measure; what does not apply to the company has no share."""
    shown = HealthScorer(score, company.not_applicable_domains).weights_shown()
    domains = {name: measure.domain for name, measure in score.measures.items()}
    off = shown["measure"].map(domains).isin(list(company.not_applicable_domains))
    # normalised over what applies, as the scorer spreads them: inside the group, then over the groups
    kept = shown[~off].copy()
    inside = kept.groupby(["scorecard", "measure_group"])["measure_weight"].transform("sum")
    groups = kept.drop_duplicates(["scorecard", "measure_group"]).groupby("scorecard")["group_weight"].sum()
    kept["share"] = kept["group_weight"] / kept["scorecard"].map(groups) * kept["measure_weight"] / inside
    shares = kept["share"].reindex(shown.index)
    table = Table("scorecard", "group", "measure", box=None, pad_edge=False)
    for heading in ("weight of the group", "weight in the group", "share of the score"):
        table.add_column(heading, justify="right")
    for row, share in zip(shown.to_dict("records"), shares, strict=True):
        written = (f"{row['group_weight']:g}", f"{row['measure_weight']:g}")
        said = "does not apply" if pd.isna(share) else f"{100 * share:.1f} %"
        table.add_row(row["scorecard"], row["measure_group"], row["measure"], *written, said)
    return table
