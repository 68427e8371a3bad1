"""Which rules read a text: the policy's document and the code that reads by it, as one short hash."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from health_pipeline.policy.documents import Document

# What a reading depends on. Another comment in one of them reads every text again: that costs minutes, a
# forgotten number would cost rows that no rule explains.
READING_MODULES = ("folding", "notation", "negation", "word_index", "matching", "language", "sentiment", "reading")
READING_PACKAGES = ("py3langid", "vaderSentiment")


def rule_version(document: Document[Any]) -> str:
    """Return the version that readings carry, 16 hexadecimal digits.

    Parameters
    ----------
    document : the policy's `risk_phrases`
    """
    digest = hashlib.sha256(document.hash.encode())
    for name in READING_MODULES:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    for package in READING_PACKAGES:
        digest.update(f"{package} {version(package)}".encode())
    return digest.hexdigest()[:16]
