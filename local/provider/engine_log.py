"""Sends messages to the engine, which shows them beside the resource they are about."""

from __future__ import annotations

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from local.provider.errors import redact
from local.provider.values import Object

_TIMEOUT_SECONDS = 5.0


class EngineLog:
    """The engine's log; silent while no engine is attached."""

    def __init__(self) -> None:
        self._stub: engine_pb2_grpc.EngineStub | None = None

    def attach(self, address: str) -> None:
        """Send messages to the engine at `address` from now on."""
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def info(self, urn: str, message: str) -> None:
        """Show a message that stays."""
        self._send(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, urn=urn))

    def warning(self, urn: str, message: str) -> None:
        """Show a warning that stays."""
        self._send(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=message, urn=urn))

    def status(self, urn: str, message: str) -> None:
        """Show what a resource is waiting for until the next such message."""
        self._send(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True))

    def _send(self, request: engine_pb2.LogRequest) -> None:
        if self._stub is None:
            return
        try:
            self._stub.Log(  # pyright: ignore[reportUnknownMemberType] the generated stub leaves a type out
                request, timeout=_TIMEOUT_SECONDS
            )
        except grpc.RpcError:
            return  # an engine that is ending takes no more messages, and none is worth failing an operation for


class ResourceLog:
    """The log of one resource; its secrets are taken out of every message."""

    def __init__(self, log: EngineLog, urn: str, values: Object) -> None:
        self._log = log
        self._urn = urn
        self._values = values

    def status(self, message: str) -> None:
        """Show what the resource is waiting for."""
        self._log.status(self._urn, redact(message, self._values))

    def warning(self, message: str) -> None:
        """Show a warning about the resource."""
        self._log.warning(self._urn, redact(message, self._values))
