"""The figures as a section of `docs/benchmarks.md` and as JSON; one section per scale, the newest run of each stays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.benchmark import Figures
from benchmarks.reviews import RunFigures, StageFigures
from benchmarks.usage_comparison import MODELS, Comparison

INTRODUCTION = """# Benchmarks

Written by `make bench SCALE=small|medium|large`, one section per scale. The company is the simulated one. What a stage
took is read from Dagster's event log and dbt's `run_results.json`; CPU seconds and memory of the command and all its
children from `/proc`, ten times a second (resident memory: pages that processes share count in each).
"""
GIB = 2**30
NO_PANDAS = "Not run in pandas: it needs all events in memory at once, which this scale does not leave it."
WAYS = {"models": "dbt models", "bare": "bare DuckDB SQL", "pandas": "pandas"}


def as_json(figures: Figures, machine: Mapping[str, str | int | float]) -> str:
    """Everything, for whoever wants to compare runs."""
    return json.dumps({"machine": dict(machine), **asdict(figures), **summary(figures)}, indent=1)


def summary(figures: Figures) -> dict[str, float]:
    """The figures that have a target; of several repeats the median, of a ratio that of the pairs side by side."""
    first, last = figures.scale.published_before[0], figures.scale.published_before[-1]
    later = next_week_runs(figures, last)
    pairs = list(zip(next_week_runs(figures, first), later, strict=True))
    return {
        "first_build_to_bare": ratio(figures.first_build, "models", "bare"),
        "next_week_usage_to_bare": _usage_seconds(figures) / median(seconds(figures.next_week, "bare")),
        "next_week_seconds": median(run.review_seconds for run in later),
        "first_next_week_seconds": median(run.review_seconds for run, _ in pairs),
        "next_week_seconds_with_simulation": median(run.whole.seconds for run in later),
        "next_week_risk_stage_seconds": median(stage_seconds(run, "review risks") for run in later),
        "next_week_peak_gib": max(run.whole.peak_bytes for run in later) / GIB,
        "peak_gib": max(run.whole.peak_bytes for run in figures.runs) / GIB,
        "growth_seconds": median(run.review_seconds / before.review_seconds for before, run in pairs),
        "growth_cpu_seconds": median(run.whole.cpu_seconds / before.whole.cpu_seconds for before, run in pairs),
    }


def next_week_runs(figures: Figures, published: int) -> list[RunFigures]:
    """The repeats of the next week after so many published ones, in their order."""
    return [one.run for one in figures.next_weeks if one.published_before == published]


def typical(runs: Sequence[RunFigures]) -> RunFigures:
    """The repeats of one run as one: the median of each stage's seconds, and the most memory of any."""
    stages = dict.fromkeys(stage.stage for run in runs for stage in run.stages)
    merged = [[stage for run in runs for stage in run.stages if stage.stage == name] for name in stages]
    label = runs[0].label if len(runs) == 1 else f"{runs[0].label}, median of {len(runs)}"
    return RunFigures(label, _median([run.whole for run in runs]), tuple(_median(parts) for parts in merged))


def _median(parts: Sequence[StageFigures]) -> StageFigures:
    return StageFigures(
        parts[0].stage,
        median(part.seconds for part in parts),
        median(part.cpu_seconds for part in parts),
        max(part.peak_bytes for part in parts),
    )


def stage_seconds(run: RunFigures, name: str) -> float:
    """Seconds of a stage; 0 where the run had none of that name."""
    return sum(stage.seconds for stage in run.stages if stage.stage == name)


def seconds(comparison: Comparison, way: str) -> list[float]:
    """The seconds of each run of a way."""
    return [timing.seconds for timing in comparison.timings if timing.way == way]


def ratio(comparison: Comparison, way: str, to: str) -> float:
    """Median over the repeats of the seconds of two ways that ran one after the other."""
    pairs = zip(seconds(comparison, way), seconds(comparison, to), strict=True)
    return median(one / other for one, other in pairs)


