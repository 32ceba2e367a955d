"""The stack's outputs: every address and name that the commands need, read and checked once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from ml.cli.connection import Connection
from ml.cli.errors import UserError
from ml.cli.tools import run_tool
from ml.contracts import STABLE_SLOT

_PULUMI_TIMEOUT_SECONDS: Final = 20.0
_HOSTS: Final = ("ml", "api")
"""Web pages have no host where nobody may open them from outside."""
_CLOUD_STORE: Final = "s3"
_CLOUD_DATABASE: Final = "rds"
_DATABASE_CLUSTER: Final = "cloudNativePg"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One of the places where a model is served."""

    deployment: str
    alias: str
    """MLflow alias whose version the slot serves."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model and how its requests reach it."""

    service: str
    slots: Mapping[str, Slot]
    root: str
    split: str


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Where requests from outside arrive."""

    service: str
    namespace: str
    address: str
    """Host and port as seen from here; empty when the stack does not know it."""
    tls: bool = False
    """Whether hosts answer with TLS, each under its own name; then the address is not used."""


@dataclass(frozen=True, kw_only=True)
class MetadataDb:
    """The PostgreSQL server."""

    service: str
    """Empty where the cloud runs the server: only pods of its clients can reach it."""
    host: str
    """What those clients call it."""
    port: int
    workload: str
    """StatefulSet of the platform that runs it; empty where the cloud or an operator does."""
    admin_secret: str
    """Empty where nobody is its administrator over the network."""
    consumers: Mapping[str, str]
    """Secret by consumer."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """What one consumer of the object store has."""

    secret: str
    bucket: str


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """The S3 store."""

    service: str
    port: int
    console_port: int
    admin_secret: str
    consumers: Mapping[str, Bucket]


@dataclass(frozen=True, kw_only=True)
class TrackingServer:
    """The MLflow server."""

    service: str
    port: int
    url: str
    """Address inside the cluster."""


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """What measures the platform and evaluates its alerts."""

    service: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Training:
    """What training jobs run with."""

    image: str
    service_account: str


@dataclass(frozen=True, kw_only=True)
class Pipelines:
    """Kubeflow Pipelines."""

    namespace: str
    service: str
    port: int
    tracking_url: str
    """Address of the tracking server as the steps of a run reach it."""


@dataclass(frozen=True, kw_only=True)
class StackOutputs:
    """Everything that a stack tells about itself."""

    namespace: str
    domain: str
    hosts: Mapping[str, str]
    gateway: Gateway
    models: Mapping[str, Model]
    metadata_db: MetadataDb
    object_store: ObjectStore | None
    """None where the store is the cloud's own: only pods that the cloud knows can open it."""
    tracking_server: TrackingServer
    controller: str
    """Name of the controller's Deployment."""
    training: Training
    prometheus: Prometheus | None = None
    """None for a stack from before it told."""
    api_tokens: str = ""
    """Secret with the API's tokens by scope; empty for a stack without the API."""
    login: bool = False
    """Whether web pages ask who somebody is."""
    pipelines: Pipelines | None = None
    """None for a stack in which Kubeflow's local runner stands in for them."""


class _Fields:
    """Reads values of one JSON object; problems are collected with their full path."""

    def __init__(self, value: object, path: str, problems: list[str]) -> None:
        self._value = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        self._path = path
        self._problems = problems
        if not isinstance(value, dict):
            problems.append(f"`{path or 'outputs'}` is missing or not an object")

    def text(self, key: str, *, optional: bool = False) -> str:
        value = self._value.get(key)
        if isinstance(value, str) and (value or optional):
            return value
        if not (optional and value is None):
            self._problems.append(f"`{self._path}{key}` is missing or not a text")
        return ""

    def number(self, key: str) -> int:
        value = self._value.get(key)
        if isinstance(value, (int, float)):
            return int(value)
        self._problems.append(f"`{self._path}{key}` is missing or not a number")
        return 0

    def has(self, key: str) -> bool:
        return key in self._value

    def child(self, key: str) -> _Fields:
        return _Fields(self._value.get(key), f"{self._path}{key}.", self._problems)

    def children(self, key: str) -> dict[str, _Fields]:
        group = self.child(key)
        return {name: group.child(name) for name in group._value}  # noqa: SLF001 same class

    def texts(self, key: str) -> dict[str, str]:
        group = self.child(key)
        return {name: group.text(name) for name in group._value}  # noqa: SLF001 same class


