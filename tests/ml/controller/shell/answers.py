"""A small HTTP server on an address of its own, as pods have one; answers can be changed and taken away."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Answers:
    """What the server says, by path without query; anything else is 404."""

    def __init__(self) -> None:
        self.by_path: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []


@contextmanager
def serving(ip: str, port: int) -> Generator[Answers]:
    """Listen on an address of the loopback network."""
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.asked.append(self.path)
            status, text = answers.by_path.get(self.path.partition("?")[0], (404, ""))
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
            pass

    server = ThreadingHTTPServer((ip, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
