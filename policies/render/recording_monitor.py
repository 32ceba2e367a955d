"""Runs a Pulumi program without an engine and records everything that it declares.

Stricter than the engine's own test monitor: it refuses a second resource of the same URN, a parent that does not exist,
a resource that would use a default provider, one that an apply declares, and reading what exists. It sees parents,
providers, dependencies, protection and secrets, and names objects as the Kubernetes provider does. It cannot tell what
a cluster would make of the objects.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast
from unittest import mock

import pulumi
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import mocks, settings
from pulumi.runtime import resource as runtime_resource
from pulumi.runtime import stack as runtime_stack
from pulumi.runtime.proto import resource_pb2, source_pb2

from ml.contracts.prerequisites import OFFLINE_VARIABLE
from policies.render import aws_outputs
from policies.render.graph import Graph, Recorded, Secret, Unknown, chosen_name, reveal

PROJECT = "mlplatform"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 the engine's mark of secret values, itself none
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_STACK_TYPE = "pulumi:pulumi:Stack"
_SDK_TYPES: Any = importlib.import_module("pulumi._types")
# The SDK reads a class's properties anew for every resource of it; that is a tenth of the time.
_REMEMBERED = {name: functools.cache(getattr(_SDK_TYPES, name)) for name in ("resource_types", "input_type_types")}


class InvalidRegistrationError(Exception):
    """The program declared something that the engine would refuse or that the house rules forbid."""


class RecordingMonitor(mocks.MockMonitor):
    """The engine's side of a program run."""

    def __init__(self, *, preview: bool) -> None:
        super().__init__(_NoMocks())
        self.graph = Graph()
        self._preview = preview

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 the engine's name
        """Record a resource and answer with what the provider would make of it."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == _STACK_TYPE:
            self.graph.stack_urn = urn
            return resource_pb2.RegisterResourceResponse(urn=urn)
        self._check(request, urn)
        self.graph.resources[urn] = _record(request, urn)
        state = struct_pb2.Struct()
        state.CopyFrom(request.object)
        if request.type.startswith("aws:"):
            identifier = self._settle_in_the_cloud(request, state, urn)
        else:
            identifier = _settle(request, state, urn)
        return resource_pb2.RegisterResourceResponse(urn=urn, id="" if self._preview else identifier, object=state)

    def _settle_in_the_cloud(self, request: Any, state: struct_pb2.Struct, urn: str) -> str:
        """Add what AWS would answer to `state`, in a preview only that there will be an answer; return the id."""
        provider = self.graph.resources[request.provider.rpartition("::")[0]].manifest
        inputs = cast("dict[str, Any]", reveal(_plain(request.object)))
        made = aws_outputs.Made(
            token=request.type,
            name=request.name,
            urn=urn,
            inputs=inputs,
            region=str(inputs.get("region") or provider.get("region", aws_outputs.REGION)),
        )
        known = json_format.MessageToDict(state)
        answer = aws_outputs.computed(made)
        if self._preview:
            # What is missing as a whole counts as unknown by itself; what is missing inside an input does not.
            answer = {key: _unknown_inside(value, known[key]) for key, value in answer.items() if key in known}
        json_format.ParseDict({**known, **answer}, state)
        return aws_outputs.identifier(made)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 the engine's name
        """Record the outputs of a component or of the stack."""
        self.graph.outputs[request.urn] = _plain(request.outputs)
        self.graph.output_registrations[request.urn] = self.graph.output_registrations.get(request.urn, 0) + 1
        return empty_pb2.Empty()

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 the engine's name
        """Refuse to read an object that the program did not declare: a preview would need the cluster."""
        raise InvalidRegistrationError(f"{request.type} {request.name}: existing resources are not read")

    def _check(self, request: Any, urn: str) -> None:
        if urn in self.graph.resources:
            raise InvalidRegistrationError(f"{urn}: declared twice")
        if request.parent not in self.graph.resources and request.parent != self.graph.stack_urn:
            raise InvalidRegistrationError(f"{urn}: parent {request.parent!r} does not exist")
        needs_provider = request.custom and not request.type.startswith("pulumi:providers:")
        if needs_provider and not request.provider:
            raise InvalidRegistrationError(f"{urn}: would use a default provider")


class _NoMocks(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> Any:
        raise InvalidRegistrationError(f"{args.token}: a program reads nothing from a cluster")

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise NotImplementedError("RecordingMonitor records resources itself")


def run(
    program: Callable[[], None],
    *,
    stack: str = "test",
    preview: bool = False,
    config: Mapping[str, str] | None = None,
    encrypted: tuple[str, ...] = (),
    asks_cluster: bool = False,
) -> Graph:
    """Run a program to its end, in an event loop of its own, and return what it declared.

    `config` holds the stack's configuration with namespaced keys, of which `encrypted` are secret. Only a program that
    `asks_cluster` looks for its prerequisites.
    """
    monitor = RecordingMonitor(preview=preview)

    has_ended = False

    def guarded_program() -> None:
        nonlocal has_ended
        program()
        has_ended = True

    initialise = pulumi.Resource.__init__

    def guarded_initialise(resource: pulumi.Resource, t: str, name: str, *args: Any, **kwargs: Any) -> None:
        if has_ended:
            raise InvalidRegistrationError(f"{t} {name}: declared inside an apply, a preview would not show it")
        initialise(resource, t, name, *args, **kwargs)

    async def main() -> None:
        pulumi.runtime.set_all_config(dict(config or {}), list(encrypted))
        mocks.set_mocks(_NoMocks(), project=PROJECT, stack=stack, preview=preview, monitor=monitor)
        cast("Any", settings).SETTINGS.outputs.clear()  # a run that failed leaves its own behind
        settings.ROOT.set(None)  # the one that set_mocks has just made; run_in_stack makes its own
        await runtime_stack.run_in_stack(guarded_program)

    # The first turns an Output that is formatted into a text from a silent mistake into an error.
    variables = {"PULUMI_ERROR_OUTPUT_STRING": "true", OFFLINE_VARIABLE: "" if asks_cluster else "1"}
    with (
        mock.patch.object(pulumi.Resource, "__init__", guarded_initialise),
        # Nobody asks in which line a resource was declared, and finding it takes a tenth of the time.
        mock.patch.object(runtime_resource, "_get_stack_trace", source_pb2.StackTrace),
        mock.patch.dict(vars(_SDK_TYPES), _REMEMBERED),
        mock.patch.dict(os.environ, variables),
    ):
        _run_in_a_loop_of_its_own(main())
    return monitor.graph


def _run_in_a_loop_of_its_own(main: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        loop.close()


def _record(request: Any, urn: str) -> Recorded:
    provider_urn = request.provider.rpartition("::")[0]
    return Recorded(
        urn=urn,
        type=request.type,
        name=request.name,
        custom=bool(request.custom),
        parent=request.parent,
        provider=provider_urn.rpartition("::")[2],
        inputs=_plain(request.object),
        depends_on=tuple(sorted(request.dependencies)),
        property_dependencies={
            key: tuple(sorted(item.urns)) for key, item in sorted(request.propertyDependencies.items()) if item.urns
        },
        protect=bool(request.protect),
        ignore_changes=tuple(request.ignoreChanges),
        delete_before_replace=bool(request.deleteBeforeReplace),
        retain_on_delete=bool(request.retainOnDelete),
        aliases=len(request.aliases),
    )


def _settle(request: Any, state: struct_pb2.Struct, urn: str) -> str:
    """Name an object as the Kubernetes provider does, in `state`; return its id."""
    if not request.custom:
        return ""
    chosen = chosen_name(request.name, urn)
    if not request.type.startswith("kubernetes:"):
        return chosen
    metadata = state.fields["metadata"].struct_value  # reading a missing field of a Struct creates it
    if "name" not in metadata.fields:
        metadata.fields["name"].string_value = chosen
    name = metadata.fields["name"].string_value
    return f"{metadata.fields['namespace'].string_value}/{name}" if "namespace" in metadata.fields else name


def _unknown_inside(answer: Any, known: Any) -> Any:
    """Return what is known of a table, with a mark in place of everything else that the answer will hold."""
    if not isinstance(answer, dict) or not isinstance(known, dict):
        return known
    table = cast("dict[str, Any]", known)
    return {key: table.get(key, _UNKNOWN) for key in cast("dict[str, Any]", answer)}


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    return cast("dict[str, Any]", _unwrap(json_format.MessageToDict(struct)))


def _unwrap(value: Any) -> Any:
    if value == _UNKNOWN:
        return Unknown()
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        if table.get(_SIGNATURE) == _SECRET_SIGNATURE:
            return Secret(_unwrap(table.get("value")))
        return {key: _unwrap(item) for key, item in table.items()}
    if isinstance(value, list):
        return [_unwrap(item) for item in cast("list[Any]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
