"""A TCP relay on loopback that a test can cut, to take a server away from one client only."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.support.ports import free_port


class Relay:
    """Listens on a port of its own and passes every connection on to a target, until it is cut."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()

    def start(self) -> None:
        """Accept connections, again after a cut on the same port."""
        listener = socket.create_server(("127.0.0.1", self.port), reuse_port=True)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and end those that exist."""
        for it in (self._listener, *self._open):
            if it is not None:
                with contextlib.suppress(OSError):
                    it.shutdown(socket.SHUT_RDWR)
                it.close()
        self._open.clear()
        self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                inside, _ = listener.accept()
                outside = socket.create_connection(self._target)
                self._open |= {inside, outside}
                for source, sink in ((inside, outside), (outside, inside)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                sink.sendall(chunk)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
