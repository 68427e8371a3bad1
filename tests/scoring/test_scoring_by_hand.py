"""docs/score-by-hand.md says what the code computes: its policy and raw values are scored, each number compared."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest
import yaml

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.policy.documents import Document
from health_pipeline.policy.health_score import HealthScorePolicy
from health_pipeline.scoring import scorer as scoring
from health_pipeline.scoring.scorer import HealthScorer
from health_pipeline.scoring.weekly import PreviousWeek, ScoredWeeks, score_weeks
from health_pipeline.settings import REPOSITORY

PAGE = REPOSITORY / "docs" / "score-by-hand.md"
FIRST = Week(date(2026, 8, 10))
NO_NUMBER = "-"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
Table = list[dict[str, str]]


def tables_of(text: str) -> list[Table]:
    """Every Markdown table of the page, in order: rows as cells by heading."""
    tables: list[Table] = []
    headings: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            headings = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not headings:
            headings = cells
            tables.append([])
        elif not set(line) <= set("|- :"):
            tables[-1].append(dict(zip(headings, cells, strict=True)))
    return tables


def policy_of(text: str) -> HealthScorePolicy:
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return HealthScorePolicy.model_validate(yaml.safe_load(block.group(1)))


def rows_of(raw: Table, policy: HealthScorePolicy) -> list[dict[str, Any]]:
    """The raw values of the page as feature rows: missing is null, stale makes the whole domain stale."""
    weeks = []
    for number in (1, 2, 3):
        row: dict[str, Any] = {}
        for line in raw:
            measure = policy.measures[line["measure"]]
            said = line[f"week {number}"]
            row.setdefault(f"{measure.domain}_status", "measured")
            if said == "stale":
                row |= {measure.feature: 1, f"{measure.domain}_status": "stale"}
            elif said == "missing":
                row[measure.feature] = None
            else:
                row[measure.feature] = float(said)
        weeks.append(row)
    return weeks


def close(said: str, computed: float | None) -> bool:
    """A number as it stands on the page, to the digits it is written with; a dash where there is none."""
    if said == NO_NUMBER:
        return computed is None or bool(np.isnan(computed))
    number = said.removesuffix("…")
    if not NUMBER.fullmatch(number) or computed is None or np.isnan(computed):
        return False
    if number == said:
        return abs(float(number) - computed) <= 1e-9
    # a number that goes on is cut off
    return 0 <= computed - float(number) < 10 ** -len(number.partition(".")[2])


class Checked:
    """Everything on the page that differs from the code, one sentence each."""

    def __init__(self, text: str, score: Callable[[list[dict[str, Any]], HealthScorePolicy], ScoredWeeks]) -> None:
        self.wrong: list[str] = []
        self.raw, self.points, self.groups, self.second, self.third, self.tiers, self.change = tables_of(text)
        self.policy = policy_of(text)
        scored = score(rows_of(self.raw, self.policy), self.policy)
        self.health = scored.health.to_pylist()
        self.changes = scored.changes.to_pylist()
        self.of_week = [
            {row["measure"]: row for row in scored.contributions.to_pylist() if row["week"] == FIRST.shift(n).monday}
            for n in range(3)
        ]
        self._points()
        self._groups()
        self._contributions(self.second, 1)
        self._contributions(self.third, 2)
        self._tiers()
        self._change()
        self._sums(text)

    def compare(self, where: str, said: str, computed: float | None) -> None:
        if not close(said, computed):
            self.wrong.append(f"{where}: the page says {said}, the code {computed}")

    def _points(self) -> None:
        assert [line["measure"] for line in self.points] == list(self.policy.measures)
        for line in self.points:
            for n in range(3):
                row = self.of_week[n][line["measure"]]
                self.compare(f"points of {line['measure']}", line[f"week {n + 1}"], row["curve_value"])

    def _groups(self) -> None:
        for line in self.groups:
            for n in range(3):
                rows = [row for row in self.of_week[n].values() if row["measure_group"] == line["group"]]
                weight = sum(row["weight"] for row in rows)
                value = sum(row["contribution"] for row in rows) / weight if weight else None
                self.compare(f"group {line['group']}", line[f"week {n + 1}"], value)

    def _contributions(self, table: Table, week: int) -> None:
        columns = {"weight by policy": "nominal_weight", "weight": "weight", "contribution": "contribution"}
        assert [line["measure"] for line in table] == [*self.policy.measures, "sum"]
        for said, column in columns.items():
            for line in table[:-1]:
                computed = self.of_week[week][line["measure"]][column]
                self.compare(f"{said} of {line['measure']}", line[said], computed)
            self.compare(f"sum of {said}", table[-1][said], sum(row[column] for row in self.of_week[week].values()))

    def _tiers(self) -> None:
        for line, row in zip(self.tiers, self.health, strict=True):
            self.compare("score", line["score"], row["score"])
            self.compare("coverage", line["coverage"], row["coverage"])
            for said, column in (
                ("tier by score", "score_tier"),
                ("tier", "tier"),
                ("pending", "pending_tier"),
                ("rule", "tier_reason"),
            ):
                if line[said] != (row[column] or NO_NUMBER):
                    self.wrong.append(f"{said} of week {line['week']}: {line[said]}, the code says {row[column]}")

    def _change(self) -> None:
        for n in (1, 2):
            row = self.changes[n]
            parts = {name: value for name, value in row.items() if name.startswith("change_from_")}
            said = {line["part"]: line[f"week {n + 1}"] for line in self.change}
            self.compare("change", said.pop("change"), row["score_change"])
            for part, number in said.items():
                self.compare(f"change from {part}", number, parts.pop(f"change_from_{part}"))
            # what the page does not name did not happen
            if any(value for value in parts.values()):
                self.wrong.append(f"the page leaves out {parts}")

    def _sums(self, text: str) -> None:
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        sums = [span for span in re.findall(r"`([^`]+)`", prose) if "=" in span]
        assert len(sums) > 15
        for span in sums:
            left, _, right = span.partition("=")
            self.compare(f"`{span}`", right.strip(), evaluate(left))


OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def evaluate(written: str) -> float:
    """A sum as a pocket calculator reads it."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand)
        assert isinstance(node, ast.Constant)
        return float(node.value)

    return value(ast.parse(written.strip().replace("×", "*").replace("÷", "/"), mode="eval").body)


