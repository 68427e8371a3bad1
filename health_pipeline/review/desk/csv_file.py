"""Rows as a CSV file that no spreadsheet runs: the one place of the desk where cells are written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from starlette.responses import Response

from health_pipeline.publication.export import FORMULA_STARTS


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[object]], name: str) -> Response:
    """An answer that a browser keeps as a file; what is unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if value is None else harmless(str(value)) for value in row])
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    # With the mark older spreadsheets know that it is UTF-8.
    return Response("\ufeff" + text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def harmless(value: str) -> str:
    """A cell that no spreadsheet runs: a quote in front of what it would take for a formula."""
    return f"'{value}" if value.startswith((*FORMULA_STARTS, "\0")) else value