def section(figures: Figures, machine: Mapping[str, str | int | float]) -> str:
    """One scale as Markdown."""
    scale, found = figures.scale, summary(figures)
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items())
    before = scale.published_before
    lines = [
        f"## {scale.name}",
        "",
        f"{scale.accounts:,} customers at any time ({figures.accounts:,} reviewed in a week, on average), "
        f"{figures.events:,} usage events. Machine: {facts}.",
        "",
        "| asked | target at medium, two cores | measured |",
        "|---|---|---|",
        "| usage features, first build of all history, to bare DuckDB SQL on all files | at most 2 x | "
        f"{found['first_build_to_bare']:.2f} x |",
        "| usage features of a next week, to bare DuckDB SQL for that week | at most 2 x | "
        f"{found['next_week_usage_to_bare']:.2f} x |",
        f"| a next week, {before[0]} published before, release included | 90 s | "
        f"{found['first_next_week_seconds']:.0f} s |",
        f"| a next week, {before[-1]} published before, release included | 90 s, 4 GiB | "
        f"{found['next_week_seconds']:.0f} s, {found['next_week_peak_gib']:.2f} GiB; of it the risk stage "
        f"{found['next_week_risk_stage_seconds']:.0f} s (30 s asked); {found['next_week_seconds_with_simulation']:.0f} "
        "s with the simulation of the sources |",
        f"| the next week at {before[-1]} published weeks to that at {before[0]} | at most 1.2 x | "
        f"{found['growth_seconds']:.2f} x (CPU {found['growth_cpu_seconds']:.2f} x) |",
        f"| most memory of any run, first load included | 4 GiB | {found['peak_gib']:.2f} GiB |",
        "",
        "### Next week, stage by stage",
        "",
        *_stage_table(figures),
        "",
        "dbt runs two nodes at a time: its groups overlap a little. `simulate the sources` is the made-up company, "
        "which plays the customer's own systems: it is left out of the seconds that have a target and "
        "is in all else. The next weeks were reviewed one after the other, "
        f"{_times(scale.repeats)}, each on the same kept state as before; the ratio above is that of neighbours.",
        "",
        "### Every run",
        "",
        "| run | seconds | CPU seconds | peak GiB |",
        "|---|--:|--:|--:|",
        *(
            f"| {one.label} | {one.whole.seconds:.1f} | {one.whole.cpu_seconds:.1f} | {_gib(one.whole.peak_bytes)} |"
            for one in figures.runs
        ),
        "",
        "### Usage features three ways",
        "",
        f"The models are {', '.join(MODELS)}: everything from landed events to the features, by dbt's own times, one "
        "model at a time on two threads of DuckDB. All ways are given the accounts, weeks, links and licensed seats, "
        "run in turn, and agree in every feature of every account and week. First and last use may lie anywhere in "
        "the past, so for a single week too the yardsticks read every file; the models read that week's load and "
        "their roll-ups.",
        "",
        *_comparison_table("first build of all history", figures.first_build),
        "",
        *_comparison_table("the newest week alone", figures.next_week, _usage_seconds(figures)),
        "",
        *(
            []
            if scale.with_pandas
            else ["pandas would need all events in memory at once, which this scale does not leave it.", ""]
        ),
    ]
    return "\n".join(lines)


def _stage_table(figures: Figures) -> Iterable[str]:
    runs = [typical(next_week_runs(figures, published)) for published in figures.scale.published_before]
    runs += [run for run in figures.runs if run.label.startswith("segments")]
    stages = list(dict.fromkeys(stage.stage for run in runs for stage in run.stages))
    yield "| stage | " + " | ".join(f"{run.label}: s, CPU s, peak GiB" for run in runs) + " |"
    yield "|---" + "|--:" * len(runs) + "|"
    for stage in [*stages, "whole"]:
        yield f"| {stage} | " + " | ".join(_stage_cell(run, stage) for run in runs) + " |"


def _stage_cell(run: RunFigures, stage: str) -> str:
    for one in (*run.stages, run.whole):
        if one.stage == stage:
            return f"{one.seconds:.1f}, {one.cpu_seconds:.1f}, {_gib(one.peak_bytes)}"
    return "-"


def _usage_seconds(figures: Figures) -> float:
    runs = next_week_runs(figures, figures.scale.published_before[-1])
    return median(run.usage_seconds or 0.0 for run in runs)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}"


def _comparison_table(title: str, comparison: Comparison, model_seconds: float | None = None) -> Iterable[str]:
    weeks = f"{comparison.weeks} weeks" if comparison.weeks > 1 else "one week"
    yield (
        f"{title.capitalize()}: {comparison.events:,} events; features of {weeks}, "
        f"{comparison.account_weeks:,} accounts and weeks."
    )
    yield ""
    yield "| way | seconds, run by run | CPU seconds of the process | peak GiB | models to it |"
    yield "|---|---|--:|--:|--:|"
    if model_seconds is not None:
        yield f"| dbt models, in the run of that week | {model_seconds:.2f} | - | - | 1 |"
    for way in dict.fromkeys(timing.way for timing in comparison.timings):
        runs = [timing for timing in comparison.timings if timing.way == way]
        taken = seconds(comparison, way)
        share = model_seconds / median(taken) if model_seconds is not None else ratio(comparison, "models", way)
        yield (
            f"| {WAYS[way]} | {', '.join(f'{one:.2f}' for one in taken)} "
            f"| {median(run.cpu_seconds for run in runs):.1f} | {_gib(max(run.peak_bytes for run in runs))} "
            f"| {share:.2f} x |"
        )


def put_section(page: Path, name: str, text: str, order: Sequence[str]) -> None:
    """Put a scale's section in the place of its older one; the others stay, those that are no scale at the end."""
    there = page.read_text(encoding="utf-8") if page.is_file() else ""
    parts = {found.split("\n", 1)[0].strip(): found for found in re.split(r"^## ", there, flags=re.M)[1:]}
    sections = {heading: f"## {body.rstrip()}\n" for heading, body in parts.items()}
    sections[name] = text.rstrip() + "\n"
    others = [heading for heading in sections if heading not in order]
    ordered = [sections[heading] for heading in (*order, *others) if heading in sections]
    page.write_text("\n".join([INTRODUCTION, *ordered]), encoding="utf-8")
