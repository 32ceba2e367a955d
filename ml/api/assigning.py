"""Which slot a user gets now, computed as the gateway does it."""

from __future__ import annotations

from ml.api.application_views import AssignmentView
from ml.api.ports import Ports
from ml.api.problems import not_found
from ml.contracts import STABLE_SLOT, experiment_salt
from ml.contracts.abtest import AbTestSpec
from ml.experiments.assignment import assign, assignment_hashes
from ml.experiments.layout import homes, laid_out
from ml.experiments.specification import TOTAL_WEIGHT


async def assignment_of(ports: Ports, model: str, user_id: str) -> AssignmentView:
    """Return where a user's requests to a model go.

    Raises:
        ProblemError: 404 for a model that is not served.
        StoreUnavailableError: no answer.
    """
    slots = (await ports.platform.slots()).get(model)
    if slots is None:
        raise not_found("served model", model)
    record = await ports.queries.active_experiment(model)
    if record is None:
        everything = {slot: TOTAL_WEIGHT if slot == STABLE_SLOT else 0 for slot in slots}
        return AssignmentView(
            model=model, user_id=user_id, slot=STABLE_SLOT, experiment=None, counted=False, weights=everything
        )
    weights = {slot: record.weights.get(slot, 0) for slot in slots}
    if record.spec.get("unit") == "request" or not any(weights.values()):
        # Split at random, or the gateway is between two settings: nobody can tell the slot.
        return AssignmentView(
            model=model, user_id=user_id, slot=None, experiment=record.name, counted=True, weights=weights
        )
    # The record has the weights of those who take part; at the gateway the held out are on control.
    weights[STABLE_SLOT] = TOTAL_WEIGHT - sum(weight for slot, weight in weights.items() if slot != STABLE_SLOT)
    salt = experiment_salt(model, record.salt_index)
    layout = laid_out(weights, homes(AbTestSpec.model_validate(record.spec)))
    index = int(assign([user_id], [weight for _, weight in layout], salt)[0])
    held_out = float(record.spec.get("holdoutPercent", 0)) * TOTAL_WEIGHT / 100
    counted = int(assignment_hashes([user_id], salt)[0]) % TOTAL_WEIGHT >= held_out
    return AssignmentView(
        model=model, user_id=user_id, slot=layout[index][0], experiment=record.name, counted=counted, weights=weights
    )
