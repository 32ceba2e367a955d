"""Kubeflow Pipelines' REST API (version v2beta1), as far as runs need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx

from ml.cli.errors import UserError
from ml.cli.http import http_client

_RUNS: Final = "/apis/v2beta1/runs"
_TIMEOUT_SECONDS: Final = 20.0
_LONGEST_QUOTE: Final = 300
_LATEST: Final = 20
"""How many runs are looked through for one that is going on."""
_GOING_ON: Final = frozenset({"RUNTIME_STATE_UNSPECIFIED", "PENDING", "RUNNING", "CANCELING", "PAUSED"})
_GOOD: Final = frozenset({"SUCCEEDED", "SKIPPED"})
# What the service adds to a pipeline's own steps.
_OWN_TASKS: Final = frozenset({"root", "executor"})
_OWN_ENDING: Final = "-driver"


class LostError(Exception):
    """The service did not answer; the run may well go on."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a run."""

    name: str
    state: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run as the service knows it."""

    id: str
    name: str
    state: str
    error: str
    steps: tuple[Step, ...]

    @property
    def is_going_on(self) -> bool:
        """Whether it has not ended."""
        return self.state in _GOING_ON

    @property
    def is_good(self) -> bool:
        """Whether it has ended as it should."""
        return self.state in _GOOD


class PipelinesApi:
    """The service at one address."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def create(self, name: str, specification: Mapping[str, Any]) -> Run:
        """Start a run of a compiled pipeline with the pipeline's own defaults.

        Raises:
            UserError: the service refuses it.
            LostError: there was no answer; whether the run was started is not known.
        """
        body: dict[str, Any] = {
            "display_name": name,
            "pipeline_spec": specification,
            "runtime_config": {"parameters": {}},
        }
        return _run(await self._ask("POST", _RUNS, json=body))

    async def run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            UserError: the service does not know it.
            LostError: there was no answer.
        """
        return _run(await self._ask("GET", f"{_RUNS}/{run_id}"))

    async def going_on(self, name: str) -> list[Run]:
        """Return the runs of a pipeline that have not ended, the latest first.

        Raises:
            UserError: the service refuses.
            LostError: there was no answer.
        """
        found = await self._ask("GET", _RUNS, params={"page_size": str(_LATEST), "sort_by": "created_at desc"})
        runs = [_run(item) for item in cast("list[dict[str, Any]]", found.get("runs") or [])]
        return [run for run in runs if run.is_going_on and run.name.startswith(name)]

    async def terminate(self, run_id: str) -> None:
        """End a run.

        Raises:
            UserError: the service refuses.
            LostError: there was no answer.
        """
        await self._ask("POST", f"{_RUNS}/{run_id}:terminate")

    async def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            async with http_client(_TIMEOUT_SECONDS) as client:
                answer = await client.request(method, f"{self._url}{path}", **request)
        except httpx.HTTPError as error:
            raise LostError(str(error) or type(error).__name__) from None
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise LostError(f"{answer.status_code} {_words(answer)}")
        if not answer.is_success:
            raise UserError(
                f"the pipeline service answered {method} {path} with {answer.status_code}: {_words(answer)}",
                "see `kubectl logs deployment/ml-pipeline` in the service's namespace",
            )
        try:
            return cast("dict[str, Any]", answer.json())
        except ValueError:
            raise UserError(
                f"the pipeline service answered {method} {path} with something else than JSON",
                "see whether something else listens at its port",
            ) from None


def _run(value: Mapping[str, Any]) -> Run:
    details = cast("dict[str, Any]", value.get("run_details") or {})
    tasks = cast("list[dict[str, Any]]", details.get("task_details") or [])
    return Run(
        id=str(value["run_id"]),
        name=str(value.get("display_name", "")),
        state=str(value.get("state") or "RUNTIME_STATE_UNSPECIFIED"),
        error=_message(value),
        steps=tuple(
            Step(
                name=str(task.get("display_name", "")),
                state=str(task.get("state") or "PENDING"),
                error=_message(task),
            )
            for task in tasks
            if _is_step(str(task.get("display_name", "")))
        ),
    )


def _is_step(name: str) -> bool:
    return bool(name) and name not in _OWN_TASKS and not name.endswith(_OWN_ENDING)


def _message(value: Mapping[str, Any]) -> str:
    error: object = value.get("error")
    return str(cast("dict[str, Any]", error).get("message", "")) if isinstance(error, dict) else ""


def _words(answer: httpx.Response) -> str:
    try:
        content: object = answer.json()
    except ValueError:
        content = None
    message = cast("dict[str, Any]", content).get("message") if isinstance(content, dict) else None
    return " ".join(str(message or answer.text).split())[:_LONGEST_QUOTE] or "(empty)"