def parse_outputs(value: object) -> StackOutputs:
    """Read the outputs.

    Raises:
        UserError: names every output that is missing or has another type than expected.
    """
    problems: list[str] = []
    fields = _Fields(value, "", problems)
    outputs = StackOutputs(
        namespace=fields.text("namespace"),
        domain=fields.text("domain"),
        hosts=fields.texts("hosts"),
        gateway=_gateway(fields.child("gateway")),
        models={name: _model(model) for name, model in fields.children("models").items()},
        metadata_db=_metadata_db(fields.child("metadataDb")),
        object_store=_object_store(fields.child("objectStore")),
        tracking_server=_tracking_server(fields.child("trackingServer")),
        controller=fields.child("controller").text("deployment"),
        training=_training(fields.child("training")),
        prometheus=_prometheus(fields.child("prometheus")) if fields.has("prometheus") else None,
        api_tokens=_api_tokens(value),
        login=fields.has("login"),
        pipelines=_pipelines(fields.child("pipelines")) if fields.has("pipelines") else None,
    )
    problems += [f"`hosts.{host}` is missing" for host in _HOSTS if host not in outputs.hosts]
    if problems:
        raise UserError(
            f"the stack's outputs are not what this `mlp` expects: {'; '.join(problems)}",
            "finish `make up` (or `pulumi up`) with the same version of the project",
        )
    return outputs


async def read_outputs(connection: Connection) -> StackOutputs:
    """Ask Pulumi for the outputs of the stack; secrets stay masked.

    Raises:
        UserError: Pulumi cannot read the stack, or the stack has not come up.
    """
    result = await run_tool(
        ["pulumi", "stack", "output", "--json", "--stack", connection.stack, "--non-interactive"],
        environment=connection.environment,
        timeout_seconds=_PULUMI_TIMEOUT_SECONDS,
        folder=str(connection.project_dir),
    )
    if result.exit_code != 0:
        raise UserError(
            f"the outputs of stack `{connection.stack}` cannot be read: {result.last_words}",
            f"see whether `pulumi stack --stack {connection.stack}` works in {connection.project_dir}",
        )
    try:
        value: object = json.loads(result.stdout)
    except ValueError:
        value = None
    if not value:
        raise UserError(
            f"the stack `{connection.stack}` has no outputs: it has not come up yet",
            "run `make up` (or `pulumi up`) to its end",
        )
    return parse_outputs(value)


def _api_tokens(value: object) -> str:
    """Return the name of a Secret that stacks from before the API do not have."""
    api: object = cast("dict[str, Any]", value).get("api") if isinstance(value, dict) else None
    return str(cast("dict[str, Any]", api).get("tokenSecret", "")) if isinstance(api, dict) else ""


def _pipelines(fields: _Fields) -> Pipelines:
    return Pipelines(
        namespace=fields.text("namespace"),
        service=fields.text("service"),
        port=fields.number("port"),
        tracking_url=fields.text("trackingUrl"),
    )


def _gateway(fields: _Fields) -> Gateway:
    return Gateway(
        service=fields.text("service"),
        namespace=fields.text("namespace"),
        address=fields.text("address", optional=True),
        tls=fields.has("tls"),
    )


def _model(fields: _Fields) -> Model:
    slots = {
        name: Slot(deployment=slot.text("deployment"), alias=slot.text("alias"))
        for name, slot in sorted(fields.children("slots").items(), key=_stable_first)
    }
    return Model(service=fields.text("service"), slots=slots, root=fields.text("root"), split=fields.text("split"))


def _stable_first(slot: tuple[str, object]) -> tuple[bool, str]:
    return slot[0] != STABLE_SLOT, slot[0]


def _metadata_db(fields: _Fields) -> MetadataDb:
    kind = fields.text("kind", optional=True)
    in_cloud = kind == _CLOUD_DATABASE
    service = "" if in_cloud else fields.text("service")
    return MetadataDb(
        service=service,
        host=fields.text("host") if in_cloud else service,
        port=fields.number("port"),
        workload="" if kind else service,
        admin_secret=fields.text("adminSecret", optional=kind == _DATABASE_CLUSTER),
        consumers=fields.texts("consumers"),
    )


def _object_store(fields: _Fields) -> ObjectStore | None:
    if fields.text("kind", optional=True) == _CLOUD_STORE:
        return None
    return ObjectStore(
        service=fields.text("service"),
        port=fields.number("port"),
        console_port=fields.number("consolePort"),
        admin_secret=fields.text("adminSecret"),
        consumers={
            name: Bucket(secret=consumer.text("secret"), bucket=consumer.text("bucket"))
            for name, consumer in fields.children("consumers").items()
        },
    )


def _tracking_server(fields: _Fields) -> TrackingServer:
    return TrackingServer(service=fields.text("service"), port=fields.number("port"), url=fields.text("url"))


def _prometheus(fields: _Fields) -> Prometheus:
    return Prometheus(service=fields.text("service"), port=fields.number("port"))


def _training(fields: _Fields) -> Training:
    return Training(image=fields.text("image"), service_account=fields.text("serviceAccount"))
