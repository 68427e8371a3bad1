"""`python -m benchmarks --scale small`: measures one scale and writes it to docs/benchmarks.md and a JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.benchmark import run_benchmark
from benchmarks.machine import describe_machine
from benchmarks.page import as_json, put_section, section
from benchmarks.scales import SCALES
from health_pipeline.settings import REPOSITORY, Settings


def main(
    scale: Annotated[str, typer.Option(help=f"One of {', '.join(SCALES)}.")] = "small",
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where the benchmark's state goes; where the same commit left some it goes on from there, else the "
            "folder is emptied. Default: HEALTH_HOME/benchmarks."
        ),
    ] = None,
    page: Annotated[Path, typer.Option(help="The page whose section is written anew.")] = REPOSITORY
    / "docs"
    / "benchmarks.md",
) -> None:
    """Measure one scale: the run from landing to report, the usage features three ways, and how a week grows."""
    if scale not in SCALES:
        raise typer.BadParameter(f"{scale!r} is no scale; there are {', '.join(SCALES)}.")
    out = Console(highlight=False, soft_wrap=True)
    place = (folder or Settings().home / "benchmarks").resolve()
    machine = describe_machine(REPOSITORY)
    figures = run_benchmark(SCALES[scale], place / scale, str(machine["commit"]), out.print)
    put_section(page, scale, section(figures, machine), list(SCALES))
    results = place / f"{scale}.json"
    results.write_text(as_json(figures, machine), encoding="utf-8")
    out.print(f"Written: {page} and {results}; the state under {place / scale} can go.")


if __name__ == "__main__":
    typer.run(main)
