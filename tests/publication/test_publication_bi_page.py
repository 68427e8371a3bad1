"""docs/bi.md: each SQL statement and each Python snippet on the page works on a published release."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from health_pipeline.contract.mart import mart_tables
from health_pipeline.settings import REPOSITORY

PAGE = (REPOSITORY / "docs" / "bi.md").read_text(encoding="utf-8")
SQL = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("statement", SQL)
def test_every_statement_runs_read_only(published_home: Path, statement: str) -> None:
    mart = published_home / "published" / "current" / "customer_health.duckdb"
    with duckdb.connect(str(mart), read_only=True) as con:
        assert con.execute(statement).description


def test_the_statements_mean_what_the_page_says(published_home: Path) -> None:
    mart = published_home / "published" / "current" / "customer_health.duckdb"
    tiers, _, contributions, *_ = SQL
    with duckdb.connect(str(mart), read_only=True) as con:
        accounts = con.execute("select count(*) from account_health_current").fetchall()[0][0]
        assert sum(row[1] for row in con.execute(tiers).fetchall()) == accounts
        rows = con.execute(contributions).fetchall()
    assert len({row[0] for row in rows}) == 1
    assert sum(row[7] for row in rows if row[7] is not None) == pytest.approx(rows[0][1], abs=1e-9)


def test_the_python_on_the_page_runs(published_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_HOME", str(published_home))
    names: dict[str, object] = {}
    for snippet in PYTHON:
        exec(compile(snippet, "docs/bi.md", "exec"), names)
    assert list(names["frame"].columns) == ["account_id", "tier", "score"]  # type: ignore[attr-defined]
    with duckdb.connect() as con:
        weeks = published_home / "published" / "current" / "parquet" / "account_health_weekly" / "*.parquet"
        expected = con.execute(f"select count(*) from read_parquet('{weeks}')").fetchall()[0][0]
    assert len(names["health"]) == expected  # type: ignore[arg-type]


def test_the_tables_on_the_page_are_the_contracts() -> None:
    columns = {column.name for table in mart_tables().values() for column in table.columns}
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE))
    known = mart_tables().keys() | columns | {"metabase_duckdb_driver"}
    assert named <= known, named - known
