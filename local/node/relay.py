"""Carries connections from the host into the node: `python -m local.node.relay FD=HOST:PORT ...`.

A socket keeps the network namespace in which it was made. The listening sockets come from the host, the outgoing ones
are made here, inside the node; so no interface joins the two, and nothing is left behind when the node ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from dataclasses import dataclass

_CHUNK_BYTES = 256 * 1024
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Route:
    """One listening socket and where its connections go."""

    descriptor: int
    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Route:
        """Return the route written as FD=HOST:PORT.

        Raises:
            ValueError: the text has another form.
        """
        descriptor, equals, target = text.partition("=")
        host, colon, port = target.rpartition(":")
        if not (equals and colon and host and descriptor.isdigit() and port.isdigit()):
            raise ValueError(f"route {text!r}: the form is FD=HOST:PORT")
        return Route(int(descriptor), host, int(port))


async def serve(route: Route) -> None:
    """Accept connections for ever and carry each to its target."""
    loop = asyncio.get_running_loop()
    connections: set[asyncio.Task[None]] = set()
    with socket.socket(fileno=route.descriptor) as listener:
        listener.setblocking(False)
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:  # for example out of descriptors: others will be given back
                print(f"accept: {error}", flush=True)
                await asyncio.sleep(0.1)
                continue
            task = asyncio.create_task(_carry(client, route))
            connections.add(task)
            task.add_done_callback(connections.discard)


async def _carry(client: socket.socket, route: Route) -> None:
    """Connect to the target and copy both ways until both sides have finished sending."""
    loop = asyncio.get_running_loop()
    target = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with client, target:
        for side in (client, target):
            side.setblocking(False)
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await loop.sock_connect(target, (route.host, route.port))
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(client, target))
                group.create_task(_copy(target, client))
        except (OSError, TimeoutError, ExceptionGroup):
            # One side went away: closing both tells the other, which is all a relay can do.
            return


async def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source has finished sending, then say so to the sink."""
    loop = asyncio.get_running_loop()
    buffer = bytearray(_CHUNK_BYTES)
    view = memoryview(buffer)
    while True:
        count = await loop.sock_recv_into(source, buffer)
        if count == 0:
            break
        await loop.sock_sendall(sink, view[:count])
    with contextlib.suppress(OSError):  # it has closed already
        sink.shutdown(socket.SHUT_WR)


async def _serve_all(routes: list[Route]) -> None:
    async with asyncio.TaskGroup() as group:
        for route in routes:
            group.create_task(serve(route))


if __name__ == "__main__":
    asyncio.run(_serve_all([Route.parse(argument) for argument in sys.argv[1:]]))
