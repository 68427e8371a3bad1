"""Keeps a state folder of the pipeline aside and brings it back, so that one week can be measured several times."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.reviews import RunFigures

# What never changes once it is there, by the far greatest part: landed files, releases, bodies of packets. Everything
# else is copied, for a database is written in place.
NEVER_CHANGED = ("landing/", "published/releases/", "restricted/bodies/")
_RUNS = TypeAdapter(list[RunFigures])


def copy_state(home: Path, target: Path) -> None:
    """Make `target` what `home` is; it is there whole or not at all.

    Parameters
    ----------
    home : a state folder that nobody writes to meanwhile
    target : replaced where it is there; on the same disk, for what never changes is linked
    """

    def link_or_copy(source: str, copy: str) -> None:
        if Path(source).relative_to(home).as_posix().startswith(NEVER_CHANGED):
            os.link(source, copy)
        else:
            shutil.copy2(source, copy)

    draft = target.with_name(f"{target.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(home, draft, symlinks=True, copy_function=link_or_copy)
    shutil.rmtree(target, ignore_errors=True)
    draft.replace(target)
    # Who measures next must not wait for the disk on behalf of this.
    os.sync()


class KeptStates:
    """The states of one benchmark by the weeks they have published, each with the runs that led there.

    Parameters
    ----------
    folder : the benchmark's; its state is in `home`
    published : the weeks after which a state is kept, ascending
    commit : a state of another commit, or of files that no commit has, is none
    """

    def __init__(self, folder: Path, published: Sequence[int], commit: str) -> None:
        self._folder, self._published, self._commit = folder, tuple(published), commit
        self.kept = 0

    def restore(self) -> list[RunFigures]:
        """Bring the latest kept state back; the runs that led there, none where there is no state to go on from."""
        if self._commit == "unknown" or self._commit.endswith("+"):
            return []
        for published in reversed(self._published):
            note = self._note(published)
            content = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
            if content.get("commit") == self._commit:
                self.bring_back(published)
                self.kept = published
                return _RUNS.validate_python(content["runs"])
        return []

    def keep(self, published: int, runs: Sequence[RunFigures]) -> None:
        """Keep the state aside, and the runs so far."""
        copy_state(self._folder / "home", self._state(published))
        content = {"commit": self._commit, "runs": _RUNS.dump_python(list(runs))}
        draft = self._note(published).with_suffix(".partial")
        draft.write_text(json.dumps(content), encoding="utf-8")
        draft.replace(self._note(published))

    def bring_back(self, published: int) -> None:
        """Make that state the current one; it stays kept."""
        copy_state(self._state(published), self._folder / "home")

    def _state(self, published: int) -> Path:
        return self._folder / f"at_{published}"

    def _note(self, published: int) -> Path:
        return self._folder / f"at_{published}.json"
