"""What a person at a terminal sees: progress as it happens, and one sentence when something is wrong."""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import typer
from pydantic import ValidationError
from rich.console import Console


class _ProgressHandler(logging.Handler):
    """Shows the rooms' structured log lines as they come, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self.console = console
        self.started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Print one event: seconds, room, what, numbers."""
        text = record.getMessage()
        if not text.startswith("{"):
            self.console.print(f"[dim]{text}[/dim]")
            return
        entry = json.loads(text)
        room, event = entry.pop("room", ""), entry.pop("event", "")
        level = entry.pop("level", "info")
        entry.pop("timestamp", None)
        numbers = "  ".join(f"{key}={value}" for key, value in entry.items())
        colour = {"warning": "yellow", "error": "red"}.get(level, "dim")
        seconds = time.monotonic() - self.started
        self.console.print(f"[{colour}]{seconds:6.1f} s  {room:<14} {event:<18} {numbers}[/{colour}]")


@contextmanager
def show_progress(console: Console) -> Iterator[None]:
    """Show what the rooms log while a command runs."""
    handler = _ProgressHandler(console)
    root = logging.getLogger("health_pipeline")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False
    warnings.filterwarnings("ignore")
    try:
        yield
    finally:
        root.removeHandler(handler)


@contextmanager
def failing_in_one_sentence(console: Console) -> Iterator[None]:
    """Turn the errors a person can mend into a sentence and exit code 1; a defect of ours keeps its traceback."""
    try:
        yield
    except typer.Exit:
        # a RuntimeError to Python, and no error to anybody: a command says so how it ended
        raise
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        console.print(f"[red]{place}: {first['msg']}[/red]", markup=True)
        raise typer.Exit(1) from error
    except duckdb.OutOfMemoryException as error:
        words = str(error).partition("\n")[0]
        console.print(f"[red]{words}; set HEALTH_DUCKDB_MEMORY_LIMIT higher, or end what else needs memory.[/red]")
        raise typer.Exit(1) from error
    except (ValueError, RuntimeError, OSError, LookupError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        console.print(f"[red]{str(text).replace('[', chr(92) + '[')}[/red]")
        raise typer.Exit(1) from error
