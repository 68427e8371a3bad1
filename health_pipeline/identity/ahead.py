"""The crosswalk, begun in a run's second process while sources are pulled: what they bring is folded on top of it."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from health_pipeline.identity.crosswalk import Crosswalk, crosswalk_of
from health_pipeline.identity.landed import Begun, build_landed, fold_files
from health_pipeline.identity.store import LINK_FILE
from health_pipeline.observability.garbage import give_back_memory
from health_pipeline.observability.logs import get_logger
from health_pipeline.observability.workers import Workers, result_of
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing

# Below so many links the second process costs more (a second or two to start) than it gives.
LINKS_FOR_SECOND = 20_000
Read = tuple[pa.Table, datetime | None]
logger = get_logger("identity")


class CrosswalkAhead:
    """Folds what is landed already: of all changes of two years the newest loads bring a hundredth.

    Parameters
    ----------
    settings : where state and policy live
    second : where it is made, and kept until `finish`
    """

    def __init__(self, settings: Settings, second: Workers) -> None:
        self._settings = settings
        self._second = second
        self._has_begun = False
        self._made: tuple[Future[tuple[Crosswalk, bool]], Read] | None = None

    def begin(self) -> None:
        """Begin, where there is so much that it pays and it was not begun already."""
        # with a run that failed its second process has ended, and what was begun there
        if self._has_begun and self._second.is_running:
            return
        self._made = None
        self._has_begun = _links_before(self._settings) >= LINKS_FOR_SECOND
        if self._has_begun:
            self._second.submit(fold_landed_so_far, self._settings)

    def go_on(self, manifest: pa.Table) -> None:
        """Fold the manifest's loads on top of what was begun, while the run's own process does something else.

        What goes wrong there is said by `finish`.
        """
        if not self._has_begun:
            return
        read = _read_of(manifest)
        # asked again, it folds again only where somebody landed more meanwhile
        if self._made is None or self._made[1] != read:
            self._made = self._second.submit(fold_the_rest, self._settings, manifest), read
            # records and nodes know each other: half a gigabyte would stay through the rest of the run
            self._second.submit(give_back_memory)

    def finish(self, manifest: pa.Table) -> Crosswalk:
        """The crosswalk of the manifest's loads, wherever it was begun.

        Raises
        ------
        PolicyError, FileNotFoundError
            As `build_landed` does.
        WorkerEndedError
            If the second process was killed meanwhile.
        """
        if not self._has_begun:
            return build_landed(self._settings, manifest)
        self.go_on(manifest)
        assert self._made is not None  # it has gone on
        made, _ = self._made
        self._made, self._has_begun = None, False
        crosswalk, is_on_top = result_of(made)
        logger.info("folded", on_top_of_what_was_begun=is_on_top)
        return crosswalk


# Of the process this is called in: by state folder, what `fold_landed_so_far` made and `fold_the_rest` takes away.
_begun: dict[Path, Begun] = {}


def fold_landed_so_far(settings: Settings) -> None:
    """Fold what is landed, and keep that in this process until `fold_the_rest`."""
    _begun[settings.home] = fold_files(settings, Landing(settings.landing, settings.quarantine).manifest())


def fold_the_rest(settings: Settings, manifest: pa.Table) -> tuple[Crosswalk, bool]:
    """The crosswalk of the manifest's loads, and whether it came on top of what this process had folded."""
    begun = _begun.pop(settings.home, None)
    folded = fold_files(settings, manifest, begun)
    return crosswalk_of(folded.fold), begun is not None and folded.fold is begun.fold


def _read_of(manifest: pa.Table) -> Read:
    """What identity reads of it: what a run lands in between, of texts it has read, is not among it."""
    return manifest.filter(pc.field("table_name") == "source_account"), pc.min(manifest["loaded_at"]).as_py()


def _links_before(settings: Settings) -> int:
    """As many as the last run wrote; 0 where it left no file that can be read: it is about to be written anew."""
    try:
        return int(pq.read_metadata(settings.identity / LINK_FILE).num_rows)
    except (OSError, pa.ArrowInvalid):
        return 0
