from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from local.node.relay import Route, serve

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _through_relay(
    handler: Handler, client: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]
) -> bytes:
    """Run a server behind a relay, let `client` talk to the relay, and return what it returns."""
    target = await asyncio.start_server(handler, "127.0.0.1", 0)
    host, port = target.sockets[0].getsockname()
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(serve(Route(listener.fileno(), host, port)))
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        return await client(reader, writer)
    finally:
        task.cancel()
        target.close()
        listener.detach()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    data = await reader.read()  # until the other side has finished sending
    writer.write(data)
    await writer.drain()
    writer.close()


def test_everything_arrives_when_much_is_sent_both_ways() -> None:
    content = bytes(range(256)) * 40_000

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(content)
        writer.write_eof()
        return await reader.read()

    assert asyncio.run(_through_relay(_echo, client)) == content


def test_client_sees_the_end_when_the_target_closes_first() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        answer = await reader.read()
        writer.close()
        return answer

    assert asyncio.run(_through_relay(greet, client)) == b"bye"


def test_connection_is_closed_when_the_target_does_not_answer() -> None:
    async def scenario() -> bytes:
        unused = socket.create_server(("127.0.0.1", 0))
        host, port = unused.getsockname()
        unused.close()
        listener = socket.create_server(("127.0.0.1", 0))
        task = asyncio.create_task(serve(Route(listener.fileno(), host, port)))
        try:
            reader, _ = await asyncio.open_connection(*listener.getsockname())
            async with asyncio.timeout(5):
                return await reader.read()
        finally:
            task.cancel()
            listener.detach()

    assert asyncio.run(scenario()) == b""


def test_route_is_read_when_it_has_the_right_form() -> None:
    assert Route.parse("7=10.240.0.1:6443") == Route(7, "10.240.0.1", 6443)


@pytest.mark.parametrize("text", ["", "7", "7=host", "7=:80", "x=host:80", "7=host:x", "=host:80"])
def test_route_is_refused_when_it_has_another_form(text: str) -> None:
    with pytest.raises(ValueError, match="the form is FD=HOST:PORT"):
        Route.parse(text)
