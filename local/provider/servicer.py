"""The engine's protocol around the operations: decodes requests, runs an operation, encodes the answer."""

# ruff: noqa: ARG002, D102, N802 - names, signatures and meaning of the methods are the protocol's

from __future__ import annotations

import importlib.metadata
import json
import threading
from collections.abc import Callable
from typing import Final, TypeVar

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from local.provider import checking, config, deleting, objects, outputs, reading, replies
from local.provider.applying import Applier
from local.provider.config import ProviderConfig
from local.provider.diffing import compare
from local.provider.discovery import UnknownKindError
from local.provider.engine_log import EngineLog, ResourceLog
from local.provider.errors import NotReadyError, OperationError, redact
from local.provider.kubeclient import ApiError, ClusterUnreachableError
from local.provider.marshal import decode, encode
from local.provider.memory import RunMemory
from local.provider.paths import parse_path
from local.provider.session import ForeignClusterError, Session, connect
from local.provider.target import Target
from local.provider.values import Object, as_object, reveal

_Answer = TypeVar("_Answer")
_EXPECTED: Final = (OperationError, UnknownKindError, ApiError, ClusterUnreachableError, ValueError)
DESCRIPTION: Final = "Kubernetes provider stand-in (not the official plugin; serves the embedded cluster only)"


def plugin_version() -> str:
    """Return the version of the Kubernetes SDK that is served, marked as a stand-in's."""
    return f"{importlib.metadata.version('pulumi-kubernetes')}+mlplatform.stand-in"


