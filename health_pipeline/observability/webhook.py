"""Posts a small JSON document to the address the settings name. It says what went wrong, and raises nothing."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any


def is_web_address(url: str) -> bool:
    """Whether it can be posted to: `https://` or `http://`."""
    return url.startswith(("https://", "http://"))


def post_json(url: str, body: Mapping[str, Any], timeout_seconds: float = 10.0) -> str | None:
    """Post it once.

    Parameters
    ----------
    url : `https://...` or `http://...`; it may hold a secret, so no answer of this function names it
    timeout_seconds : to connect, and between two pieces of the answer

    Returns
    -------
    str or None
        Why it did not arrive; None where it did.
    """
    if not is_web_address(url):
        return "HEALTH_WEBHOOK_URL must start with https:// or http://"
    request = urllib.request.Request(  # noqa: S310  the scheme is checked above
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds):  # noqa: S310
            return None
    except (OSError, HTTPException) as error:
        return str(error) or type(error).__name__
