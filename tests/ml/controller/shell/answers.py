"""A small HTTP server on an address of its own, as pods have one; answers can be changed and taken away."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from tests.support.web_server import QuietHandler, served


class Answers:
    """What the server says, by path without query; anything else is 404."""

    def __init__(self) -> None:
        self.by_path: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []


@contextmanager
def serving(ip: str, port: int) -> Generator[Answers]:
    """Listen on an address of the loopback network."""
    answers = Answers()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            answers.asked.append(self.path)
            status, text = answers.by_path.get(self.path.partition("?")[0], (404, ""))
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with served(Handler, ip, port):
        yield answers
