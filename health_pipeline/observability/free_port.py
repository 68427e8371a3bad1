"""Whether a port of this machine can be listened on; said before a server is started, in one sentence."""

from __future__ import annotations

import socket


class PortInUseError(RuntimeError):
    """Another process listens there; the message says what to do."""


def require_free_port(host: str, port: int, option: str) -> None:
    """Nothing where a server could listen there now.

    Parameters
    ----------
    option : of the command, by which another port is chosen

    Raises
    ------
    PortInUseError
        If another process does.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose connections are only waiting to be forgotten is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUseError(
                f"Port {port} on {host} can't be listened on ({error.strerror}); stop what is there, another "
                f"`make dev` perhaps, or choose another port with `{option}`."
            ) from error
