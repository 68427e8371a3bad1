"""Releases on disk: what there is, which is current, whether it is whole, and going back to one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from health_pipeline.contract.clocks import Week, naive_utc
from health_pipeline.observability.crash_points import crash_point
from health_pipeline.observability.logs import get_logger
from health_pipeline.publication.errors import DamagedReleaseError, PublicationError
from health_pipeline.publication.files import file_sha256, read_json, sync
from health_pipeline.publication.history import (
    PublicationEvent,
    append_event,
    last_sequence,
    read_history,
)
from health_pipeline.quality.verdict import verdict_path
from health_pipeline.settings import Settings

MART_FILE = "customer_health.duckdb"
MANIFEST_FILE = "manifest.json"
PUBLISH_LOCK = "publish.lock"
MINIMUM_KEPT = 3
KEPT_FOR = timedelta(days=1)
LOCK_TIMEOUT_SECONDS = 60.0
_RELEASE_NAME = re.compile(r"r\d{6}-\d{8}T\d{6}-[0-9a-f]{8}")

log = get_logger("publication")


@dataclass(frozen=True)
class Release:
    """A published release: its folder and what its manifest says."""

    name: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def file(self) -> Path:
        """The published mart."""
        return self.folder / MART_FILE

    @property
    def sequence(self) -> int:
        """Its number; newer releases have higher ones."""
        return int(self.manifest["sequence"])

    @property
    def kind(self) -> str:
        """`weekly`, `quarterly` or `restate`."""
        return str(self.manifest["kind"])

    @property
    def weeks(self) -> tuple[str, ...]:
        """Mondays of the weeks it added or replaced."""
        return tuple(self.manifest["weeks"])

    @property
    def quarters(self) -> tuple[str, ...]:
        """First days of the quarters it added or replaced."""
        return tuple(self.manifest["quarters"])

    @property
    def reason(self) -> str | None:
        """Why weeks were restated."""
        reason: str | None = self.manifest["reason"]
        return reason

    @property
    def built_at(self) -> str:
        """When its candidate was built, as ISO text in UTC."""
        return str(self.manifest["built_at"])

    @property
    def published_weeks(self) -> tuple[Week, ...]:
        """Every week it holds, in order."""
        return tuple(Week.parse(week) for week in self.manifest["published_weeks"])

    @property
    def published_at(self) -> datetime:
        """When `current` was pointed at it, naive UTC."""
        return datetime.fromisoformat(self.manifest["published_at"])


def releases_folder(settings: Settings) -> Path:
    """Where releases lie."""
    return settings.published / "releases"


def candidates_folder(settings: Settings) -> Path:
    """Where candidates are built; on the same file system as the releases, so that publishing is a rename."""
    return settings.scratch / "candidates"


def _release_folders(settings: Settings) -> list[Path]:
    """Folders named like releases, oldest first; what a file browser leaves beside them is not ours."""
    folder = releases_folder(settings)
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and _RELEASE_NAME.fullmatch(path.name))


def _sequence_of(name: str) -> int:
    return int(name[1:7])


def load_release(settings: Settings, name: str) -> Release:
    """Read one release.

    Raises
    ------
    PublicationError
        Where there is none of that name.
    """
    folder = releases_folder(settings) / name
    if not (folder / MANIFEST_FILE).is_file():
        kept = ", ".join(release.name for release in list_releases(settings)) or "none"
        raise PublicationError(f"There is no release {name!r}; the ones kept are: {kept}.")
    return Release(name, folder, read_json(folder / MANIFEST_FILE))


def list_releases(settings: Settings) -> list[Release]:
    """Every release kept, oldest first."""
    return [Release(path.name, path, read_json(path / MANIFEST_FILE)) for path in _release_folders(settings)]


def current_release(settings: Settings) -> Release | None:
    """The release readers see; None before the first publication."""
    link = settings.published / "current"
    if not link.is_symlink():
        return None
    return load_release(settings, link.readlink().name)


def next_sequence(settings: Settings) -> int:
    """The number the next candidate gets."""
    return last_sequence(settings, [_sequence_of(path.name) for path in _release_folders(settings)]) + 1


def damages(release: Release) -> list[str]:
    """What about a release does not match its own manifest, in words; empty where it is whole.

    Finds changed, cut, missing and additional files (a write-ahead log beside the mart, say).
    """
    found = []
    expected: dict[str, str] = release.manifest["files"]
    present = {path.relative_to(release.folder).as_posix() for path in release.folder.rglob("*") if path.is_file()}
    present -= {MANIFEST_FILE, verdict_path(release.folder).name}
    found += [f"{name} is missing" for name in sorted(expected.keys() - present)]
    found += [f"{name} does not belong there" for name in sorted(present - expected.keys())]
    there = expected.keys() & present
    # It is as large as all others together; reading and counting leave Python to others.
    with ThreadPoolExecutor(1, thread_name_prefix="checksum") as beside:
        mart = beside.submit(damaged_files, release, there & {MART_FILE})
        changed = damaged_files(release, there - {MART_FILE}) | mart.result()
    return found + [f"{name} was changed: its checksum differs" for name in sorted(changed)]


def damaged_files(base: Release, names: Iterable[str]) -> frozenset[str]:
    """Those of the files that are not as their manifest says.

    A file that is only linked is read too: a flipped byte in an old week went from release to release, unseen.
    """
    return frozenset(name for name in names if _is_damaged(base, name))


def _is_damaged(base: Release, name: str) -> bool:
    path = base.folder / name
    return not path.is_file() or file_sha256(path) != base.manifest["files"][name]


def damaged(base: Release, name: str) -> DamagedReleaseError:
    """What to say of a file of the current release that is not as its manifest says."""
    return DamagedReleaseError(
        f"The current release {base.name} was changed on disk: {name} does not match its manifest; go back to an older "
        "one with `health-pipeline rollback`, or where that has the same file, restore the file from your copy."
    )


@contextmanager
def publish_lock(settings: Settings, timeout: float = LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
    """Hold the one lock under which `current` may move; the operating system frees it when its holder dies.

    Raises
    ------
    PublicationError
        If another process holds it longer than `timeout` seconds.
    """
    settings.published.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.home / PUBLISH_LOCK, timeout=timeout)
    try:
        lock.acquire()
    except Timeout as error:
        raise PublicationError(
            f"Another process has been publishing into {settings.published} for {timeout:g} seconds; wait for it "
            "or end it, and run this again."
        ) from error
    try:
        yield
    finally:
        lock.release()


def flip(settings: Settings, release: str) -> None:
    """Point `current` at a release in one atomic step. The caller holds the publish lock."""
    link = settings.published / "current"
    temporary = settings.published / f".current-{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(Path("releases") / release)
    temporary.replace(link)
    sync(settings.published)


def settle(settings: Settings) -> None:
    """Bring the published store to what its history says. The caller holds the publish lock.

    A process that died between recording an event and moving `current` is finished here; a release folder
    that no event names was never published and goes.

    Raises
    ------
    DamagedReleaseError
        If the release the history wants current is damaged.
    """
    events = read_history(settings)
    named = {event.release for event in events}
    for path in _release_folders(settings):
        if path.name not in named:
            log.warning("unpublished release folder removed", release=path.name)
            shutil.rmtree(path)
    for path in settings.published.glob(".current-*"):
        path.unlink()
    if not events:
        return
    link = settings.published / "current"
    wanted = events[-1].release
    if link.is_symlink() and link.readlink().name == wanted:
        return
    if problems := damages(load_release(settings, wanted)):
        raise DamagedReleaseError(
            f"Release {wanted} was about to become current and is damaged ({'; '.join(problems[:3])}); "
            "roll back to an older one with `health-pipeline rollback`."
        )
    flip(settings, wanted)
    log.warning("interrupted publication finished", release=wanted)


def clean_scratch(settings: Settings) -> list[str]:
    """Remove candidates an earlier run left behind and settle the published store; call at the start of a run.

    Returns
    -------
    list of str
        Names of the candidates removed.
    """
    with publish_lock(settings):
        settle(settings)
        folder = candidates_folder(settings)
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        for name in names:
            shutil.rmtree(folder / name)
        # Notes of runs point to those candidates.
        shutil.rmtree(settings.scratch / "runs", ignore_errors=True)
    return names


def rollback(settings: Settings, to_release: str, reason: str, by: str, at: datetime) -> Release:
    """Make an older release current again, on the record. The next candidate is built on it.

    Parameters
    ----------
    to_release : str
        Name of a kept release.
    reason, by : str
        Why, and who decided; both are kept in the history and in the next release's `publication_log`.
    at : datetime
        When.

    Raises
    ------
    PublicationError
        Without a reason or a name, or where the release is unknown or current already.
    DamagedReleaseError
        Where the release does not match its manifest.
    """
    if not reason.strip() or not by.strip():
        raise PublicationError("A rollback is a recorded act: say why with a reason, and who decided it.")
    with publish_lock(settings):
        try:
            settle(settings)
        except DamagedReleaseError as error:
            log.warning("rolling back over a damaged release", problem=str(error))
        target = load_release(settings, to_release)
        link = settings.published / "current"
        replaced = link.readlink().name if link.is_symlink() else None
        events = read_history(settings)
        # A damaged release may wait to become current: going back to what still is current calls it off.
        if replaced == to_release and events and events[-1].release == to_release:
            raise PublicationError(f"Release {to_release} is current already; there is nothing to roll back.")
        if problems := damages(target):
            raise DamagedReleaseError(
                f"Release {to_release} can't be rolled back to: {'; '.join(problems[:3])}; choose another one."
            )
        moment = naive_utc(at).isoformat()
        append_event(
            settings,
            PublicationEvent(next_sequence(settings), "rollback", to_release, replaced, moment, reason, by),
        )
        crash_point("rollback.before_flip")
        flip(settings, to_release)
        crash_point("rollback.after_flip")
    log.warning("rolled back", release=to_release, replaced=replaced, reason=reason, by=by)
    return target


def prune(settings: Settings, at: datetime) -> list[str]:
    """Remove releases nobody needs: older than a day, not among the newest three, not current. Names removed.

    A reader that has a removed release's file open keeps it until it closes.
    """
    with publish_lock(settings):
        return prune_locked(settings, at)


def prune_locked(settings: Settings, at: datetime) -> list[str]:
    """`prune` for a caller that holds the publish lock."""
    current = current_release(settings)
    releases = list_releases(settings)
    removed = []
    for release in releases[:-MINIMUM_KEPT]:
        is_recent = naive_utc(at) - release.published_at < KEPT_FOR
        if is_recent or (current is not None and release.name == current.name):
            continue
        crash_point("prune.before_remove")
        # Moved away first, so that a release is there whole or not at all, whenever the process dies.
        doomed = candidates_folder(settings) / f"pruned-{release.name}"
        doomed.parent.mkdir(parents=True, exist_ok=True)
        release.folder.replace(doomed)
        shutil.rmtree(doomed)
        removed.append(release.name)
    return removed
