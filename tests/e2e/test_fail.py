"""What a person sees when something is broken: the component, its last words, and a way on."""

from __future__ import annotations

import json

import pytest

from local.lifecycle import diagnosis
from local.lifecycle.stack import StackError
from ml import contracts
from tests.e2e.cluster import Cluster, eventually

pytestmark = pytest.mark.e2e

MODEL = contracts.CONTENT_QUALITY_MODEL


def test_up_names_the_component_and_continues_when_an_image_is_bad(cluster: Cluster) -> None:
    stack = cluster.platform.stack
    good = stack.outputs()["images"]["ml"]
    stack.set_config("images.ml", "localhost/mlplatform/ml:no-such-image")
    stack.set_config("readyTimeoutSeconds", "20")
    try:
        with pytest.raises(StackError):
            stack.up()
        report = "\n".join(diagnosis.report(cluster.environment))
        # Not the controller: it waits for the event store's migration, which the same image keeps from starting.
        assert contracts.kube_name(MODEL) in report
        assert "no-such-image" in report
    finally:
        stack.set_config("images.ml", good)
        stack.set_config("readyTimeoutSeconds", "300")
        stack.up()
    cluster.verifies(within_seconds=120)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{", "JSON"),
        (json.dumps({"instances": []}), "instances"),
        (json.dumps({"instances": [{"wrong": "key"}]}), "wrong"),
        (json.dumps({"instances": [{"input": 7}]}), ""),
        ("", ""),
    ],
)
def test_predict_gets_a_client_error_when_the_body_is_malformed(cluster: Cluster, body: str, says: str) -> None:
    status, answer = cluster.predict(MODEL, body)
    assert status == 400, answer
    assert says in answer["error"]
    assert cluster.predict(MODEL)[0] == 200


def test_slot_keeps_its_version_when_the_next_one_does_not_load(cluster: Cluster) -> None:
    good = cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS)
    broken = cluster.register_broken_version(MODEL)
    cluster.set_alias(MODEL, contracts.CHAMPION_ALIAS, broken)
    try:
        eventually(
            lambda: "failed" in cluster.mlp("status", "--json").stdout,
            within_seconds=120,
            what="`mlp status` marks the slot",
        )
        assert cluster.predict(MODEL)[0] == 200
    finally:
        cluster.set_alias(MODEL, contracts.CHAMPION_ALIAS, good)
    cluster.verifies(within_seconds=90, what="the slot recovers")
