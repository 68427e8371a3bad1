"""What dbt says about its own time: nodes of a run with their groups, from `run_results.json` and `manifest.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

GROUPS = {"history": "dbt: history", "weekly": "dbt: weekly features", "marts": "dbt: marts", "staging": "dbt: history"}


@dataclass(frozen=True)
class NodeRun:
    """One node of a dbt run: its group and its first and last moment, seconds since 1970."""

    name: str
    group: str
    started_at: float
    ended_at: float


def read_nodes(target: Path) -> list[NodeRun]:
    """The nodes of the run whose results lie in a dbt target folder.

    Raises
    ------
    FileNotFoundError
        If dbt did not get as far as writing them.
    """
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    nodes = []
    for result in results:
        node = manifest.get(result["unique_id"])
        if node is None or not result["timing"]:
            continue
        moments = [
            datetime.fromisoformat(timing[end]).timestamp()
            for timing in result["timing"]
            for end in ("started_at", "completed_at")
        ]
        nodes.append(NodeRun(node["name"], _group(node), min(moments), max(moments)))
    return nodes


def _group(node: dict[str, object]) -> str:
    if node["resource_type"] == "test":
        return "dbt: tests"
    places = [part for part in node["fqn"] if part in GROUPS]  # type: ignore[attr-defined]
    return GROUPS[places[-1]] if places else "dbt: other"


def busy_intervals(nodes: Iterable[NodeRun]) -> list[tuple[float, float]]:
    """The stretches of time in which at least one of the nodes ran."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted((node.started_at, node.ended_at) for node in nodes):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def busy_seconds(nodes: Sequence[NodeRun]) -> float:
    """Seconds in which at least one of the nodes ran."""
    return sum(end - start for start, end in busy_intervals(nodes))
