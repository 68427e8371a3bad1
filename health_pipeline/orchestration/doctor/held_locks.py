"""Which process holds a lock file, as Linux tells it; nothing is known of locks elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LOCKS, _PROCESSES = Path("/proc/locks"), Path("/proc")


@dataclass(frozen=True)
class HeldLock:
    """A lock file, the process that holds it, and whether that process is stopped (it holds on and does nothing)."""

    name: str
    process: int
    is_stopped: bool


def held_locks(files: Iterable[Path]) -> tuple[HeldLock, ...]:
    """Who holds these files' locks; none where no process does, or where the system does not say."""
    wanted = {path.stat().st_ino: path for path in files if path.is_file()}
    return tuple(
        HeldLock(wanted[inode].name, process, _is_stopped(process))
        for inode, process in _flocks()
        if inode in wanted and _has_open(process, wanted[inode])
    )


def may_hold(process: int, file: Path) -> bool:
    """Whether a process has the file open, or its system or its owner does not let one see.

    In a container a run that was killed and the command that looks for it mostly have the same number.
    """
    folder = _PROCESSES / str(process) / "fd"
    try:
        handles = list(folder.iterdir())
    except OSError:
        return True
    return any(_is_same(handle, file) for handle in handles)


def _is_same(handle: Path, file: Path) -> bool:
    with suppress(OSError):
        return handle.samefile(file)
    return False


def _flocks() -> Iterator[tuple[int, int]]:
    """Inode and process of each lock that is held; those that wait for one have an arrow in their line."""
    lines = _LOCKS.read_text(encoding="ascii").splitlines() if _LOCKS.is_file() else []
    for words in (line.split() for line in lines):
        if "->" not in words and words[1] == "FLOCK":
            yield int(words[5].rpartition(":")[2]), int(words[4])


def _has_open(process: int, path: Path) -> bool:
    """An inode's number is one file system's own: the process must have this very file open, or not let one see."""
    return (_PROCESSES / str(process) / "fd").is_dir() and may_hold(process, path)


def _is_stopped(process: int) -> bool:
    with suppress(OSError):
        return (_PROCESSES / str(process) / "stat").read_text().rpartition(") ")[2].startswith("T")
    return False
