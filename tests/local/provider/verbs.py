"""Calls the provider over its real protocol with plain dictionaries, as the engine does."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.rpc import status_pb2  # pyright: ignore[reportMissingTypeStubs] the package ships none
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from local.provider.engine_log import EngineLog
from local.provider.marshal import decode, encode
from local.provider.servicer import KubernetesServicer
from local.provider.values import Object, as_object, reveal

_PROVIDER_URN = "urn:pulumi:test::verbs::pulumi:providers:kubernetes::p"


class RefusedError(Exception):
    """The provider answered with an error."""


@dataclass
class InitFailedError(Exception):
    """The provider answered that an object exists but is not ready."""

    resource_id: str
    outputs: Object
    inputs: Object
    reasons: list[str]


@dataclass(frozen=True)
class Resource:
    """A resource in the way that the engine remembers it."""

    urn: str
    token: str
    id: str
    inputs: Object
    outputs: Object


def urn_of(token: str, name: str) -> str:
    """Return the URN of a resource of the stack that these tests play."""
    return f"urn:pulumi:test::verbs::{token}::{name}"


def token_of(obj: Object) -> str:
    """Return the type token of an object."""
    api_version = str(obj["apiVersion"])
    return f"kubernetes:{api_version if '/' in api_version else f'core/{api_version}'}:{obj['kind']}"


class Verbs:
    """One provider process's worth of calls."""

    def __init__(self, stub: provider_pb2_grpc.ResourceProviderStub) -> None:
        self.stub: Any = stub  # the generated stub leaves the answers' types out

    def configure(self, **args: Any) -> None:
        """Configure the provider."""
        request = provider_pb2.ConfigureRequest(urn=_PROVIDER_URN, args=encode(args))
        with _translated():
            self.stub.Configure(request)

    def check(self, obj: Object, olds: Object | None = None, name: str = "it", seed: bytes = b"") -> Object:
        """Return completed inputs."""
        token = token_of(obj)
        request = provider_pb2.CheckRequest(
            urn=urn_of(token, name), name=name, type=token, news=encode(obj), olds=encode(olds or {}), randomSeed=seed
        )
        with _translated():
            response: provider_pb2.CheckResponse = self.stub.Check(request)
        failures = [f"{failure.property}: {failure.reason}" for failure in response.failures]
        if failures:
            raise RefusedError("; ".join(failures))
        return decode(response.inputs)

    def diff(self, resource: Resource, news: Object, ignored: Sequence[str] = ()) -> provider_pb2.DiffResponse:
        """Compare what was applied with what is wanted."""
        request = provider_pb2.DiffRequest(
            id=resource.id,
            urn=resource.urn,
            type=resource.token,
            olds=encode(resource.outputs),
            old_inputs=encode(resource.inputs),
            news=encode(news),
            ignoreChanges=ignored,
        )
        with _translated():
            return self.stub.Diff(request)

    def create(self, obj: Object, name: str = "it", timeout_seconds: float = 5.0) -> Resource:
        """Make an object."""
        token = token_of(obj)
        urn = urn_of(token, name)
        request = provider_pb2.CreateRequest(urn=urn, type=token, properties=encode(obj), timeout=timeout_seconds)
        with _translated():
            response: provider_pb2.CreateResponse = self.stub.Create(request)
        return Resource(urn, token, response.id, obj, decode(response.properties))

    def preview_create(self, obj: Object, name: str = "it") -> Object:
        """Forecast a new object."""
        token = token_of(obj)
        request = provider_pb2.CreateRequest(urn=urn_of(token, name), type=token, properties=encode(obj), preview=True)
        with _translated():
            return decode(self.stub.Create(request).properties)

    def update(
        self,
        resource: Resource,
        news: Object,
        ignored: Sequence[str] = (),
        *,
        preview: bool = False,
        timeout_seconds: float = 5.0,
    ) -> Resource:
        """Change an object, or forecast that."""
        request = provider_pb2.UpdateRequest(
            id=resource.id,
            urn=resource.urn,
            type=resource.token,
            olds=encode(resource.outputs),
            old_inputs=encode(resource.inputs),
            news=encode(news),
            ignoreChanges=ignored,
            preview=preview,
            timeout=timeout_seconds,
        )
        with _translated():
            response: provider_pb2.UpdateResponse = self.stub.Update(request)
        return Resource(resource.urn, resource.token, resource.id, news, decode(response.properties))

    def read(self, resource: Resource) -> Resource | None:
        """Read an object back; None if it is gone. Without inputs it is an import."""
        request = provider_pb2.ReadRequest(
            id=resource.id,
            urn=resource.urn,
            type=resource.token,
            properties=encode(resource.outputs),
            inputs=encode(resource.inputs),
        )
        with _translated():
            response: provider_pb2.ReadResponse = self.stub.Read(request)
        if not response.id:
            return None
        inputs, outputs = decode(response.inputs), decode(response.properties)
        return Resource(resource.urn, resource.token, response.id, inputs, outputs)

    def delete(self, resource: Resource, timeout_seconds: float = 20.0) -> None:
        """Delete an object."""
        request = provider_pb2.DeleteRequest(
            id=resource.id,
            urn=resource.urn,
            type=resource.token,
            properties=encode(resource.outputs),
            old_inputs=encode(resource.inputs),
            timeout=timeout_seconds,
        )
        with _translated():
            self.stub.Delete(request)

    def cancel(self) -> None:
        """Tell the provider to stop waiting."""
        self.stub.Cancel(empty_pb2.Empty())


@contextmanager
def verbs() -> Generator[Verbs]:
    """Serve a fresh provider and return the calls to it."""
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(KubernetesServicer(EngineLog()), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Verbs(provider_pb2_grpc.ResourceProviderStub(channel))
    server.stop(grace=None)


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except grpc.RpcError as error:
        call: Any = error
        assert call.code() is grpc.StatusCode.FAILED_PRECONDITION, (
            "other codes make the engine keep a pending operation"
        )
        for key, value in call.trailing_metadata():
            if key == "grpc-status-details-bin":
                raise _init_failure(value) from None
        raise RefusedError(call.details()) from None


def _init_failure(encoded: bytes) -> InitFailedError:
    status = status_pb2.Status.FromString(encoded)
    failure = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failure)
    outputs = as_object(reveal(decode(failure.properties)))
    return InitFailedError(failure.id, outputs, decode(failure.inputs), list(failure.reasons))
