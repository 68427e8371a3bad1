"""Resident memory and CPU seconds of a process and all it started, from /proc; the most since a moment."""

from __future__ import annotations

import os
import threading
from pathlib import Path

INTERVAL_SECONDS = 0.25


def process_tree(root: int) -> list[int]:
    """The process and everything it started that is alive, by /proc; children of a thread belong to its process."""
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        try:
            threads = os.listdir(f"/proc/{process}/task")  # noqa: PTH208
        except (FileNotFoundError, ProcessLookupError):
            continue
        for thread in threads:
            waiting += map(int, _read(f"/proc/{process}/task/{thread}/children").split())
    return found


def _read(path: str) -> str:
    """What /proc says there, nothing of what has ended meanwhile; without Path, for it is asked all the time."""
    try:
        with open(path, encoding="utf-8") as stream:  # noqa: PTH123
            return stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cpu_and_memory(process: int) -> tuple[float, int]:
    """CPU seconds with those of waited-for children, and resident bytes; zeros where it has ended meanwhile."""
    # The name in brackets may hold blanks: what follows it does not.
    fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
    if not fields:
        return 0.0, 0
    ticks = sum(int(fields[place]) for place in (11, 12, 13, 14))
    return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


class PeakMemory:
    """The most resident bytes of this process and its children since `restart`, looked at four times a second.

    Pages that processes share count in each. What rises and falls between two looks is not seen. On a system without
    /proc it is not known: None, not 0.
    """

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._interval = interval_seconds
        self._peak = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._is_known = Path("/proc/self/stat").is_file()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)
        if self._is_known:
            self._thread.start()

    def restart(self) -> None:
        """Begin anew with what is resident now."""
        # Looking and noting are one step: what the thread saw before must not be noted after.
        with self._lock:
            self._peak = self._resident()

    def peak(self) -> int | None:
        """Bytes at most since `restart`, now included."""
        if not self._is_known:
            return None
        self._look()
        return self._peak

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _look(self) -> None:
        with self._lock:
            self._peak = max(self._peak, self._resident())

    def _resident(self) -> int:
        return sum(cpu_and_memory(process)[1] for process in process_tree(os.getpid())) if self._is_known else 0

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            self._look()
