"""The desk's stylesheet and script: read once, named by the hash of their content so that browsers may keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("static")
TYPES = {
    "desk.css": "text/css; charset=utf-8",
    "desk.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Content and media type by the name in the address, such as `desk-0a1b2c3d4e.css`."""
    return {_addressed(name): ((FOLDER / name).read_bytes(), media) for name, media in TYPES.items()}


@cache
def static_path(name: str) -> str:
    """The address of one of them."""
    return f"/static/{_addressed(name)}"


def _addressed(name: str) -> str:
    stem, _, ending = name.partition(".")
    return f"{stem}-{hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:10]}.{ending}"
