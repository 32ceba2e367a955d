"""The names that people use for the platform's parts, and what they stand for in the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ml.cli.errors import UserError
from ml.cli.outputs import Model, StackOutputs
from ml.contracts import API_SERVICE, DATABASE_EXPORTER, EXPERIMENT_CONTROLLER, PROMETHEUS_SERVICE, kube_name

_ISTIOD: Final = "istiod"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A workload whose logs can be read."""

    namespace: str
    kind: str
    name: str


def find_parts(outputs: StackOutputs, component: str) -> list[Part]:
    """Return the workloads behind a component's name: a model stands for all of its slots, MODEL/SLOT for one.

    Raises:
        UserError: no such component; names all there are.
    """
    parts = _all_parts(outputs)
    if component in parts:
        return parts[component]
    raise UserError(f"there is no component `{component}`", f"choose one of: {', '.join(component_names(outputs))}")


def component_names(outputs: StackOutputs) -> list[str]:
    """Return every name that `find_parts` knows, without the second spellings."""
    spellings = {kube_name(model) for model in outputs.models} - set(outputs.models)
    return [
        name for name in _all_parts(outputs) if name != EXPERIMENT_CONTROLLER and name.split("/")[0] not in spellings
    ]


def find_model(outputs: StackOutputs, name: str) -> tuple[str, Model]:
    """Return a model by its name, with underscores or hyphens.

    Raises:
        UserError: no such model; names all there are.
    """
    for candidate, model in outputs.models.items():
        if name in (candidate, kube_name(candidate)):
            return candidate, model
    raise UserError(f"there is no model `{name}`", f"choose one of: {', '.join(outputs.models)}")


def check_slot(model: Model, name: str) -> str:
    """Return the name of a slot that the model has.

    Raises:
        UserError: no such slot; names all there are.
    """
    if name in model.slots:
        return name
    raise UserError(f"{model.service} has no slot `{name}`", f"choose one of: {', '.join(model.slots)}")


def _all_parts(outputs: StackOutputs) -> dict[str, list[Part]]:
    namespace, edge = outputs.namespace, outputs.gateway.namespace
    controller = Part(namespace=namespace, kind="deployment", name=outputs.controller)
    store, database = outputs.object_store, outputs.metadata_db.workload
    parts = {
        **({"metadata-db": [Part(namespace=namespace, kind="statefulset", name=database)]} if database else {}),
        DATABASE_EXPORTER: [Part(namespace=namespace, kind="deployment", name=DATABASE_EXPORTER)],
        **({"object-store": [Part(namespace=namespace, kind="statefulset", name=store.service)]} if store else {}),
        "tracking-server": [Part(namespace=namespace, kind="deployment", name=outputs.tracking_server.service)],
        API_SERVICE: [Part(namespace=namespace, kind="deployment", name=API_SERVICE)],
        PROMETHEUS_SERVICE: [Part(namespace=namespace, kind="statefulset", name=PROMETHEUS_SERVICE)],
        "controller": [controller],
        EXPERIMENT_CONTROLLER: [controller],
        "gateway": [Part(namespace=edge, kind="deployment", name=outputs.gateway.service)],
        _ISTIOD: [Part(namespace=edge, kind="deployment", name=_ISTIOD)],
    }
    for model_name, model in outputs.models.items():
        # People also meet a model's name as Kubernetes writes it, in what kubectl prints.
        slots = {
            slot: Part(namespace=namespace, kind="deployment", name=entry.deployment)
            for slot, entry in model.slots.items()
        }
        for spelling in dict.fromkeys((model_name, kube_name(model_name))):
            parts[spelling] = list(slots.values())
            parts |= {f"{spelling}/{slot}": [part] for slot, part in slots.items()}
    return parts
