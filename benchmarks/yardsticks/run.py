"""Runs one yardstick in a process of its own: `python -m benchmarks.yardsticks.run bare|pandas FOLDER MEMORY_LIMIT`.

FOLDER holds `inputs.json` (the landed files) and `spine.parquet`, `links.parquet`, `seats.parquet`; the features go to
`<which>.parquet` there, the seconds they took, without Python's own start, to `<which>.json`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd

from benchmarks.yardsticks.usage_pandas import usage_features

SQL = Path(__file__).with_name("usage_bare.sql")
THREADS = 2


def run_bare(folder: Path, memory_limit: str) -> None:
    """Run the SQL on the landed files and write the features."""
    files = json.loads((folder / "inputs.json").read_text())
    with duckdb.connect(config={"threads": THREADS, "memory_limit": memory_limit}) as connection:
        connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
        connection.execute(f"set temp_directory = '{folder / 'spill'}'")
        for view, given in (("landed_events", files["events"]), ("landed_daily", files["daily"])):
            quoted = ", ".join(f"'{file}'" for file in given)
            connection.execute(f"create view {view} as select * from read_parquet([{quoted}])")
        for table in ("spine", "links", "seats"):
            connection.execute(f"create table {table} as from '{folder / table}.parquet'")
        connection.execute(f"copy ({SQL.read_text()}) to '{folder / 'bare.parquet'}'")


def run_pandas(folder: Path) -> None:
    """Compute the same in pandas and write the features."""
    files = json.loads((folder / "inputs.json").read_text())
    spine, links, seats = (pd.read_parquet(folder / f"{table}.parquet") for table in ("spine", "links", "seats"))
    for frame in (spine, links, seats):
        frame["week"] = pd.to_datetime(frame["week"]).astype("datetime64[us]")
    features = usage_features(
        [Path(file) for file in files["events"]], [Path(file) for file in files["daily"]], spine, links, seats
    )
    features["week"] = features["week"].dt.date
    features.to_parquet(folder / "pandas.parquet", index=False)


def main() -> None:
    """Run the one that is named and note its seconds."""
    which, folder, memory_limit = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    started = time.perf_counter()
    if which == "bare":
        run_bare(folder, memory_limit)
    else:
        run_pandas(folder)
    (folder / f"{which}.json").write_text(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
