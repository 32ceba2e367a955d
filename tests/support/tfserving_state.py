"""What TensorFlow Serving reports about its models and itself: status, metadata, metrics."""

from __future__ import annotations

import re
import time
from typing import Final

from tests.support.tfserving_target import TEXT, Target, error_of, rows

_LEAST_LATENCY_LIMITS: Final = ("10", "18", "32.4", "58.32", "104.976", "188.957")


def reports_status(target: Target) -> None:
    """Versions are listed with state and error, the highest first, numbers as strings."""
    response = target.get(f"/v1/models/{target.model}")
    assert response.status_code == 200
    entries = response.json()["model_version_status"]
    versions = [int(entry["version"]) for entry in entries]
    assert versions == sorted(versions, reverse=True)
    served = next(entry for entry in entries if entry["state"] == "AVAILABLE")
    assert served["version"] == str(target.version())
    assert served["status"] == {"error_code": "OK", "error_message": ""}
    one = target.get(f"/v1/models/{target.model}/versions/{target.version()}").json()
    assert one == {"model_version_status": [served]}


def reports_status_of_nothing_as_not_found(target: Target) -> None:
    """An unknown model, or a version never seen, is 404."""
    missing = error_of(target.get("/v1/models/nothing_of_that_name"), 404)
    assert missing == "Could not find any versions of model nothing_of_that_name"
    version = error_of(target.get(f"/v1/models/{target.model}/versions/987654"), 404)
    assert version == f"Could not find version 987654 of model {target.model}"
    assert error_of(target.get("/v1/models"), 400) == "Missing model name in request."


def reports_metadata(target: Target) -> None:
    """The signatures are given with types and shapes."""
    response = target.get(f"/v1/models/{target.model}/metadata")
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["model_spec"] == {"name": target.model, "signature_name": "", "version": str(target.version())}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["input"]["dtype"] == "DT_STRING"
    assert signature["inputs"]["input"]["tensor_shape"]["dim"][0]["size"] == "-1"
    missing = error_of(target.get("/v1/models/nothing_of_that_name/metadata"), 404)
    assert missing == "Servable not found for request: Latest(nothing_of_that_name)"


def _metrics(target: Target) -> dict[str, float]:
    response = target.get(target.metrics_path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain")
    samples = (line.rpartition(" ") for line in response.text.splitlines() if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in samples}


def counts_requests_by_status(target: Target) -> None:
    """Every REST request is counted under its model and the name of its status code."""
    names = {
        status: f':tensorflow:serving:request_count{{model_name="{target.model}",status="{status}"}}'
        for status in ("OK", "INVALID_ARGUMENT", "NOT_FOUND")
    }
    before = _metrics(target)
    target.predict(rows(TEXT))
    target.predict({})
    target.predict(rows(TEXT), "/versions/987654")
    after = _metrics(target)
    for status, series in names.items():
        assert after[series] >= before.get(series, 0) + 1, status


def measures_latency(target: Target) -> None:
    """Successful requests are measured in microseconds, in buckets that grow by 1.8, by API and entry point."""
    labels = f'model_name="{target.model}",API="predict",entrypoint="REST"'
    name = ":tensorflow:serving:request_latency"
    target.predict(rows(TEXT))
    before = _metrics(target)
    target.predict({})
    failed = _metrics(target)
    started = time.monotonic()
    target.predict(rows(TEXT))
    elapsed_microseconds = (time.monotonic() - started) * 1e6
    after = _metrics(target)
    assert failed[f"{name}_count{{{labels}}}"] == before[f"{name}_count{{{labels}}}"]
    assert after[f"{name}_count{{{labels}}}"] == failed[f"{name}_count{{{labels}}}"] + 1
    spent = after[f"{name}_sum{{{labels}}}"] - failed[f"{name}_sum{{{labels}}}"]
    assert 0 < spent <= elapsed_microseconds * 1.01 + 10  # the sum is printed with six digits
    limits = re.findall(re.escape(f"{name}_bucket{{{labels},le=") + '"([^"]+)"', "\n".join(after))
    assert tuple(limits[: len(_LEAST_LATENCY_LIMITS)]) == _LEAST_LATENCY_LIMITS
    assert limits[-1] == "+Inf"
    assert len(limits) == 34
    assert after[f'{name}_bucket{{{labels},le="+Inf"}}'] == after[f"{name}_count{{{labels}}}"]
    assert (
        f':tensorflow:serving:runtime_latency_count{{model_name="{target.model}",API="Predict",runtime="TF1"}}' in after
    )
