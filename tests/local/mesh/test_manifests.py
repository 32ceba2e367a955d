"""The mesh's manifests: complete, filled, and with what makes an upstream Envoy work."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from local.mesh import render
from local.node import GATEWAY_SERVICE_ADDRESS

IMAGES = {"istiod": "localhost/istiod:1", "envoy": "localhost/envoy:1"}


@pytest.fixture(name="objects")
def _objects() -> dict[tuple[str, str], dict[str, Any]]:
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(render(IMAGES)))
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def test_images_are_filled_in_when_rendered(objects: dict[tuple[str, str], dict[str, Any]]) -> None:
    containers = [
        objects["Deployment", name]["spec"]["template"]["spec"]["containers"][0]["image"]
        for name in ("istiod", "istio-ingressgateway")
    ]
    assert containers == ["localhost/istiod:1", "localhost/envoy:1"]
    assert "${" not in render(IMAGES)


def test_gateway_has_the_address_that_the_node_relays_to(
    objects: dict[tuple[str, str], dict[str, Any]],
) -> None:
    assert objects["Service", "istio-ingressgateway"]["spec"]["clusterIP"] == GATEWAY_SERVICE_ADDRESS


def test_bootstrap_has_a_latency_edge_at_the_objective(
    objects: dict[tuple[str, str], dict[str, Any]],
) -> None:
    bootstrap = yaml.safe_load(objects["ConfigMap", "istio-ingressgateway-bootstrap"]["data"]["envoy.yaml"])
    (buckets,) = [
        entry["buckets"]
        for entry in bootstrap["stats_config"]["histogram_bucket_settings"]
        if entry["match"] == {"suffix": "upstream_rq_time"}
    ]
    assert 100 in buckets


def test_filters_that_upstream_envoy_lacks_are_off(objects: dict[tuple[str, str], dict[str, Any]]) -> None:
    container = objects["Deployment", "istiod"]["spec"]["template"]["spec"]["containers"][0]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["PILOT_ENABLE_METADATA_EXCHANGE"] == "false"
    assert environment["PILOT_ENABLE_ALPN_FILTER"] == "false"
    mesh = yaml.safe_load(objects["ConfigMap", "istio"]["data"]["mesh"])
    assert mesh["enableAutoMtls"] is False
    assert mesh["defaultProviders"] == {}


def test_pods_are_restricted(objects: dict[tuple[str, str], dict[str, Any]]) -> None:
    for name in ("istiod", "istio-ingressgateway"):
        pod = objects["Deployment", name]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_error_names_the_image_when_one_is_missing() -> None:
    with pytest.raises(KeyError, match="envoy"):
        render({"istiod": "x"})
