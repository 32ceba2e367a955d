"""What the controller asks the platform before it admits an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml.controller.admission import ActiveExperiment, AdmissionFacts
from ml.controller.daily_units import UnitsMeter, is_by_user, wants_measuring
from ml.controller.observer import Ports, Trouble, attempt
from ml.controller.ports import AbTest, SlotState, UnavailableError
from ml.controller.queue import Tick
from ml.events.ports import StoreUnavailableError


async def admission_facts(
    ports: Ports,
    meter: UnitsMeter,
    test: AbTest,
    tick: Tick,
    earlier: Sequence[ActiveExperiment],
    trouble: Trouble,
) -> AdmissionFacts | str:
    """Return the facts for an experiment's admission, or why they cannot be had now.

    A source that does not answer is no reason to refuse: the experiment waits for it.
    """
    model = str(test.spec.get("model", ""))
    measured = None
    if model in tick.declared and wants_measuring(test.spec):
        try:
            measured = await meter.measure(model, by_user=is_by_user(test.spec), now=tick.now)
        except (UnavailableError, StoreUnavailableError) as error:
            trouble.note("requests" if isinstance(error, UnavailableError) else "outcomes", error)
            return f"its units per day cannot be measured now: {error}"
    return AdmissionFacts(
        slots=tick.declared,
        slot_states=await _slot_states(ports, model, tick, trouble),
        active=earlier,
        measured=measured,
    )


async def _slot_states(ports: Ports, model: str, tick: Tick, trouble: Trouble) -> Mapping[str, SlotState]:
    states: dict[str, SlotState] = {}
    for slot in tick.declared.get(model, ()):
        found = await attempt("slots", ports.slots.state(model, slot), trouble)
        if found is not None:
            states[slot] = found
    return states
