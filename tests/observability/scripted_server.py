"""A server on this machine that answers as its script says: well, slowly, half, in another tongue, or not at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DRIP_SECONDS = 0.05


@dataclass(frozen=True)
class Asked:
    """What the server was asked, and when (monotonic seconds)."""

    path: str
    headers: Message
    body: bytes
    at: float
    method: str = "POST"

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """One answer of the script.

    Attributes
    ----------
    is_cut : it promises ten bytes more than it sends, then hangs up
    hangs_up : it hangs up without a word
    is_silent : it takes the connection and never answers
    drips : it sends a header's letter every now and then, for ever
    """

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    is_cut: bool = False
    hangs_up: bool = False
    is_silent: bool = False
    drips: bool = False


PAGE = Answer(200, b"\n<!DOCTYPE html><html><body>Sign in</body></html>", {"Content-Type": "text/html; charset=utf-8"})


@dataclass
class Script:
    """The answers still to come, of which the last one is for ever; and all that was asked."""

    answers: list[Answer | Callable[[Asked], Answer]]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def documents(self) -> list[Any]:
        return [asked.document for asked in self.asked]

    def pauses(self) -> list[float]:
        """Seconds between one request and the next."""
        return [later.at - earlier.at for earlier, later in zip(self.asked, self.asked[1:], strict=False)]

    def next_to(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(asked) if callable(answer) else answer


class _Handler(BaseHTTPRequestHandler):
    script: Script

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.script.next_to(Asked(self.path, self.headers, body, time.monotonic(), self.command))
        # Whoever asked may have gone, which is what some answers are for.
        with suppress(ConnectionError):
            self._say(answer)

    def do_GET(self) -> None:
        self.do_POST()

    def _say(self, answer: Answer) -> None:
        self.script.over.wait(answer.delay_seconds)
        if answer.is_silent:
            self.script.over.wait()
        elif answer.drips:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not self.script.over.wait(DRIP_SECONDS):
                self.wfile.write(b"x")
        elif not answer.hangs_up:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body) + 10 * answer.is_cut))
            self.end_headers()
            self.wfile.write(answer.body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def scripted(*answers: Answer | Callable[[Asked], Answer]) -> Iterator[Script]:
    """A server on a free port; without a script it takes everything."""
    script = Script(list(answers) or [Answer()])
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"script": script}))
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()


def nobody_there() -> str:
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
