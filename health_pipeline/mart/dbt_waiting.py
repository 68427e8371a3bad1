"""A dbt that waits: it loads dbt, then parses the project and builds as the lines of its standard input say.

A program of its own, `python -m health_pipeline.mart.dbt_waiting`, started by `health_pipeline.mart.dbt_ahead`. When
its input ends before a line came, it ends too: nobody needs it any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path


def main() -> int:
    """Parse with the arguments of the first line, a JSON array; run what the second says, an object with `args` and
    `environment`.

    Returns
    -------
    int
        As dbt's own command: 0, 1 where a node failed, 2 where dbt did.
    """
    from dbt.cli.main import dbtRunner  # noqa: PLC0415 - this is what takes seconds

    from health_pipeline.observability.garbage import end_without_search  # noqa: PLC0415

    end_without_search()

    line = sys.stdin.readline()
    if not line:
        return 0
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        # https://docs.getdbt.com/reference/programmatic-invocations#reusing-objects
        parsed = dbtRunner().invoke(json.loads(line))
    line = sys.stdin.readline()
    if not line:
        return 0
    told = json.loads(line)
    os.environ.update(told["environment"])
    # A project that does not parse is parsed once more by the build, which says what is wrong.
    ended = dbtRunner(parsed.result if parsed.success else None).invoke(told["args"])  # type: ignore[arg-type]
    if ended.exception is not None:
        return 2
    return 0 if ended.success else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # Ctrl-C goes to all: the run says so.
        sys.exit(130)
