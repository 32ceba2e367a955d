"""A web server of a test's own, on a loopback address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_POLL_SECONDS: Final = 0.01
"""How soon a server notices that it is to end; the library's half second would be added to every test."""


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that keeps the test's output clean."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        """Say nothing."""


@contextmanager
def served(
    handler: Callable[..., BaseHTTPRequestHandler], host: str = "127.0.0.1", port: int = 0
) -> Generator[ThreadingHTTPServer]:
    """Answer requests until the block is left, on a free port if none is given."""
    server = ThreadingHTTPServer((host, port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
