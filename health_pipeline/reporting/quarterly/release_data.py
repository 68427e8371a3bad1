"""What the quarterly reports read of a release: the quarter's rows, and the accounts of its last week by segment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from health_pipeline.contract.clocks import Quarter
from health_pipeline.reporting.release_data import NoReportError, Row
from health_pipeline.segmentation.model import UNSEGMENTED, SegmentModel

ALL = "all"


@dataclass(frozen=True)
class QuarterData:
    """Everything the three reports show, as rows of the published tables.

    Attributes
    ----------
    quarter : the newest published quarter, or the one asked for
    quarters : first days of all published quarters, in order
    manifest : of the release
    models : segment_models, all quarters
    performance, stability, personas, pairs, figures : the quarter's rows of segment_performance_quarterly,
        segment_stability_quarterly, persona_alignment_quarterly, segment_reconciliation_quarterly (without the list of
        accounts) and segment_figures_quarterly
    assignments : (segment, unsegmented_reason, accounts) of the quarter
    over_quarters : (quarter, figure, value) of stability figures of the whole solution
    features : account_features_weekly of the quarter's last week, what the model reads of it
    defects : (segment, theme, tickets, accounts) of that week; empty where no theme is published of it
    defect_totals : (segment, defects, accounts) of that week; defects are None where no tickets are connected
    planned : (segment, hours_needed, hours_below_line, proposals) of that week's plan
    """

    quarter: Quarter
    quarters: tuple[date, ...]
    manifest: dict[str, Any]
    models: list[Row]
    performance: list[Row]
    stability: list[Row]
    personas: list[Row]
    pairs: list[Row]
    figures: list[Row]
    assignments: list[Row]
    over_quarters: list[Row]
    features: pd.DataFrame
    defects: list[Row]
    defect_totals: list[Row]
    planned: list[Row]

    @cached_property
    def model_row(self) -> Row | None:
        """The model that put the quarter's accounts into segments; None where none could be fitted."""
        ids = {row["segment_model_id"] for row in self.performance} - {None}
        return next((row for row in self.models if row["segment_model_id"] in ids), None)

    @cached_property
    def model(self) -> SegmentModel | None:
        """That model itself."""
        return None if self.model_row is None else SegmentModel.from_json(self.model_row["parameters"])

    @cached_property
    def looked_at(self) -> dict[str, Any]:
        """Every solution the review looked at, the gap statistic and the settings; empty in a release from before."""
        return json.loads(self.model_row["figures"]) if self.model_row and self.model_row["figures"] else {}

    @cached_property
    def candidates(self) -> list[Row]:
        """The solutions of the declared transform, by number of segments."""
        rows = [row for row in self.looked_at.get("candidates", []) if row["transform"] == "declared"]
        return sorted(rows, key=lambda row: row["k"])

    @property
    def names(self) -> tuple[str, ...]:
        """The segments in listing order; without a model none."""
        return self.model.names if self.model is not None else ()

    @property
    def rows_per_segment(self) -> list[Row]:
        """segment_performance_quarterly in listing order."""
        return sorted(self.performance, key=lambda row: self.place(row["segment"]))

    def in_force(self, on: date) -> Row | None:
        """The adopted model that was in force on a day; None where none was."""
        adopted = [row for row in self.models if row["effective_from"] is not None and row["effective_from"] <= on]
        return max(adopted, key=lambda row: row["effective_from"], default=None)

    def stability_of(self, kind: str, figure: str, segment: str | None = None) -> list[Row]:
        """Rows of segment_stability_quarterly of a kind and figure, in the order of the segments."""
        rows = [row for row in self.stability if row["kind"] == kind and row["figure"] == figure]
        rows = [row for row in rows if segment is None or row["segment"] == segment]
        return sorted(rows, key=lambda row: self.place(row["segment"]))

    def figures_of(self, analysis: str, figure: str | None = None, subject: str | None = None) -> list[Row]:
        """Rows of segment_figures_quarterly of an analysis, a figure and a subject."""
        return [
            row
            for row in self.figures
            if row["analysis"] == analysis
            and (figure is None or row["figure"] == figure)
            and (subject is None or row["subject"] == subject)
        ]

    def figure(self, analysis: str, subject: str, figure: str, segment: str = ALL) -> Row | None:
        """One row of segment_figures_quarterly; None where it was not made."""
        rows = [row for row in self.figures_of(analysis, figure, subject) if row["segment"] == segment]
        return rows[0] if rows else None

    def place(self, segment: str) -> tuple[int, str]:
        """Where a segment is listed: the model's order, then others by name, the unsegmented last."""
        if segment in self.names:
            return self.names.index(segment), segment
        return (len(self.names) + (1 if segment == UNSEGMENTED else 0)), segment


