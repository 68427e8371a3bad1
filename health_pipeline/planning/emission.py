"""Emits the published plan and review tasks as files for people's own tools. Proposals only; nothing is sent."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from health_pipeline.contract.clocks import Week

# A spreadsheet runs a cell that starts so as a formula (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escape_formula(value: object) -> object:
    """Return text that a spreadsheet shows instead of running; numbers and dates stay as they are."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def emit_plan(folder: Path, release: str, week: Week, plan: pa.Table, tasks: pa.Table) -> list[Path]:
    """Write the week's plan and the open review tasks as CSV and JSON lines.

    Parameters
    ----------
    folder : where the files go, a folder per week; written again with the same content by the same release
    plan : rows of `action_plan_accounts_weekly`; the week's are emitted, in plan order
    tasks : rows of `review_tasks`; the open ones are emitted, by priority

    Returns
    -------
    list of Path
        The files written.
    """
    target = folder / str(week)
    target.mkdir(parents=True, exist_ok=True)
    rows = sorted((row for row in plan.to_pylist() if row["week"] == week.monday), key=lambda row: row["plan_rank"])
    open_tasks = sorted(
        (row for row in tasks.to_pylist() if row["state"] == "open"),
        key=lambda row: (row["priority"], row["task_id"]),
    )
    written = []
    for name, schema, content in (
        ("action_plan", plan.column_names, rows),
        ("review_tasks", tasks.column_names, open_tasks),
    ):
        written.append(_write(target / f"{name}.csv", _csv(["release", *schema], content, release)))
        lines = (json.dumps({"release": release, **row}, default=str, ensure_ascii=False) for row in content)
        written.append(_write(target / f"{name}.jsonl", "".join(f"{line}\n" for line in lines)))
    return written


def _csv(header: Sequence[str], rows: Sequence[dict[str, object]], release: str) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({"release": release, **{key: escape_formula(value) for key, value in row.items()}})
    return buffer.getvalue()


def _write(path: Path, text: str) -> Path:
    """Replace the file in one step: who reads it sees the old one or the new one, never half."""
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)  # noqa: PTH105  atomic on the same file system, said plainly
    return path
