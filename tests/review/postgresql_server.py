"""A private PostgreSQL server in a temporary folder, started as somebody who is not root; fails where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _binaries() -> Path:
    """The folder of `initdb`: on the path, or where Debian keeps it."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    # Not a skip: what is not tried on both databases is not known to hold on both.
    assert kept, "PostgreSQL is not installed, and the ledger is tested on it: apt-get install postgresql"
    return kept[-1].parent


def _as_somebody(user: str | None, command: list[str]) -> None:
    if user is not None:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    # To a file: the server keeps an inherited pipe open, and waiting for its end would take for ever.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(command, stdout=said, stderr=said, check=False, timeout=120, cwd="/")
        said.seek(0)
        assert done.returncode == 0, said.read().decode()


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of a server that listens on a socket of its own, without a port on the network."""
    binaries = _binaries()
    user = None
    if os.geteuid() == 0:
        # The server refuses root.
        user = (
            "postgres"
            if subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode == 0
            else "nobody"
        )
    folder = Path(tempfile.mkdtemp(prefix="ledger-pg-", dir="/tmp"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        data, log = folder / "data", folder / "log"
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "ledger", "-A", "trust", "-E", "UTF8", "--locale=C"]
        _as_somebody(user, [*initdb, "--no-sync"])
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off -c max_connections=60"
        control = [str(binaries / "pg_ctl"), "-D", str(data), "-w", "-t", "60"]
        _as_somebody(user, [*control, "-l", str(log), "-o", options, "start"])
        try:
            yield f"postgresql+psycopg://ledger@/postgres?host={folder}"
        finally:
            _as_somebody(user, [*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
