"""What every operation on a resource needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from local.provider import objects, outputs, steering
from local.provider.errors import NotReadyError
from local.provider.values import Object, reveal
from local.provider.waiting import Outcome

Report = Callable[[str], None]
"""Takes one line about what an operation waits for."""

DELETE_TIMEOUT_SECONDS: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """The resource that an operation is about."""

    urn: str
    inputs: Object
    """As the engine sent them: with secrets marked, in previews with unknowns."""
    timeout_seconds: float
    """From the resource's options; 0 where none is set."""
    report: Report

    def timeout(self, default_seconds: float) -> float:
        """Return the longest wait: the option, else the annotation, else the default."""
        if self.timeout_seconds > 0:
            return self.timeout_seconds
        return steering.timeout_seconds(reveal(self.inputs)) or default_seconds

    @property
    def skips_waiting(self) -> bool:
        """The program does not want to wait until the object is ready."""
        return objects.is_annotated_true(reveal(self.inputs), objects.SKIP_AWAIT_ANNOTATION)


def not_ready(outcome: Outcome, inputs: Object) -> NotReadyError:
    """Return the error that puts an object into the state together with what is wrong with it."""
    live = outcome.live
    reason = f"{objects.display_name(live)}: {outcome.readiness.message}"
    resource_id = objects.resource_id(live)
    return NotReadyError(resource_id, outputs.of_live(live, inputs), inputs, [reason, *outcome.findings])
