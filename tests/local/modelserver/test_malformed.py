"""Whatever a client sends, it is answered with 200 or a client error, and the server goes on."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.modelserver.lifecycle import State
from local.modelserver.model import Model
from local.modelserver.models import Models
from local.modelserver.monitoring import Metrics
from local.modelserver.rest import RestApi
from local.modelserver.service import Service
from local.modelserver.text_proto import ModelConfig, VersionPolicy
from tests.local.modelserver.saved_models import write_failing_model, write_numeric_model
from tests.local.modelserver.test_model import SETTINGS

CLIENT_ERRORS = {400, 404}
PATH = "/v1/models/{}:predict"

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
json_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
tensor_values = st.recursive(
    leaves | st.fixed_dictionaries({"b64": st.text(max_size=6)}),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["input", "x", "count", "flag", "other"])
requests = st.dictionaries(
    st.sampled_from(["instances", "inputs", "signature_name", "more"]),
    tensor_values
    | st.lists(st.dictionaries(names, tensor_values, max_size=3), max_size=3)
    | st.dictionaries(names, tensor_values),
    max_size=3,
)


@pytest.fixture(scope="module")
def api(text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RestApi]:
    numeric = tmp_path_factory.mktemp("models") / "numeric"
    write_numeric_model(numeric, 1)
    picky = tmp_path_factory.mktemp("models") / "picky"
    write_failing_model(picky, 1)
    metrics = Metrics()
    configs = [ModelConfig(path.name, path, VersionPolicy(), {}) for path in (text_model, numeric, picky)]
    models = Models([Model(config, SETTINGS, metrics) for config in configs], poll_interval_seconds=0, load_threads=1)
    models.start()
    models.wait_until_available(lambda: False)
    assert models.get("numeric").states()[1].state is State.AVAILABLE
    yield RestApi(Service(models, metrics), metrics)
    models.stop()


def check(api: RestApi, model: str, body: bytes) -> None:
    response = api.answer("POST", PATH.format(model), body)
    answer: dict[str, Any] = json.loads(response.body)
    if response.status == 200:
        assert list(answer) in (["predictions"], ["outputs"])
    else:
        assert response.status in CLIENT_ERRORS, answer
        assert list(answer) == ["error"]
        assert answer["error"]


MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(model=st.sampled_from(["text_model", "numeric"]), request=requests)
def test_request_is_answered_or_refused_when_it_is_nearly_right(api: RestApi, model: str, request: Any) -> None:
    check(api, model, json.dumps(request).encode())


@MANY
@given(model=st.sampled_from(["text_model", "numeric"]), value=json_values)
def test_request_is_refused_when_it_is_any_json(api: RestApi, model: str, value: Any) -> None:
    check(api, model, json.dumps(value).encode())


@MANY
@given(body=st.binary(max_size=200))
def test_request_is_refused_when_it_is_any_bytes(api: RestApi, body: bytes) -> None:
    check(api, "text_model", body)


@MANY
@given(text=st.text(max_size=40), cut=st.integers(0, 60))
def test_request_is_refused_when_it_is_cut_off(api: RestApi, text: str, cut: int) -> None:
    check(api, "text_model", json.dumps({"instances": [{"input": text}]}).encode()[:cut])


@MANY
@given(method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]), path=st.text(max_size=60))
def test_path_is_refused_when_it_is_no_api_path(api: RestApi, method: str, path: str) -> None:
    response = api.answer(method, f"/v1/{path}", b"{}")
    assert response.status in CLIENT_ERRORS
    assert json.loads(response.body)["error"]


@pytest.mark.parametrize("depth", [10, 400, 900, 5_000, 200_000])
def test_request_is_refused_when_it_is_nested_deeply(api: RestApi, depth: int) -> None:
    check(api, "text_model", b'{"inputs": ' + b"[" * depth + b"]" * depth + b"}")
    check(api, "numeric", b'{"inputs": ' + b'{"x":' * depth + b"1" + b"}" * depth + b"}")


def test_several_inputs_of_several_types_are_answered_when_they_fit(api: RestApi) -> None:
    response = api.answer("POST", PATH.format("numeric"), b'{"instances": [{"x": [1, 2], "count": 4, "flag": true}]}')
    assert json.loads(response.body) == {"predictions": [{"half": [0.5, 1.0], "next": 5, "not": False}]}


def test_graph_error_is_the_clients_when_the_graph_refuses_a_value(api: RestApi) -> None:
    assert api.answer("POST", PATH.format("picky"), b'{"instances": ["long enough"]}').status == 200
    response = api.answer("POST", PATH.format("picky"), b'{"instances": ["long enough", "x"]}')
    assert response.status == 400
    assert "text is too short" in json.loads(response.body)["error"]


def test_model_name_is_decoded_when_the_path_is_escaped(api: RestApi) -> None:
    assert api.answer("GET", "/v1/models/text%5Fmodel", b"").status == 200
    assert b"Could not find any versions of model a b" in api.answer("GET", "/v1/models/a%20b", b"").body
