"""What a quarterly report is made of, and how its file is written: verdict, sections, drawings beside their tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from health_pipeline.reporting.charts import Drawing
from health_pipeline.reporting.tables import Table, typeset

STYLE = Path(__file__).parents[1] / "report.css"


@dataclass(frozen=True)
class Shown:
    """A drawing with the table of what it shows, a table alone, or points of text; tables `behind` open on demand.

    Attributes
    ----------
    title : of the drawing
    legend : (swatch, words)
    beside : the drawing's table stands beside it at once; otherwise it opens on demand
    pair : drawings that stand side by side
    is_wide : drawn over the whole page
    heading : a heading of its own, where a section has several
    """

    title: str = ""
    drawing: Drawing | None = None
    table: Table | None = None
    legend: Sequence[tuple[str, str]] = ()
    beside: bool = True
    heading: str = ""
    text: str = ""
    points: Sequence[tuple[str, str]] = ()
    behind: Sequence[Table] = ()
    pair: Sequence[Shown] = ()
    is_wide: bool = False


@dataclass(frozen=True)
class Section:
    """A section: its key is its anchor, `short` its name in the page's navigation."""

    key: str
    short: str
    heading: str
    lede: str
    shown: Sequence[Shown]


@dataclass(frozen=True)
class Page:
    """One report.

    Attributes
    ----------
    file : its name under the reports folder
    title : what the report is
    span, release : what it is of and made from
    headline : the verdict in one sentence
    statements : (label, sentence), the verdict's parts
    others : (file, title) of the other reports of the quarter
    method, provenance : (what, words)
    """

    file: str
    title: str
    span: str
    release: str
    headline: str
    statements: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    method: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]
    others: Sequence[tuple[str, str]] = ()


def write_page(folder: Path, page: Page, company: str) -> Path:
    """Write a report, whole or not at all."""
    environment = Environment(
        loader=PackageLoader("health_pipeline.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["typeset"] = typeset
    text = environment.get_template("quarterly/report.html.j2").render(
        style=Markup(STYLE.read_text(encoding="utf-8")),  # noqa: S704  our own stylesheet
        signs={},
        company=company,
        page=page,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / page.file
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
