"""dbt, started with the run or before: when features are to be built it is loaded and has parsed the project."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from health_pipeline.mart.dbt import DBT_PROJECT, dbt_environment, lasting_vars
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import PolicyError
from health_pipeline.settings import Settings

ENDS_WITHIN_SECONDS = 10.0
logger = get_logger("mart")


class DbtAhead:
    """One process of dbt; on entering it parses the project, and what is not taken ends on leaving.

    Loading dbt takes 3 to 4 seconds of one core and parsing the project 2 to 3, while the first steps leave another one
    idle. It writes nothing before it is entered, which is under the run's lock, and opens no warehouse before it is
    told to build.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._variables: dict[str, Any] = {}
        self._is_told = False

    def load(self) -> None:
        """Start the process, which loads dbt, and reads and writes nothing; `end` ends it."""
        if self._process is not None:
            return
        self._is_told = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "health_pipeline.mart.dbt_waiting"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=DBT_PROJECT,
            env={**os.environ, **dbt_environment(self._settings), **streamed_environment(self._settings)},
        )

    def __enter__(self) -> DbtAhead:
        try:
            self._variables = lasting_vars(self._settings, load_company(self._settings.policy).model)
        except PolicyError as error:
            # The step that needs the document says so, with what to do.
            logger.warning("dbt_not_started_ahead", reason=str(error))
            self.end()
            return self
        self.load()
        self._tell(["parse", "--target", self._settings.target, "--vars", json.dumps(self._variables)])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End the process where it was not taken."""
        process, self._process = self._process, None
        if process is None:
            return
        if not self._is_told:
            # it is still loading, and has written nothing
            process.kill()
        assert process.stdin is not None  # it was asked for
        assert process.stdout is not None
        # one that has died reads no more of what it was told
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def take(
        self, args: Sequence[str], variables: Mapping[str, Any], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | None:
        """Let it run dbt with those arguments, and hand over the process: its output is dbt's log, in lines of JSON.

        None where there is none: it was taken, has died, or parsed the project with other variables.

        Parameters
        ----------
        args : the command and its options, without target and variables
        variables : the lasting ones of `dbt_vars`
        environment : set before dbt starts to work, such as the run's weeks
        """
        process = self._process
        if process is None or process.poll() is not None or dict(variables) != self._variables:
            return None
        told = {
            "args": [*args, "--target", self._settings.target, "--vars", json.dumps(variables)],
            "environment": dict(environment),
        }
        if not self._tell(told):
            return None
        assert process.stdin is not None  # it was asked for
        process.stdin.close()
        self._process = None
        return process

    def _tell(self, words: object) -> bool:
        """Write a line to the process; False where it has died."""
        assert self._process is not None  # it was started
        assert self._process.stdin is not None  # it was asked for
        self._is_told = True
        try:
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            logger.warning("dbt_ahead_died", exit_code=self._process.wait())
            return False
        return True


def streamed_environment(settings: Settings) -> dict[str, str]:
    """What makes dbt speak as Dagster reads it, beside `dbt_environment`: as dagster-dbt sets it."""
    target_path = dbt_environment(settings)["DBT_TARGET_PATH"]
    return {
        "DAGSTER_DBT_CLI": "true",
        "PYTHONUNBUFFERED": "1",
        "DBT_LOG_FORMAT": "json",
        "DBT_LOG_PATH": target_path,
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_PROJECT_DIR": str(DBT_PROJECT),
    }
