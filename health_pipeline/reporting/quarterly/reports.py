"""The three files of a quarter: what each says first, its sections, written beside the weekly reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from health_pipeline.contract.clocks import Quarter
from health_pipeline.policy.company import load_company
from health_pipeline.reporting.archive import write_archive
from health_pipeline.reporting.figures import clock
from health_pipeline.reporting.quarterly import performance, personas, refresh
from health_pipeline.reporting.quarterly.page import Page, Section, write_page
from health_pipeline.reporting.quarterly.release_data import QuarterData, read_quarter
from health_pipeline.reporting.quarterly.words import METHODS, span_of
from health_pipeline.settings import Settings


@dataclass(frozen=True)
class Kind:
    """One of the three reports: the start of its file's name, its title, and what it says."""

    stem: str
    title: str
    headline: Callable[[QuarterData], str]
    statements: Callable[[QuarterData, str], list[tuple[str, str]]]
    sections: Callable[[QuarterData, str], list[Section]]

    def file(self, quarter: Quarter) -> str:
        """The file's name under the reports folder."""
        return f"{self.stem}-{quarter}.html"


KINDS = (
    Kind(
        "segmentation-refresh",
        "Segmentation refresh report",
        refresh.refresh_headline,
        lambda data, _: refresh.refresh_statements(data),
        refresh.refresh_sections,
    ),
    Kind(
        "persona-alignment",
        "Persona alignment assessment",
        personas.personas_headline,
        lambda data, _: personas.personas_statements(data),
        personas.personas_sections,
    ),
    Kind(
        "segment-performance",
        "Segment performance comparison",
        performance.performance_headline,
        performance.performance_statements,
        performance.performance_sections,
    ),
)


def write_quarterly_reports(settings: Settings, release_folder: Path, quarter: Quarter | None = None) -> list[Path]:
    """Write the three reports of a quarter, and the index of all reports anew.

    Parameters
    ----------
    settings : where reports go; the company's name and reporting currency come from its policy
    release_folder : `published/releases/<release>`: the only place data is read from
    quarter : the newest published one where it is not given

    Returns
    -------
    list of Path
        Refresh, personas, performance; each whole or not written at all.

    Raises
    ------
    NoReportError
        If the folder is no release, or holds no such quarter.
    """
    company = load_company(settings.policy).model
    data = read_quarter(release_folder, company.fiscal_year_start_month, quarter)
    pages = [page_of(kind, data, company.reporting_currency) for kind in KINDS]
    paths = [write_page(settings.reports, page, company.company_name) for page in pages]
    write_archive(settings.reports, company.company_name)
    return paths


def page_of(kind: Kind, data: QuarterData, currency: str) -> Page:
    """One of the reports."""
    row = data.model_row
    release = str(data.manifest.get("release") or "unknown")
    return Page(
        file=kind.file(data.quarter),
        title=kind.title,
        span=span_of(data.quarter),
        release=release,
        headline=kind.headline(data),
        statements=kind.statements(data, currency),
        sections=kind.sections(data, currency),
        method=tuple(METHODS.items()),
        provenance=(
            ("Release", release),
            ("Quarter", f"{span_of(data.quarter)}; features as of {clock(data.quarter.last_week.as_of_at)}"),
            (
                "Model",
                "none" if row is None else f"{row['segment_model_id']}, seed {row['seed']}, {row['n_init']} starts",
            ),
            ("Features", "none" if row is None else f"content hash {row['data_hash']}"),
        ),
        others=tuple((other.file(data.quarter), other.title) for other in KINDS if other is not kind),
    )
