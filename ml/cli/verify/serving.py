"""Asks the models, through the gateway and past it, and looks at what decides the way there."""

from __future__ import annotations

from typing import Final

from ml.cli.errors import NotFoundError, UserError
from ml.cli.http import Endpoint, gateway_endpoint, predict
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.cli.traffic import split_weights
from ml.contracts import API_SERVICE, PROMETHEUS_SERVICE, SERVING_REST_PORT, STABLE_SLOT

_TEXT: Final = "test data"
_RESOLVE: Final = """
import socket, sys
for name in sys.argv[1:]:
    try:
        socket.getaddrinfo(name, None)
    except OSError as error:
        print(f"{name} ({error})")
"""
"""Runs in a pod; prints the names that it cannot resolve."""


async def predict_through_gateway(outputs: StackOutputs, model: str) -> str:
    """Ask a model as an application does."""
    await predict(gateway_endpoint(outputs, "ml"), model, _TEXT)
    return f"POST /v1/models/{model}:predict at {outputs.hosts['ml']}"


async def predict_in_slot(kubectl: Kubectl, outputs: StackOutputs, model: str, slot: str = STABLE_SLOT) -> str:
    """Ask one slot of a model directly."""
    deployment = outputs.models[model].slots[slot].deployment
    async with kubectl.forward(outputs.namespace, f"deployment/{deployment}", SERVING_REST_PORT) as port:
        await predict(Endpoint(f"127.0.0.1:{port}", "localhost", deployment), model, _TEXT)
    return deployment


async def route_answers(outputs: StackOutputs, host: str, path: str) -> str:
    """Ask one of the access hosts behind the gateway for a page."""
    await gateway_endpoint(outputs, host).ask_well("GET", path)
    return f"GET http://{outputs.hosts[host]}{path}"


async def split_is_complete(kubectl: Kubectl, outputs: StackOutputs, model: str) -> str:
    """See that the controller keeps the model's split, with every slot in it."""
    expected = outputs.models[model]
    try:
        split = await kubectl.get(outputs.namespace, "virtualservices.networking.istio.io", expected.split)
    except NotFoundError:
        raise UserError(
            f"the split {expected.split} is not there: {model} cannot be reached", "see `mlp logs controller`"
        ) from None
    weights = split_weights(split)
    if set(weights) != set(expected.slots):
        raise UserError(
            f"the split has the slots {sorted(weights)}, declared are {sorted(expected.slots)}",
            "see `mlp logs controller`",
        )
    return ", ".join(f"{slot} {weight:g} %" for slot, weight in weights.items())


async def names_resolve(kubectl: Kubectl, outputs: StackOutputs) -> str:
    """Resolve the names of the platform's Services, and of a database elsewhere, in one of its pods."""
    names = [
        outputs.metadata_db.host,
        *([outputs.object_store.service] if outputs.object_store else []),
        outputs.tracking_server.service,
        PROMETHEUS_SERVICE,
        API_SERVICE,
        *(model.service for model in outputs.models.values()),
    ]
    pod = f"deployment/{outputs.tracking_server.service}"
    unresolved = await kubectl.run(
        "exec", "--namespace", outputs.namespace, pod, "--", "python3", "-c", _RESOLVE, *names
    )
    if unresolved.strip():
        raise UserError(
            f"a pod cannot resolve {', '.join(unresolved.splitlines())}",
            "see the name service: kubectl -n kube-system get pods -l k8s-app=kube-dns",
        )
    return f"{len(names)} names from {pod}"
