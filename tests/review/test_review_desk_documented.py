"""docs/security.md names a test for each item: every one of them exists, where the page says it does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from health_pipeline.settings import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")


def files() -> dict[str, Path]:
    """The short names of the page, with the files they stand for."""
    said = PAGE[PAGE.index("Tests are in") : PAGE.index("| ASVS 5.0.0 |")]
    return {
        name: REPOSITORY / "tests" / "review" / path for name, path in re.findall(r"`(\w+)`[^`]*`(test_\w+\.py)`", said)
    }


def defined_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def named() -> list[tuple[str, str, str]]:
    """Item, short name of the file, test; in the order of the page."""
    found = []
    for line in PAGE.splitlines():
        if re.match(r"\| \d", line):
            item, *_, cell = [part.strip() for part in line.strip("|").split("|")]
            short = ""
            for word in re.findall(r"(?:^|[ ;])(\w+)(?= `)|`(test_\w+)`", cell):
                short = word[0] or short
                if word[1]:
                    found.append((item, short, word[1]))
    return found


def test_every_named_test_exists() -> None:
    known = {name: defined_in(path) for name, path in files().items()}
    assert set(known) == {"access", "security", "oidc", "browser", "actions"}
    rows = named()
    assert len(rows) > 35
    missing = [(item, short, test) for item, short, test in rows if test not in known.get(short, ())]
    assert not missing


def test_every_item_has_a_test_or_is_a_statement() -> None:
    """An item without a test is one that asks for a document, or says what is not done."""
    items = [line.split("|")[1].strip() for line in PAGE.splitlines() if re.match(r"\| \d", line)]
    without = set(items) - {item for item, _, _ in named()}
    assert without == {"7.1.1 to 7.1.3", "8.1.1, 8.1.2", "8.3.1", "10.1.1"}
    assert len(items) == len(set(items))
