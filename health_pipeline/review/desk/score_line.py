"""The small line of an account's score over its weeks, as points of an SVG: a gap where there was no score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from health_pipeline.review.desk.published_packets import AccountWeek

WIDTH, HEIGHT = 640, 96
EDGE = 6


@dataclass(frozen=True)
class ScoreLine:
    """Pieces of the line as SVG point lists; a piece of one point is a dot."""

    pieces: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    width: int = WIDTH
    height: int = HEIGHT


def score_line(weeks: Sequence[AccountWeek]) -> ScoreLine | None:
    """Draw scores from 0 (bottom) to 100 (top); None where no week has one."""
    if not any(week.score is not None for week in weeks):
        return None
    step = (WIDTH - 2 * EDGE) / max(1, len(weeks) - 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for place, week in enumerate(weeks):
        if week.score is None:
            runs.append([])
        else:
            runs[-1].append(
                (round(EDGE + place * step, 1), round(HEIGHT - EDGE - week.score / 100 * (HEIGHT - 2 * EDGE), 1))
            )
    pieces = tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1)
    ends = [run[-1] for run in runs if run]
    return ScoreLine(pieces, tuple([run[0] for run in runs if len(run) == 1] + ends[-1:]))
