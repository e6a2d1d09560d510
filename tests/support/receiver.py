"""A receiver of signed CloudEvents as somebody would write it from the documentation, and an unreliable one.

It knows nothing of the product but what `docs/daemon.md` says of letters.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TAKES, REFUSES, LOSES = "takes", "refuses", "loses"


@dataclass(frozen=True)
class Received:
    """One letter as it came; `at` is on the monotonic clock."""

    at: float
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def id(self) -> str:
        return str(self.event["id"])

    @property
    def turn(self) -> str:
        return str(self.event["type"]).removeprefix("reconciler.alert.")

    @property
    def key(self) -> str:
        return str(self.event["subject"])

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.event["data"]
        return data


@dataclass
class Receiver:
    """Everything that came, repetitions too. `mood` says each time what becomes of a letter: it is taken, refused with
    503, or taken and never answered. `unsigned` counts what did not carry our signature."""

    secret: bytes
    mood: Callable[[], str] = lambda: TAKES
    url: str = ""
    unsigned: int = 0
    received: list[Received] = field(default_factory=list)

    def take(self, headers: Any, body: bytes) -> str:
        if not self._is_ours(headers, body):
            self.unsigned += 1
            return REFUSES
        mood = self.mood()
        if mood != REFUSES:
            self.received.append(Received(at=time.monotonic(), body=body))
        return mood

    def letters(self) -> list[Received]:
        """Each letter once, in the order of their first arrival."""
        return list({each.id: each for each in reversed(list(self.received))}.values())[::-1]

    def _is_ours(self, headers: Any, body: bytes) -> bool:
        timestamp = headers.get("Reconciler-Timestamp", "")
        mark = hmac.digest(self.secret, timestamp.encode() + b"." + body, hashlib.sha256).hex()
        return hmac.compare_digest("v1=" + mark, headers.get("Reconciler-Signature", ""))


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Listen on loopback in threads of its own."""

    class Desk(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            mood = receiver.take(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
            if mood == LOSES:
                self.close_connection = True
                return
            self.send_response(503 if mood == REFUSES else 204)
            self.end_headers()

        def log_message(self, *_words: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
