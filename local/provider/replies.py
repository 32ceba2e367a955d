"""Builds the protocol's answers: failures of checks, differences, and the errors that the engine understands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2  # pyright: ignore[reportMissingTypeStubs] the package ships none
from pulumi.runtime.proto import provider_pb2

from local.provider.diffing import ChangeKind, Comparison
from local.provider.errors import NotReadyError, redact
from local.provider.marshal import encode
from local.provider.paths import format_path

_KINDS: Final = {
    (ChangeKind.ADD, False): provider_pb2.PropertyDiff.ADD,
    (ChangeKind.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (ChangeKind.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (ChangeKind.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    (ChangeKind.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (ChangeKind.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}
_STATUS_DETAILS: Final = "grpc-status-details-bin"


def check_failures(problems: Iterable[tuple[str, str]]) -> list[provider_pb2.CheckFailure]:
    """Return one failure for each pair of property and reason."""
    return [provider_pb2.CheckFailure(property=key, reason=reason) for key, reason in problems]


def difference(comparison: Comparison) -> provider_pb2.DiffResponse:
    """Return the answer that describes a comparison."""
    details = {
        format_path(change.path): provider_pb2.PropertyDiff(
            kind=_KINDS[change.kind, change.is_replacing], inputDiff=True
        )
        for change in comparison.changes
    }
    some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=some if comparison.changes else none,
        replaces=[format_path(change.path) for change in comparison.changes if change.is_replacing],
        diffs=sorted({str(change.path[0]) for change in comparison.changes}),
        deleteBeforeReplace=comparison.must_delete_first,
        detailedDiff=details,
        hasDetailedDiff=True,
    )


def config_difference(changed: list[str], replacing: list[str]) -> provider_pb2.DiffResponse:
    """Return the answer for a change of the provider's own configuration."""
    some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(changes=some if changed else none, diffs=changed, replaces=replacing)


def abort(context: grpc.ServicerContext, message: str) -> NoReturn:
    """End a call with an error after which nothing has to be remembered about the resource.

    The engine takes the codes UNKNOWN and INTERNAL for "perhaps it happened" and would keep a pending operation.
    """
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
    raise AssertionError("abort raises")


def abort_not_ready(context: grpc.ServicerContext, error: NotReadyError) -> NoReturn:
    """End a call with an error that makes the engine keep the object in its state, marked as not initialised."""
    reasons = [redact(reason, error.inputs) for reason in error.reasons]
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.resource_id, properties=encode(error.outputs), inputs=encode(error.inputs), reasons=reasons
        )
    )
    code = grpc.StatusCode.FAILED_PRECONDITION
    status = status_pb2.Status(code=code.value[0], message=reasons[0], details=[detail])
    context.set_trailing_metadata(((_STATUS_DETAILS, status.SerializeToString()),))
    context.abort(code, reasons[0])
    raise AssertionError("abort raises")