class KubernetesServicer(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine. Calls come on many threads at once."""

    def __init__(self, log: EngineLog) -> None:
        self._log = log
        self._config = ProviderConfig()
        self._cancelled = threading.Event()
        self._session: Session | None = None
        self._unreachable = "the provider has not been configured"
        self._memory = RunMemory()

    # Start and end ------------------------------------------------------------------------------------------------

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        self._log.attach(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._log.attach(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=plugin_version())

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        schema = {"name": "kubernetes", "version": plugin_version(), "description": DESCRIPTION}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._cancelled.set()
        return empty_pb2.Empty()

    # Configuration ------------------------------------------------------------------------------------------------

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        failures = replies.check_failures(config.problems(_plain(request.news)))
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        old = _plain(request.old_inputs)
        new = _plain(request.news)
        return replies.config_difference(config.changed_keys(old, new), config.replacing_keys(old, new))

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        values = _plain(request.args)
        try:
            self._config = config.parse(values)
            self._session = connect(self._config, self._cancelled)
        except ClusterUnreachableError as error:
            self._unreachable = str(error)
            self._log.warning(request.urn, f"{DESCRIPTION}: the cluster does not answer: {error}")
        except ForeignClusterError as error:
            replies.abort(context, str(error))
        else:
            self._log.info(request.urn, f"{DESCRIPTION}: instance {self._session.instance!r}")
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    # Resources ----------------------------------------------------------------------------------------------------

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        problem = checking.token_problem(request.type)
        if problem is not None:
            replies.abort(context, problem)

        def check() -> provider_pb2.CheckResponse:
            old_inputs = _plain(request.olds)
            inputs = decode(request.news)
            inputs = checking.completed(inputs, old_inputs, _naming(request), self._namespace(inputs, old_inputs))
            failures = replies.check_failures(checking.problems(inputs))
            return provider_pb2.CheckResponse(inputs=encode(inputs), failures=failures)

        return _guarded(context, {}, check)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:

        def diff() -> provider_pb2.DiffResponse:
            self._memory.note_old(_plain(request.olds))
            comparison = compare(
                _plain(request.old_inputs),
                _plain(request.news),
                ignored=[parse_path(text) for text in request.ignoreChanges],
                mutability=self._config.mutability,
            )
            return replies.difference(comparison)

        return _guarded(context, {}, diff)

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        inputs = decode(request.properties)
        target = self._target(request.urn, inputs, request.timeout)

        def create() -> provider_pb2.CreateResponse:
            if not request.preview:
                resource_id, values = Applier(self._connected(), self._memory).create(target)
                return provider_pb2.CreateResponse(id=resource_id, properties=encode(values))
            if self._session is None:
                return provider_pb2.CreateResponse(properties=encode(outputs.echo(inputs)))
            forecast = Applier(self._session, self._memory).preview_create(target)
            return provider_pb2.CreateResponse(properties=encode(forecast))

        return _guarded(context, inputs, create)

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        inputs = decode(request.news)
        target = self._target(request.urn, inputs, request.timeout)

        def update() -> provider_pb2.UpdateResponse:
            state = _plain(request.olds)
            ignored = [parse_path(text) for text in request.ignoreChanges]
            if not request.preview:
                values = Applier(self._connected(), self._memory).update(target, state, ignored)
            elif self._session is None:
                values = outputs.echo(inputs)
            else:
                values = Applier(self._session, self._memory).preview_update(target, state, ignored)
            return provider_pb2.UpdateResponse(properties=encode(values))

        return _guarded(context, inputs, update)

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        inputs = decode(request.inputs)
        target = self._target(request.urn, inputs, request.timeout)

        def read() -> provider_pb2.ReadResponse:
            if self._session is None and self._config.forget_unreachable:
                return provider_pb2.ReadResponse()
            state = _plain(request.properties)
            found = reading.read(self._connected(), target, _identity(request.id, request.type, state))
            if found is None:
                return provider_pb2.ReadResponse()
            resource_id, values, live_inputs = found
            return provider_pb2.ReadResponse(id=resource_id, properties=encode(values), inputs=encode(live_inputs))

        return _guarded(context, inputs, read)

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        inputs = decode(request.old_inputs)
        target = self._target(request.urn, inputs, request.timeout)

        def delete() -> empty_pb2.Empty:
            if self._session is None and self._config.forget_unreachable:
                return empty_pb2.Empty()
            state = _plain(request.properties)
            log = ResourceLog(self._log, request.urn, inputs)
            if self._memory.was_adopted(state):
                log.warning("its replacement bears the same name and is the same object, updated in place; it stays")
                return empty_pb2.Empty()
            identity = _identity(request.id, request.type, state)
            deleting.delete(self._connected(), target, identity, state, log.warning)
            return empty_pb2.Empty()

        return _guarded(context, inputs, delete)

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        replies.abort(context, f"{request.tok}: the stand-in has no functions; it handles Kubernetes objects only")

    def Call(self, request: provider_pb2.CallRequest, context: grpc.ServicerContext) -> provider_pb2.CallResponse:
        replies.abort(context, f"{request.tok}: the stand-in has no methods; it handles Kubernetes objects only")

    # Helpers ------------------------------------------------------------------------------------------------------

    def _connected(self) -> Session:
        if self._session is None:
            raise ClusterUnreachableError(f"the cluster does not answer: {self._unreachable}")
        return self._session

    def _target(self, urn: str, inputs: Object, timeout_seconds: float) -> Target:
        log = ResourceLog(self._log, urn, inputs)
        return Target(urn=urn, inputs=inputs, timeout_seconds=timeout_seconds, report=log.status)

    def _namespace(self, inputs: Object, old_inputs: Object) -> str:
        """Return the default namespace for an object that names none; empty where it must not have one."""
        if self._session is None:
            default = self._config.namespace or ""
            return default if default == objects.namespace(old_inputs) else ""
        return self._session.default_namespace_of(as_object(reveal(inputs)))


def _plain(struct: struct_pb2.Struct) -> Object:
    """Return the values of a struct without secret marks."""
    return as_object(reveal(decode(struct)))


def _naming(request: provider_pb2.CheckRequest) -> checking.Naming:
    options = request.autonaming if request.HasField("autonaming") else None
    mode = provider_pb2.CheckRequest.AutonamingOptions
    return checking.Naming(
        base=request.name or request.urn.rpartition("::")[2],
        seed=request.randomSeed,
        proposed=options.proposed_name if options is not None and options.mode != mode.DISABLE else None,
        is_disabled=options is not None and options.mode == mode.DISABLE,
    )


def _identity(resource_id: str, token: str, state: Object) -> Object:
    """Return what locates an object: apiVersion and kind of its type, namespace and name of its ID."""
    namespace, name = objects.parse_resource_id(resource_id)
    known = state if objects.kind(state) and objects.api_version(state) else checking.identity_from_token(token)
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": objects.api_version(known), "kind": objects.kind(known), "metadata": metadata}


def _guarded(context: grpc.ServicerContext, values: Object, action: Callable[[], _Answer]) -> _Answer:
    """Run an action; end the call with a message free of the secrets in `values` if it fails."""
    try:
        return action()
    except NotReadyError as error:
        replies.abort_not_ready(context, error)
    except _EXPECTED as error:
        replies.abort(context, redact(str(error), values))
