"""Every object of every stack against the schemas of three Kubernetes versions and of the mesh."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import schemas
from tests.support.recording_monitor import Graph

ISTIO_GROUPS = ("networking.istio.io/", "security.istio.io/")
KARPENTER_GROUPS = ("karpenter.sh/", "karpenter.k8s.aws/")
SCALING_GROUPS = ("keda.sh/", "nvidia.com/")


def is_custom(manifest: dict[str, Any]) -> bool:
    return manifest["apiVersion"].startswith((*ISTIO_GROUPS, *KARPENTER_GROUPS, *SCALING_GROUPS))


@pytest.mark.parametrize("version", schemas.KUBERNETES_VERSIONS)
def test_objects_fit_the_schema_when_checked_by_a_kubernetes_version(graph: Graph, version: str) -> None:
    manifests = [item.manifest for item in graph.kubernetes_objects() if not is_custom(item.manifest)]
    assert len(manifests) > 30
    for manifest in manifests:
        schemas.check_kubernetes(manifest, version)


@pytest.mark.parametrize("version", schemas.KUBERNETES_VERSIONS)
def test_objects_fit_the_schema_when_cards_are_claimed(claimed: Graph, version: str) -> None:
    manifests = [item.manifest for item in claimed.kubernetes_objects() if not is_custom(item.manifest)]
    assert sum(manifest["kind"] == "ResourceClaimTemplate" for manifest in manifests) == 2
    for manifest in manifests:
        schemas.check_kubernetes(manifest, version)


def test_claims_need_a_kubernetes_that_serves_them_when_checked(claimed: Graph) -> None:
    """The oldest of the versions above is the first that does; the cluster is asked before anything is declared."""
    (template, _) = claimed.of_kind("ResourceClaimTemplate")
    with pytest.raises(schemas.SchemaViolationError, match=r"Kubernetes 1\.33 has no ResourceClaimTemplate"):
        schemas.check_kubernetes(template.manifest, "1.33")


def test_check_fails_when_a_field_of_a_claim_is_misspelt(claimed: Graph) -> None:
    (template, _) = claimed.of_kind("ResourceClaimTemplate")
    manifest = template.manifest
    manifest["spec"]["spec"]["devices"]["requests"][0]["exactly"]["deviceClass"] = "gpu.nvidia.com"
    with pytest.raises(schemas.SchemaViolationError, match="deviceClass"):
        schemas.check_kubernetes(manifest, "1.34")


def test_mesh_objects_fit_their_definitions_when_checked(graph: Graph) -> None:
    manifests = [
        item.manifest for item in graph.kubernetes_objects() if item.manifest["apiVersion"].startswith(ISTIO_GROUPS)
    ]
    assert {manifest["kind"] for manifest in manifests} == {
        "Gateway",
        "VirtualService",
        "DestinationRule",
        "EnvoyFilter",
    }
    for manifest in manifests:
        schemas.check_custom(manifest)


def test_node_pools_fit_karpenters_definitions_when_checked(cloud: Graph) -> None:
    manifests = [
        item.manifest for item in cloud.kubernetes_objects() if item.manifest["apiVersion"].startswith(KARPENTER_GROUPS)
    ]
    assert {manifest["kind"] for manifest in manifests} == {"NodePool", "EC2NodeClass"}
    assert len(manifests) >= 4
    for manifest in manifests:
        schemas.check_custom(manifest)


def test_autoscalers_fit_kedas_definitions_when_checked(cloud: Graph) -> None:
    manifests = [item.manifest for item in cloud.of_kind("ScaledObject")]
    # Two models of two slots each, the tracking server and the API.
    assert len(manifests) == 6
    for manifest in manifests:
        schemas.check_custom(manifest)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("disruption", "consolidateAfter"), "5 minutes", "consolidateAfter"),
        (("disruption", "consolidationPolicy"), "WhenBored", "consolidationPolicy"),
        (("template", "spec", "expireAfter"), "7d", "expireAfter"),
        (("limit",), {"cpu": "4"}, "limit"),
    ],
)
def test_check_fails_when_a_node_pool_is_wrong(
    staging: Graph, path: tuple[str, ...], value: object, named: str
) -> None:
    manifest = staging.object("NodePool", "gpu-l4").manifest
    place = manifest["spec"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(schemas.SchemaViolationError, match=named):
        schemas.check_custom(manifest)


def test_check_fails_when_a_field_of_a_pod_is_misspelt(local: Graph) -> None:
    manifest = local.object("Deployment", "tracking-server").manifest
    manifest["spec"]["template"]["spec"]["containers"][0]["imagePullPolcy"] = "Always"
    with pytest.raises(schemas.SchemaViolationError, match="imagePullPolcy"):
        schemas.check_kubernetes(manifest, "1.35")


def test_check_fails_when_a_field_of_a_route_is_misspelt(local: Graph) -> None:
    manifest = local.object("VirtualService", "platform-gateway-mlflow").manifest
    manifest["spec"]["hsots"] = manifest["spec"].pop("hosts")
    with pytest.raises(schemas.SchemaViolationError, match="hsots"):
        schemas.check_custom(manifest)


def test_check_fails_when_a_value_of_a_route_has_the_wrong_type(local: Graph) -> None:
    manifest = local.object("VirtualService", "platform-gateway-mlflow").manifest
    manifest["spec"]["http"][0]["route"][0]["destination"]["port"]["number"] = "5000"
    with pytest.raises(schemas.SchemaViolationError, match="number"):
        schemas.check_custom(manifest)


def test_check_fails_when_a_kind_has_no_definition() -> None:
    with pytest.raises(schemas.SchemaViolationError, match="no definition"):
        schemas.check_custom({"apiVersion": "networking.istio.io/v1", "kind": "Gatewya"})
