"""The crosswalk, begun in a run's second process while sources are pulled: what they bring is folded on top of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.identity.crosswalk import Crosswalk, crosswalk_of
from health_pipeline.identity.landed import Begun, build_landed, fold_files
from health_pipeline.identity.store import LINK_FILE
from health_pipeline.observability.workers import Workers, result_of
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing

# Below so many links the second process costs more (a second or two to start) than it gives.
LINKS_FOR_SECOND = 20_000


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

    def begin(self) -> None:
        """Begin, where there is so much that it pays; once."""
        if not self._has_begun and _links_before(self._settings) >= LINKS_FOR_SECOND:
            self._second.submit(begin, self._settings)
            self._has_begun = True

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
        self._has_begun = False
        return result_of(self._second.submit(finish, self._settings, manifest))


# What this process has begun, by the state folder it is of; `finish` takes it away.
_begun: dict[Path, Begun] = {}


def begin(settings: Settings) -> None:
    """Fold what is landed, and keep that in this process until `finish`."""
    _begun[settings.home] = fold_files(settings, Landing(settings.landing, settings.quarantine).manifest())


def finish(settings: Settings, manifest: pa.Table) -> Crosswalk:
    """The crosswalk of the manifest's loads; what `begin` folded in this process is not folded again."""
    return crosswalk_of(fold_files(settings, manifest, _begun.pop(settings.home, None)).fold)


def _links_before(settings: Settings) -> int:
    file = settings.identity / LINK_FILE
    return int(pq.read_metadata(file).num_rows) if file.is_file() else 0
