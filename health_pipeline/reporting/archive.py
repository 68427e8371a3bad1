"""The index of the reports that are kept: one line per week and per quarterly report, the newest first."""

from __future__ import annotations

import html
import os
import re
from datetime import date
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from health_pipeline.reporting.figures import day, week_span

_STYLE = Path(__file__).with_name("report.css")
_WEEKLY = re.compile(r"weekly-(\d{4}-\d{2}-\d{2})\.html")
_QUARTERLY = re.compile(r"([a-z]+(?:-[a-z]+)*)-(\d{4}-\d{2}-\d{2})\.html")
# A report says its verdict and its release in these places of its own; nothing else of it is read.
_VERDICT = re.compile(r'<p class="verdict">(.*?)</p>', re.DOTALL)
_RELEASE = re.compile(r'<p class="release">Release ([^<]*)</p>')
_HEAD = 400_000  # characters


def write_archive(folder: Path, company: str) -> Path:
    """Write `index.html`: every weekly report of the folder with its verdict, and other pages that lie there.

    Parameters
    ----------
    folder : where the reports are
    company : its name

    Returns
    -------
    Path
        The index, whole or not written at all.
    """
    weeks: list[dict[str, object]] = []
    quarters: list[dict[str, object]] = []
    others: list[dict[str, str]] = []
    for path in folder.glob("*.html"):
        found = _WEEKLY.fullmatch(path.name)
        if found:
            weeks.append({"file": path.name, **_said(path, date.fromisoformat(found.group(1)))})
        elif quarterly := _QUARTERLY.fullmatch(path.name):
            quarters.append({"file": path.name, **_quarterly(path, quarterly)})
        elif path.name not in ("index.html", "latest.html"):
            others.append({"file": path.name, "name": path.stem.replace("-", " ").replace("_", " ").capitalize()})
    environment = Environment(
        loader=PackageLoader("health_pipeline.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("archive.html.j2").render(
        style=Markup(_STYLE.read_text(encoding="utf-8")),  # noqa: S704  our own stylesheet
        company=company,
        weeks=sorted(weeks, key=lambda week: week["monday"], reverse=True),
        quarters=sorted(
            quarters,
            key=lambda one: (-one["ordinal"], str(one["name"])),
        ),
        others=sorted(others, key=lambda other: other["file"]),
    )
    path = folder / "index.html"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _quarterly(path: Path, name: re.Match[str]) -> dict[str, object]:
    """What a quarterly report says of itself, its kind and its quarter."""
    first_day = date.fromisoformat(name.group(2))
    said = _said(path, first_day)
    words = name.group(1).replace("-", " ").capitalize()
    return {
        "name": words,
        "quarter": f"quarter from {day(first_day)}",
        "ordinal": first_day.toordinal(),
        "verdict": said["verdict"],
        "release": said["release"],
    }


def _said(path: Path, monday: date) -> dict[str, object]:
    """What a report says of itself; a report of an older form has a line without it."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        head = stream.read(_HEAD)
    verdict, release = _VERDICT.search(head), _RELEASE.search(head)
    return {
        "monday": monday,
        "span": week_span(monday),
        "verdict": html.unescape(verdict.group(1)).strip() if verdict else "",
        "release": html.unescape(release.group(1)) if release else "",
    }
