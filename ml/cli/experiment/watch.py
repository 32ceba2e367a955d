"""`mlp experiment watch`: one line for everything that happens, for terminals and for logs alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from ml.cli.experiment.answers import understood
from ml.cli.experiment.client import ApiClient
from ml.events.types import FINAL_PHASES
from ml.reporting.experiment.words import ACTIONS, PHASES, moment, traffic

_QUIET_ACTIONS: Final = frozenset({"continue"})
_FINAL_EVENTS: Final = frozenset({"ExperimentRefused"})

Document = dict[str, Any]


async def follow(api: ApiClient, name: str, interval_seconds: float, say: Callable[[str], None]) -> None:
    """Say what has happened and goes on to happen, until the experiment has ended."""
    seen = 0
    ended = False
    results = await api.results(name)
    with understood("the answer of the API"):
        experiment = str(results["id"])  # a new one of the same name is another one
    while True:
        for stored in await api.history(experiment, after=seen):
            with understood(f"the event at position {stored.get('position', '?')}"):
                seen = int(stored["position"])
                event = cast("Document", stored["event"])
                line = describe(event)
                told = f"{moment(event['at'])}  {line}" if line else ""
                ended = ended or event["type"] in _FINAL_EVENTS or event.get("phase") in FINAL_PHASES
            if told:
                say(told)
        if ended:
            return
        await asyncio.sleep(interval_seconds)


def describe(event: Document) -> str:
    """Return one event in words; empty where nothing has changed."""
    match event["type"]:
        case "ExperimentCreated":
            return f"created by {event['by']}: {event['name']} on {event['model']}"
        case "ExperimentRefused":
            return f"refused: {'; '.join(event['problems'])}"
        case "PhaseEntered":
            why = event.get("message") or event["reason"]
            return f"{PHASES.get(event['phase'], event['phase'])} ({why})"
        case "EpochStarted":
            return f"weights in force: {traffic(event['weights'])}"
        case "DecisionMade":
            decision = cast("Document", event["decision"])
            if decision["action"] in _QUIET_ACTIONS:
                return ""
            reasons = "; ".join(reason["message"] for reason in decision["reasons"])
            return f"decision: {ACTIONS.get(decision['action'], decision['action'])} ({reasons})"
        case "CommandIssued":
            arm = f" {event['arm']}" if event.get("arm") else ""
            return f"{event['by']} asked for {event['action']}{arm}: {event['why']}"
        case "CommandHandled":
            return f"command {'accepted' if event['accepted'] else 'refused'}: {event['message']}"
        case "SequenceStarted":
            return f"begins: {event['sequence']}" + (f" of {event['arm']}" if event.get("arm") else "")
        case "StepDone":
            return f"done: {event['step']}"
        case other:
            return str(other)
