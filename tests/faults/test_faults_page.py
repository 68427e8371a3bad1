"""docs/faults.md maps a fault to its test: each test it names is there, and each file of this room is on it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = TESTS.parent / "docs" / "faults.md"
NAMED = re.compile(r"(\*long\* )?`([\w/]+\.py)::(\w+)`")


def defined(file: str) -> dict[str, bool]:
    """Name to whether it is long, of each test and each state machine of a file."""
    found = {}
    for node in ast.parse((TESTS / file).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = any("mark.long" in ast.unparse(decorator) for decorator in node.decorator_list)
        elif isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = False
    return found


def test_every_test_the_page_names_is_there_and_long_ones_are_marked() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 80
    files = {file: defined(file) if (TESTS / file).is_file() else {} for _, file, _ in named}
    assert [f"{file}::{test}" for _, file, test in named if test not in files[file]] == []
    assert [test for long, file, test in named if bool(long) != files[file][test]] == []


def test_every_file_of_this_room_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    own = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}
    # The crash points have a table of their own in that file's tests.
    assert [name for name in sorted(own) if f"faults/{name}::" not in page] == ["test_faults_crash_points.py"]
