"""Structured logs: one line a person can act on. Plain values only, never customer text or a person's name."""

from __future__ import annotations

import logging

import structlog


def get_logger(room: str) -> structlog.stdlib.BoundLogger:
    """Logger of a room; goes through the standard library, so that Dagster and pytest capture it."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(f"health_pipeline.{room}"),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger.bind(room=room)
