"""Finds, reads, validates and hashes a policy document: the policy folder's own, else the built-in one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from health_pipeline.contract.yaml_text import parse_yaml

BUILT_IN = Path(__file__).with_name("documents")


class PolicyError(ValueError):
    """A policy document can't be used; the message says which, where in it, and what it must be."""


class PolicyModel(BaseModel):
    """Base of every policy model: unknown keys are refused, instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Document(Generic[Model]):
    """A validated policy document with the hash of its content.

    Comments do not count. The order of keys does: the first scorecard that fits judges, and sums run in order.
    """

    name: str
    path: Path
    model: Model
    hash: str
    text: str = ""


def document_path(folder: Path | None, name: str) -> Path:
    """The document's file: in `folder` where it has one of that name, else the built-in one.

    Raises
    ------
    PolicyError
        If `folder` is not a folder.
    """
    if folder is not None:
        if not folder.is_dir():
            raise PolicyError(f"HEALTH_POLICY names {folder}, which is not a folder; name a folder of YAML documents.")
        own = folder / f"{name}.yaml"
        if own.is_file():
            return own
    return BUILT_IN / f"{name}.yaml"


def load_document(folder: Path | None, name: str, model: type[Model]) -> Document[Model]:
    """Read and validate one document.

    Raises
    ------
    PolicyError
        In one sentence: the file, the place in it, what is there, what it must be.
    """
    path = document_path(folder, name)
    try:
        text = path.read_text(encoding="utf-8")
        content: Any = parse_yaml(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" line {place.line + 1}" if place else ""
        raise PolicyError(f"{path}{where} is not YAML: {getattr(error, 'problem', error)}.") from error
    if not isinstance(content, dict):
        raise PolicyError(f"{path} must hold keys and values at its top; it holds {type(content).__name__}.")
    try:
        validated = model.model_validate(content)
    except ValidationError as error:
        raise PolicyError(f"{path}: {_sentence(error)}") from error
    return Document(name, path, validated, content_hash(content), text)


def content_hash(content: Mapping[str, Any]) -> str:
    """Hash of a document's parsed content, 16 hexadecimal digits: without comments, with the order of its keys."""
    canonical = json.dumps(content, default=str, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _sentence(error: ValidationError) -> str:
    parts = []
    for problem in error.errors()[:5]:
        place = ".".join(str(part) for part in problem["loc"]) or "the document"
        message = problem["msg"].removeprefix("Value error, ")
        given = problem["input"]
        shown = f" (it says {given!r})" if isinstance(given, str | int | float | bool) else ""
        parts.append(f"{place}: {message}{shown}")
    more = error.error_count() - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "") + "."