@pytest.fixture
def score(
    one_account: Callable[..., Any], no_segments: Any, company: Document[CompanyPolicy]
) -> Callable[[list[dict[str, Any]], HealthScorePolicy], ScoredWeeks]:
    known: dict[str, ScoredWeeks] = {}

    def scored(rows: list[dict[str, Any]], policy: HealthScorePolicy) -> ScoredWeeks:
        key = f"{rows}{policy!r}"
        if key not in known:
            nothing = PreviousWeek(empty_table("account_health_weekly"), empty_table("score_contributions_weekly"))
            document = Document("health_score", PAGE, policy, "by-hand")
            weeks = [FIRST.shift(n) for n in range(3)]
            features = one_account(rows, first=FIRST)
            known[key] = score_weeks(features, no_segments, document, company, weeks, nothing)
        return known[key]

    return scored


def test_every_number_of_the_page_is_the_codes(score: Any) -> None:
    assert Checked(PAGE.read_text(encoding="utf-8"), score).wrong == []


def numbers_of_the_page() -> list[int]:
    """Where a number stands in a table below the raw values, or in a sum."""
    text = PAGE.read_text(encoding="utf-8")
    start = text.index("## 2.")
    places = []
    for line in re.finditer(r"^\|.*\|$|`[^`]*=[^`]*`", text[start:], re.MULTILINE):
        if not set(line.group()) <= set("|- :"):
            places += [start + line.start() + found.start() for found in NUMBER.finditer(line.group())]
    # headings and names: `week 2`, `| 1 | 80.1`
    return [place for place in places if not re.search(r"week $|\n\| $", text[:place])]


def test_any_other_number_on_the_page_is_noticed(score: Any) -> None:
    text = PAGE.read_text(encoding="utf-8")
    places = numbers_of_the_page()
    assert len(places) > 150
    for place in places:
        found = NUMBER.match(text, place)
        assert found is not None
        # one more in the last digit that is written
        digits = len(found.group().partition(".")[2])
        other = f"{float(found.group()) + 10**-digits:.{digits}f}"
        changed = text[:place] + other + text[found.end() :]
        assert Checked(changed, score).wrong, text[place - 60 : place + 20]


def test_other_raw_values_are_noticed(score: Any) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for said, other in (("| 0.8 | 0.7 |", "| 0.8 | 0.6 |"), ("| 0.9 | missing |", "| 0.9 | 0.9 |")):
        assert said in text
        assert Checked(text.replace(said, other, 1), score).wrong


def half_as_steep(monkeypatch: pytest.MonkeyPatch) -> None:
    original = scoring.evaluate_curve
    monkeypatch.setattr(scoring, "evaluate_curve", lambda measure, raw: original(measure, raw) * 0.5)


def unspread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HealthScorer, "_spread", lambda self, base, group_base, included: np.where(included, base, 0.0))


@pytest.mark.parametrize("change", [half_as_steep, unspread])
def test_other_code_is_noticed(
    score: Any, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    change(monkeypatch)
    assert len(Checked(PAGE.read_text(encoding="utf-8"), score).wrong) > 10
