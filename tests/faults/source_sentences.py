"""What the code says in words, read from its source: a sentence with a hole … where a value will stand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import health_pipeline

PRODUCT = Path(health_pipeline.__file__).parent
HOLE = "…"
LOGS_A_PERSON_READS = {"warning", "error"}


def sentence(node: ast.expr) -> str:
    """The text of an expression; both of a choice, a hole for what only a run knows."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(sentence(value) for value in node.values)
    if isinstance(node, ast.BinOp):
        return sentence(node.left) + sentence(node.right)
    if isinstance(node, ast.IfExp):
        return " / ".join(filter(None, (sentence(node.body), sentence(node.orelse))))
    return HOLE


@cache
def parsed(path: Path) -> list[ast.AST]:
    """Every node of a file; docstrings are read too, they do no harm."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def files(folder: Path = PRODUCT) -> Iterator[list[ast.AST]]:
    yield from (parsed(path) for path in sorted(folder.rglob("*.py")))


def calls(nodes: list[ast.AST]) -> list[ast.Call]:
    return [node for node in nodes if isinstance(node, ast.Call)]


def findings() -> list[str]:
    """Each finding of the doctor as a row of a page: check, what, means, do; in the order of the code."""
    found = []
    for nodes in files(PRODUCT / "orchestration" / "doctor"):
        made = [call for call in calls(nodes) if isinstance(call.func, ast.Name) and call.func.id == "Finding"]
        for call in sorted(made, key=lambda call: call.lineno):
            check, _, *words = (sentence(argument) for argument in call.args)
            found.append(f"| {' | '.join((check, *words))} |")
    return found


def log_lines() -> set[str]:
    """The names of the lines that are logged as warnings or errors."""
    return {
        sentence(call.args[0])
        for nodes in files()
        for call in calls(nodes)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in LOGS_A_PERSON_READS
        and ast.unparse(call.func.value) in ("log", "logger", "context.log")
        and call.args
    }


def all_sentences() -> str:
    """Every text of the code, one after the other."""
    return "\n".join(
        sentence(node)
        for nodes in files()
        for node in nodes
        if isinstance(node, (ast.JoinedStr, ast.Constant, ast.BinOp))
    )
