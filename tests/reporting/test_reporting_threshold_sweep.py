"""The sweep of thresholds, counted by hand: what would still fire, what would be lost and spared, too little."""

from __future__ import annotations

from typing import Any

import pytest

from health_pipeline.policy.risk_signals import RiskSignal
from health_pipeline.reporting.threshold_sweep import sweep_lines, sweeps


def signal(comparator: str = ">=", threshold: float = 3, feature: str = "open_backlog", **more: Any) -> RiskSignal:
    values = {
        "id": "backlog",
        "title": "More tickets are open than should be",
        "category": "support",
        "when": [{"feature": feature, "comparator": comparator, "threshold": threshold}],
        "evidence": ["open_tickets"],
        "contribution": "medium",
        "playbooks": ["support_review"],
    }
    return RiskSignal.model_validate({**values, **more})


def reading(name: str, least: float, most: float, metric: str = "open_backlog") -> dict[str, Any]:
    return {"packet_id": name, "subject": "backlog", "metric": metric, "least": least, "most": most}


def twenty(statuses: dict[str, str]) -> list[dict[str, Any]]:
    """p3 ... p22 with 3 to 22 open tickets at most; those up to p12 were refuted, the others confirmed."""
    statuses |= {f"p{n}": "refuted" if n <= 12 else "confirmed" for n in range(3, 23)}
    return [reading(f"p{n}", 3, n) for n in range(3, 23)]


def test_a_stricter_line_spares_and_loses() -> None:
    statuses: dict[str, str | None] = {"u": "unconfirmed", "never": None}
    rows = [*twenty(statuses), reading("u", 3, 9), reading("never", 3, 30), reading("gone", 3, 30)]  # type: ignore[arg-type]
    (found,) = sweeps([signal()], rows, statuses)
    # of the values 3 to 22 the sixth, the eleventh and the sixteenth
    assert [step.threshold for step in found.steps] == [3, 8, 13, 18]
    assert [(step.judged.refuted, step.judged.confirmed, step.judged.undecided) for step in found.steps] == [
        (10, 10, 1),
        (5, 10, 1),
        (0, 10, 0),
        (0, 5, 0),
    ]
    first, *stricter = found.steps
    assert first.judged.refuted_share is not None and first.judged.refuted_share.value == 0.5
    # Wilson, 10 of 20
    assert (first.judged.refuted_share.low, first.judged.refuted_share.high) == pytest.approx(
        (0.29930, 0.70070), abs=5e-6
    )
    assert all(step.judged.refuted_share is None for step in stricter)
    lines = sweep_lines([found])
    assert "| backlog | open backlog | >= 13 | 10 | 0 | 0 | 0 | 10 | not enough decisions |" in lines
    assert "| backlog | open backlog | >= 18 | 5 | 0 | 0 | 5 | 10 | not enough decisions |" in lines


def test_a_fall_is_stricter_downwards() -> None:
    statuses: dict[str, str | None] = {f"p{n}": "confirmed" for n in range(20)}
    metric = "usage_change_share_4w"
    rows = [reading(f"p{n}", -0.3 - n / 50, -0.3, metric) for n in range(20)]
    (found,) = sweeps([signal("<=", -0.3, metric)], rows, statuses)
    assert [step.threshold for step in found.steps] == pytest.approx([-0.3, -0.4, -0.5, -0.6])
    assert [step.judged.confirmed for step in found.steps] == [20, 15, 10, 5]


def test_the_line_in_force_is_strict_where_it_says_so_and_older_readings_below_it_are_left_out() -> None:
    statuses: dict[str, str | None] = {}
    rows = twenty(statuses)  # type: ignore[arg-type]
    statuses |= {"below": "refuted", "also": "refuted"}
    (found,) = sweeps([signal(">", 2)], [*rows, reading("below", 1, 2), reading("also", 1, 1)], statuses)
    assert (found.steps[0].judged.confirmed, found.steps[0].judged.refuted) == (10, 10)
    assert sweeps([signal(">", 3)], rows, statuses) == []


def test_what_has_no_order_or_too_few_decisions_is_not_swept() -> None:
    statuses: dict[str, str | None] = {}
    rows = twenty(statuses)  # type: ignore[arg-type]
    assert sweeps([signal("==")], rows, statuses) == []
    assert sweeps([signal()], rows[:19], statuses) == []
    assert sweeps([signal(category="expansion")], rows, statuses) == []
    assert "not enough decisions" in sweep_lines([])[0]
