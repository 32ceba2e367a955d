"""`mlp predict`: one prediction, through the gateway or from one slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml.cli.components import check_slot, find_model
from ml.cli.http import Endpoint, gateway_endpoint, predict
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.contracts import SERVING_REST_PORT, SLOT_HEADER, USER_ID_HEADER


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A prediction and where it came from."""

    model: str
    slot: str
    """Slot that answered; empty when the gateway does not say."""
    prediction: Any
    milliseconds: float


async def ask_model(
    kubectl: Kubectl, outputs: StackOutputs, name: str, text: str, *, slot: str | None, user: str | None
) -> Answer:
    """Ask a model for a prediction.

    Args:
        kubectl: the cluster, used only to reach a slot.
        outputs: what the stack tells about itself.
        name: the model.
        text: what to predict from.
        slot: ask this slot past the gateway; None goes the way that applications go.
        user: identity that the traffic split keeps on one slot.

    Raises:
        UserError: no such model or slot, or no prediction.
    """
    model_name, model = find_model(outputs, name)
    headers = {USER_ID_HEADER: user} if user else {}
    if slot is None:
        prediction, answer = await predict(gateway_endpoint(outputs, "ml"), model_name, text, headers)
        answered_by = str(answer.headers.get(SLOT_HEADER, ""))
    else:
        answered_by = check_slot(model, slot)
        deployment = model.slots[slot].deployment
        async with kubectl.forward(outputs.namespace, f"deployment/{deployment}", SERVING_REST_PORT) as port:
            endpoint = Endpoint(f"127.0.0.1:{port}", "localhost", deployment)
            prediction, answer = await predict(endpoint, model_name, text, headers)
    return Answer(
        model=model_name,
        slot=answered_by,
        prediction=prediction,
        milliseconds=round(answer.elapsed.total_seconds() * 1000, 1),
    )
