"""What readers saw of the published store, and what of it must not be; as a program it is a reader: HOME STOP NUMBER.

A publication writes its number into the scores of two tables, so that half a release tells on itself. Times are of the
one clock of the machine (CLOCK_MONOTONIC), which every process reads alike.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

# Without a pause the readers take the processors that the publisher needs, and see fewer publications.
PAUSE_SECONDS = 0.2
QUERY = """
select
    (select min(score) from account_health_weekly where week = (select max(week) from account_health_weekly)),
    (select max(score) from account_health_weekly where week = (select max(week) from account_health_weekly)),
    (select max(curve_value) from score_contributions_weekly
     where week = (select max(week) from score_contributions_weekly)),
    (select count(*) from account_health_current)
"""


@dataclass(frozen=True)
class Publication:
    """One publication: the number in its rows, its release, and when `publish` was called and had returned."""

    number: int
    release: str
    called: float
    returned: float


@dataclass(frozen=True)
class Look:
    """One look of a reader: the numbers that stood in its tables, the rows, and when it began and had ended."""

    reader: int
    began: float
    ended: float
    numbers: tuple[int, ...]
    rows: int
    error: str = ""


def faults_in(publications: Sequence[Publication], looks: Sequence[Look], rows: int) -> Iterator[str]:
    """Everything that readers must never see; nothing where the store behaves like one register.

    A look may see the newest publication that had returned before it began, or any that was called before it ended.
    """
    by_number = {publication.number: publication for publication in publications}
    newest: dict[int, int] = {}
    for look in sorted(looks, key=lambda look: (look.reader, look.began)):
        where = f"reader {look.reader} at {look.began:.3f}"
        if look.error:
            yield f"{where}: an error ({look.error})"
        elif len(set(look.numbers)) != 1 or look.rows != rows:
            yield f"{where}: a torn read ({look.numbers}, {look.rows} rows)"
        elif (number := look.numbers[0]) not in by_number:
            yield f"{where}: {number} was never published"
        else:
            if number < newest.get(look.reader, 0):
                yield f"{where}: went back from {newest[look.reader]} to {number}"
            newest[look.reader] = max(number, newest.get(look.reader, 0))
            due = max((one.number for one in publications if one.returned < look.began), default=0)
            if number < due:
                yield f"{where}: saw {number} when {due} was published already"
            if by_number[number].called > look.ended:
                yield f"{where}: saw {number} before it was published"


def look_once(mart: Path, reader: int) -> Look:
    began = time.monotonic()
    try:
        with duckdb.connect(str(mart), read_only=True) as connection:
            lowest, highest, part, rows = connection.execute(QUERY).fetchall()[0]
    except (duckdb.Error, OSError) as error:
        return Look(reader, began, time.monotonic(), (), 0, f"{type(error).__name__}: {error}"[:300])
    return Look(reader, began, time.monotonic(), (int(lowest), int(highest), int(part)), rows)


def read_looks(path: Path) -> list[Look]:
    def look(values: Mapping[str, object]) -> Look:
        return Look(**{**values, "numbers": tuple(values["numbers"])})  # type: ignore[arg-type]

    return [look(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Look again and again through the link, as a BI tool does, until the stop file is there; then once more."""
    home, stop, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    mart = home / "published" / "current" / "customer_health.duckdb"
    with (stop.parent / f"looks-{number}.jsonl").open("w", encoding="utf-8") as said:
        is_last = False
        while True:
            said.write(json.dumps(asdict(look_once(mart, number))) + "\n")
            said.flush()
            if is_last:
                return
            is_last = stop.exists()
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
