"""Kubeflow Pipelines' API as far as `mlp pipeline` uses it, over real HTTP.

It takes and gives only what the published client of that API knows (`kfp_server_api`), and starts only what Kubeflow's
own SDK accepts as a pipeline. Runs go on by themselves: each look at one brings it a step further. What the real
service does with a run is not shown here.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import kfp_server_api  # pyright: ignore[reportMissingTypeStubs] has none
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2  # pyright: ignore[reportMissingTypeStubs] has none

from tests.support.web_server import QuietHandler, served

_models: Any = kfp_server_api
_specification: Any = pipeline_spec_pb2
_RUNS = "/apis/v2beta1/runs"
_LIST_PARAMETERS = {"namespace", "experiment_id", "page_token", "page_size", "sort_by", "filter"}


@dataclass
class FakeRun:
    """One run and how it will go."""

    id: str
    name: str
    specification: dict[str, Any]
    looks: int = 0
    ended: str = ""

    def steps(self) -> list[str]:
        """Return the names of its steps."""
        tasks = self.specification["root"]["dag"]["tasks"]
        return [task["taskInfo"]["name"] for task in tasks.values()]


@dataclass
class PipelinesService:
    """The service; a test sets how runs end and how often it is silent."""

    fails_at: str = ""
    """Step that fails; empty lets runs succeed."""
    silent: int = 0
    """How many of the next requests get no usable answer."""
    hangs: bool = False
    """Whether runs stay where they are."""
    runs: list[FakeRun] = field(default_factory=list[FakeRun])
    port: int = 0

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return status and body of an answer."""
        parts = urlsplit(path)
        if self.silent > 0:
            self.silent -= 1
            return 503, {"message": "no healthy upstream"}
        if parts.path == _RUNS and method == "POST":
            return self._create(json.loads(body))
        if parts.path == _RUNS and method == "GET":
            assert set(parse_qs(parts.query)) <= _LIST_PARAMETERS
            listed = [self._shown(run, details=False) for run in reversed(self.runs)]
            return 200, _given(_models.V2beta1ListRunsResponse(runs=listed, total_size=len(listed)))
        run_id, _, verb = parts.path.removeprefix(f"{_RUNS}/").partition(":")
        run = next((run for run in self.runs if run.id == run_id), None)
        if run is None:
            return 404, {"code": 5, "message": f"Run {run_id} not found"}
        if verb == "terminate" and method == "POST":
            run.ended = "CANCELED"
            return 200, {}
        if verb or method != "GET":
            return 404, {"code": 5, "message": "Not Found"}
        run.looks += 0 if self.hangs else 1
        return 200, _given(self._shown(run, details=True))

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        unknown = set(body) - set(_models.V2beta1Run.attribute_map.values())
        if unknown:
            return 400, {"code": 3, "message": f"unknown field {sorted(unknown)}"}
        try:
            json_format.ParseDict(body["pipeline_spec"], _specification.PipelineSpec())
        except json_format.ParseError as error:
            return 400, {"code": 3, "message": f"invalid pipeline spec: {error}"}
        run = FakeRun(id=f"run-{len(self.runs) + 1}", name=body["display_name"], specification=body["pipeline_spec"])
        self.runs.append(run)
        return 200, _given(self._shown(run, details=False))

    def _shown(self, run: FakeRun, *, details: bool) -> Any:
        steps = run.steps()
        done, state = steps[: run.looks], run.ended or ("RUNNING" if run.looks else "PENDING")
        tasks = [self._task("root", state), self._task(f"{steps[0]}-driver", "SUCCEEDED")]
        for step in done:
            if step == self.fails_at:
                state = "FAILED"
                tasks.append(self._task(step, "FAILED", "main exited with 1"))
                break
            tasks.append(self._task(step, "SUCCEEDED"))
        else:
            if len(done) < len(steps) and not run.ended:
                tasks.append(self._task(steps[len(done)], "RUNNING"))
            elif not run.ended:
                state = "SUCCEEDED"
        return _models.V2beta1Run(
            run_id=run.id,
            display_name=run.name,
            state=state,
            run_details=_models.V2beta1RunDetails(task_details=tasks) if details else None,
        )

    @staticmethod
    def _task(name: str, state: str, error: str = "") -> Any:
        status = _models.GoogleRpcStatus(code=2, message=error) if error else None
        return _models.V2beta1PipelineTaskDetail(display_name=name, state=state, error=status)


@contextmanager
def serve_pipelines() -> Generator[PipelinesService]:
    """Start the service on a free port of loopback."""
    service = PipelinesService()

    class Handler(QuietHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = service.answer(self.command, self.path, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer

    with served(Handler) as server:
        service.port = server.server_port
        yield service


def _given(model: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", _models.ApiClient().sanitize_for_serialization(model))
