"""One run of the pipeline, as the command line runs it, with what each of its stages took."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from benchmarks.dbt_times import NodeRun, busy_intervals, busy_seconds, read_nodes
from benchmarks.sampling import ProcessRun, Samples, run_sampled
from health_pipeline.contract.clocks import Week
from health_pipeline.orchestration.home import dagster_instance
from health_pipeline.settings import REPOSITORY, Settings
from health_pipeline.sources.assets import SOURCE_SECONDS

# Dagster's steps, by the words a reader knows them by.
STAGES = {
    "pull_sources": "land",
    "identity__crosswalk": "identity",
    "feature_mart": "dbt: start, parse, what Dagster records",
    "score_accounts": "score",
    "plan_reviews": "plan",
    "candidate_release": "candidate",
    "quarterly_candidate": "candidate",
    "release_verdict": "audit",
    "quarterly_verdict": "audit",
    "release": "publish",
    "quarterly_release": "publish",
    "emitted_plan": "publish",
    "weekly_report": "report",
}
SIMULATE = "simulate the sources"
OUTSIDE = "start, and between steps"


class BenchmarkRunError(RuntimeError):
    """A run of the pipeline failed; what it said last is the message."""


@dataclass(frozen=True)
class StageFigures:
    """Seconds on the clock, CPU seconds, and peak resident bytes of one stage."""

    stage: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class RunFigures:
    """A whole run and its stages, in the order in which they began; `usage_seconds` are those of the usage models."""

    label: str
    whole: StageFigures
    stages: tuple[StageFigures, ...]
    usage_seconds: float | None = None

    @property
    def review_seconds(self) -> float:
        """Seconds from landing to report: without the simulated company, which plays the customer's own systems."""
        return self.whole.seconds - sum(stage.seconds for stage in self.stages if stage.stage == SIMULATE)


def land(settings: Settings, through: str) -> RunFigures:
    """Simulate and land everything that is due by that day."""
    command = [sys.executable, "-m", "benchmarks.first_load", through]
    run = _run(settings, command)
    return RunFigures("first load: simulate and land", _whole(run), ())


def review(settings: Settings, weeks: Sequence[Week], label: str, usage_models: Sequence[str]) -> RunFigures:
    """Run the weekly review of those weeks with `health-pipeline weekly`."""
    command = ["weekly", "--week", str(weeks[-1]), "--weeks", str(len(weeks))]
    return _pipeline(settings, command, label, usage_models)


def segment(settings: Settings, quarter: str) -> RunFigures:
    """Run the quarterly review with `health-pipeline quarterly`."""
    return _pipeline(settings, ["quarterly", "--quarter", quarter], f"segments of the quarter from {quarter}", ())


def _pipeline(settings: Settings, command: Sequence[str], label: str, usage_models: Sequence[str]) -> RunFigures:
    run = _run(settings, [sys.executable, "-m", "health_pipeline.cli", *command])
    steps, simulated = _steps(settings)
    nodes: list[NodeRun] = []
    if "feature_mart" in steps:
        nodes = read_nodes(settings.home / "dbt" / "target")
    stages = _stages(run, steps, nodes, simulated)
    usage = busy_seconds([node for node in nodes if node.name in usage_models]) if nodes else None
    return RunFigures(label, _whole(run), stages, usage)


def _run(settings: Settings, command: Sequence[str]) -> ProcessRun:
    environment = {
        # Where it is set every start compiles anew what is not compiled yet: 8 more CPU seconds each, measured once.
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPATH": str(REPOSITORY),
        "HEALTH_HOME": str(settings.home),
        "HEALTH_POLICY": str(settings.policy),
        "HEALTH_DUCKDB_MEMORY_LIMIT": settings.duckdb_memory_limit,
    }
    run = run_sampled(command, environment, REPOSITORY)
    if run.returncode:
        raise BenchmarkRunError(f"`{' '.join(command[1:])}` failed: {run.output.strip()[-1500:]}")
    return run


def _steps(settings: Settings) -> tuple[Mapping[str, tuple[float, float]], float]:
    """First and last moment of each step of the newest run, from Dagster's event log; seconds the sources took."""
    with dagster_instance(settings) as instance:
        run_id = instance.get_run_records(limit=1)[0].dagster_run.run_id
        stats = instance.get_run_step_stats(run_id)
        newest = instance.get_latest_materialization_event(dg.AssetKey(["landing", "source_load"]))
    steps = {one.step_key: (one.start_time, one.end_time) for one in stats if one.start_time and one.end_time}
    if newest is None or newest.asset_materialization is None or newest.run_id != run_id:
        return steps, 0.0
    return steps, float(newest.asset_materialization.metadata[SOURCE_SECONDS].value)


def _whole(run: ProcessRun) -> StageFigures:
    samples = run.samples
    return StageFigures("whole", run.ended_at - run.started_at, samples.cpu_seconds[-1], max(samples.resident_bytes))


def _stages(
    run: ProcessRun, steps: Mapping[str, tuple[float, float]], nodes: Sequence[NodeRun], simulated: float
) -> tuple[StageFigures, ...]:
    intervals: dict[str, list[tuple[float, float]]] = {}
    for step, span in sorted(steps.items(), key=lambda item: item[1]):
        if step == "pull_sources":
            # the sources are asked first, and a next week asks once
            handed_over = min(span[0] + simulated, span[1])
            intervals[SIMULATE] = [(span[0], handed_over)]
            span = (handed_over, span[1])  # noqa: PLW2901
        intervals.setdefault(STAGES.get(step, _stage_of(step)), []).append(span)
    if nodes:
        around = "dbt: start, parse, what Dagster records"
        for group in dict.fromkeys(node.group for node in nodes):
            intervals[group] = busy_intervals(node for node in nodes if node.group == group)
        intervals[around] = _without(steps["feature_mart"], busy_intervals(nodes))
    intervals[OUTSIDE] = _without((run.started_at, run.ended_at), sorted(steps.values()))
    return tuple(_figures(stage, spans, run.samples) for stage, spans in intervals.items())


def _stage_of(step: str) -> str:
    """Segment steps by their room; a check belongs to the asset it looks at."""
    if step.startswith("release_"):
        return "publish"
    return "segments" if re.search("segment|persona", step) else step.replace("_", " ")


def _without(whole: tuple[float, float], parts: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What is left of a stretch of time without those parts, which are in order."""
    left, at = [], whole[0]
    for start, end in parts:
        if start > at:
            left.append((at, start))
        at = max(at, end)
    return [*left, (at, whole[1])] if at < whole[1] else left


def _figures(stage: str, spans: Sequence[tuple[float, float]], samples: Samples) -> StageFigures:
    return StageFigures(
        stage,
        sum(end - start for start, end in spans),
        sum(samples.cpu_between(start, end) for start, end in spans),
        max((samples.peak_between(start, end) for start, end in spans), default=0),
    )
