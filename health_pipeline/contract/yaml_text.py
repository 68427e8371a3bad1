"""Reads YAML: documents of ours and of the company's, plain values only."""

from __future__ import annotations

from typing import Any

import yaml

# Ten times as fast as the loader in Python, and the same values; a run reads some three hundred documents.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str) -> Any:
    """Read one document.

    Raises
    ------
    yaml.YAMLError
        If it is none; the message quotes the line.
    """
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders
    except yaml.YAMLError:
        # libyaml's own message names the line and does not quote it
        return yaml.safe_load(text)