_MAIN = "select table_name from information_schema.tables where table_schema = 'main'"
_ASSIGNED = """
    select segment, unsegmented_reason, count(*) as accounts from segment_assignments_quarterly where quarter = ?
    group by all order by all
"""
_OVER_QUARTERS = """
    select quarter, figure, value from segment_stability_quarterly
    where segment = 'all' and other_segment = '' and value is not null order by quarter, figure
"""
_FEATURES = "select * from account_features_weekly where week = ? order by account_id"
_DEFECTS = """
    select s.segment, d.theme, cast(sum(d.tickets_91d) as bigint) as tickets, count(distinct d.account_id) as accounts
    from defect_theme_accounts_weekly as d
    inner join segment_assignments_quarterly as s on d.account_id = s.account_id and s.quarter = ?
    where d.week = ? and d.tickets_91d > 0 and d.theme <> 'no_theme'
    group by all order by tickets desc, segment, theme
"""
_DEFECT_TOTALS = """
    select s.segment, cast(sum(f.defect_tickets_28d) as bigint) as defects,
        count(*) filter (where f.defect_tickets_28d > 0) as accounts
    from account_features_weekly as f
    inner join segment_assignments_quarterly as s on f.account_id = s.account_id and s.quarter = ?
    where f.week = ? group by all order by all
"""
_PLANNED = """
    select s.segment, count(*) as proposals, sum(p.hours_needed) as hours_needed,
        sum(case when p.is_within_capacity then 0 else p.hours_needed end) as hours_below_line
    from action_plan_accounts_weekly as p
    inner join segment_assignments_quarterly as s on p.account_id = s.account_id and s.quarter = ?
    where p.week = ? and p.hours_needed is not null group by all order by all
"""
# The week's table a query reads; a release from before the table has nothing of it.
_NEEDS = {_DEFECTS: "defect_theme_accounts_weekly", _PLANNED: "action_plan_accounts_weekly"}


def read_quarter(release_folder: Path, fiscal_year_start_month: int, quarter: Quarter | None = None) -> QuarterData:
    """Read what the reports of a release's newest quarter show, or of the one asked for.

    Raises
    ------
    NoReportError
        If the folder is no release, or holds no such quarter.
    """
    file, manifest_file = release_folder / "customer_health.duckdb", release_folder / "manifest.json"
    for needed in (file, manifest_file):
        if not needed.is_file():
            raise NoReportError(f"{needed} is not there; name the folder of a published release.")
    connection = duckdb.connect(str(file), read_only=True)
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set threads = 2")
        quarters = tuple(row["quarter"] for row in _rows(connection, _QUARTERS))
        chosen = quarter or (Quarter(quarters[-1], fiscal_year_start_month) if quarters else None)
        if chosen is None or chosen.first_day not in quarters:
            raise NoReportError(
                f"{release_folder.name} holds no published quarter{f' {quarter}' if quarter else ''}; run "
                "`health-pipeline quarterly` first."
            )
        return _read(connection, chosen, quarters, json.loads(manifest_file.read_text(encoding="utf-8")))
    finally:
        connection.close()


_QUARTERS = "select distinct quarter from segment_performance_quarterly order by quarter"


def _read(
    connection: duckdb.DuckDBPyConnection, quarter: Quarter, quarters: tuple[date, ...], manifest: dict[str, Any]
) -> QuarterData:
    there = {row["table_name"] for row in _rows(connection, _MAIN)}
    first, week = quarter.first_day, quarter.last_week.monday

    def of_quarter(table: str, columns: str = "*") -> list[Row]:
        query = f"select {columns} from {table} where quarter = ? order by all"
        return _rows(connection, query, [first]) if table in there else []

    def of_both(query: str) -> list[Row]:
        return _rows(connection, query, [first, week]) if _NEEDS.get(query, ALL) in {*there, ALL} else []

    return QuarterData(
        quarter=quarter,
        quarters=quarters,
        manifest=manifest,
        models=_rows(connection, "select * from segment_models order by quarter, segment_model_id"),
        performance=of_quarter("segment_performance_quarterly"),
        stability=of_quarter("segment_stability_quarterly"),
        personas=of_quarter("persona_alignment_quarterly"),
        pairs=of_quarter("segment_reconciliation_quarterly", "* exclude (account_ids)"),
        figures=of_quarter("segment_figures_quarterly"),
        assignments=_rows(connection, _ASSIGNED, [first]),
        over_quarters=_rows(connection, _OVER_QUARTERS) if "segment_stability_quarterly" in there else [],
        features=connection.execute(_FEATURES, [week]).fetch_arrow_table().to_pandas(),
        defects=of_both(_DEFECTS),
        defect_totals=of_both(_DEFECT_TOTALS),
        planned=of_both(_PLANNED),
    )


def _rows(connection: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
    rows: list[Row] = connection.execute(statement, list(parameters)).fetch_arrow_table().to_pylist()
    return rows
