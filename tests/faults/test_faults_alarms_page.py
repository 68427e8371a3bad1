"""docs/operations.md knows every alarm: findings of the doctor, lines logged as warnings, why a run stopped."""

from __future__ import annotations

import errno
import os
import re

import duckdb
import pytest
from source_sentences import HOLE, PRODUCT, all_sentences, findings, log_lines

from health_pipeline.quality.suites import load_checks

PAGE = (PRODUCT.parent / "docs" / "operations.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(title: str) -> list[str]:
    return re.findall(r"^\| `(.+?)` \|", section(title), re.MULTILINE)


def out_of_memory() -> str:
    with duckdb.connect(config={"memory_limit": "8MB", "threads": 1}) as connection:
        connection.execute("set temp_directory = ''")
        with pytest.raises(duckdb.OutOfMemoryException) as raised:
            connection.execute("select count(*) from (select distinct hash(range) from range(10_000_000))")
    return str(raised.value)


def test_every_finding_of_the_doctor_is_explained_in_its_own_words() -> None:
    said = findings()
    assert len(said) > 30
    told = [line for line in section("What the doctor says").splitlines() if line.startswith("| ")][1:]
    # Where this fails: print findings(), and take the rows over.
    assert told == said


def test_every_line_that_is_logged_as_a_warning_is_explained() -> None:
    assert sorted(first_cells("Lines of the log")) == sorted(log_lines() - {HOLE})


def test_every_sentence_the_page_explains_is_one_the_code_says() -> None:
    said = all_sentences() + os.strerror(errno.ENOSPC) + out_of_memory()
    told = first_cells("Why it stopped")
    assert len(told) > 15
    assert [alarm for alarm in told if alarm not in said] == []


def test_every_check_that_warns_is_explained() -> None:
    warns = {check.name for check in load_checks() if check.severity == "warning"}
    told = [name for cell in first_cells("Checks that warn") for name in cell.split("`, `")]
    assert sorted(told) == sorted({*warns, "newest_week_is_published"})
    assert all(check.reason for check in load_checks())
