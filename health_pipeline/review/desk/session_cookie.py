"""The cookie that holds a session's token: for this host alone, out of scripts' reach."""

from __future__ import annotations

from starlette.responses import Response

from health_pipeline.review.desk.visits import Desk


def set_session_cookie(desk: Desk, answer: Response, token: str) -> None:
    """Give the browser its session. It ends when the browser does, and on the server before."""
    answer.set_cookie(desk.cookie, token, httponly=True, secure=desk.settings.is_https, samesite="lax", path="/")
