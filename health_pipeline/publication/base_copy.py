"""The current release, copied and read while a run's first steps are at work: a candidate begins as a copy of it."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from health_pipeline.observability.logs import get_logger
from health_pipeline.publication.files import file_sha256, sync
from health_pipeline.publication.releases import MART_FILE, Release, candidates_folder, current_release, damaged_files
from health_pipeline.settings import Settings

logger = get_logger("publication")


class BaseCopy:
    """One copy, begun on entering; what is not taken is removed on leaving. The files that would be linked are read.

    After two years of 10,000 customers the mart's file is a gigabyte, and copying it a quarter of a candidate's time;
    half a gigabyte of Parquet lies beside it. What a killed run leaves lies among the candidates, which the next run
    removes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="base-copy")
        self._folder = candidates_folder(settings) / f"base-{os.getpid()}"
        self._release: Release | None = None
        self._copied: Future[Path] | None = None
        self._damaged: Future[frozenset[str]] | None = None
        self._ended = threading.Event()

    def __enter__(self) -> BaseCopy:
        self._release = current_release(self._settings)
        if self._release is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._copied = self._pool.submit(_copy, self._release.file, self._folder / MART_FILE)
            files = self._release.manifest["files"]
            # a run that ends early waits for one file at most
            names = (name for name in files if name != MART_FILE and not self._ended.is_set())
            self._damaged = self._pool.submit(damaged_files, self._release, names)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def take(self, base: Release, target: Path) -> str | None:
        """Move the copy to `target` and return the checksum of what lies there then.

        None where there is no copy of that release: it is another one meanwhile, or could not be made, as on a full
        disk. Who builds the candidate copies it then, and says what is wrong.
        """
        copied, self._copied = self._copied, None
        if copied is None or not self._is_of(base):
            return None
        made = self._folder / MART_FILE
        try:
            copied.result()
        except OSError as error:
            logger.warning("copy_ahead_failed", reason=error.strerror or type(error).__name__, release=base.name)
            made.unlink(missing_ok=True)
            return None
        made.replace(target)
        return file_sha256(target)

    def damaged(self, base: Release) -> frozenset[str] | None:
        """The files beside the mart's that were not as the manifest says when the run began.

        None where nobody looked: the base is another release meanwhile, or a file could not be read.
        """
        if self._damaged is None or not self._is_of(base):
            return None
        try:
            return self._damaged.result()
        except OSError as error:
            logger.warning("check_ahead_failed", reason=error.strerror or type(error).__name__, release=base.name)
            return None

    def _is_of(self, base: Release) -> bool:
        return self._release is not None and self._release.name == base.name


def _copy(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    # On its way to the disk while nobody waits: else the next one to flush anything waits for all of it.
    sync(target)
    return target
