"""Namespace, training and the connection to the cluster."""

from __future__ import annotations

import pytest

from components._schema import Sensitive
from components.cluster import connect
from components.platform_namespace import PlatformNamespace
from components.settings import Settings
from components.training import Training
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Recorded, Secret, run


def test_namespace_enforces_the_restricted_level_when_declared() -> None:
    namespace = declare_one(PlatformNamespace, instance="research").object("Namespace", "research")
    labels = namespace.manifest["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


def test_namespace_denies_everything_but_dns_when_declared() -> None:
    policies = {item.name: item.manifest["spec"] for item in declare_one(PlatformNamespace).of_kind("NetworkPolicy")}
    deny = policies["example-deny-all"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (rule,) = policies["example-allow-dns"]["egress"]
    assert {(port["protocol"], port["port"]) for port in rule["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert "ingress" not in policies["example-allow-dns"]


@pytest.mark.parametrize("protect", [True, False])
def test_namespace_is_protected_when_data_is(protect: bool) -> None:
    namespace = declare_one(PlatformNamespace, protect=protect).object("Namespace", "example")
    assert namespace.protect is protect


def test_training_account_has_no_token_and_no_rights_when_declared() -> None:
    graph = declare_one(Training, instance="training")
    (account,) = graph.kubernetes_objects()
    assert account.kind == "ServiceAccount"
    assert account.object_name == "training"
    assert account.manifest["automountServiceAccountToken"] is False


def connection(**changes: object) -> Recorded:
    settings = Settings(**{"master_secret": Sensitive("s" * 32), "context": "test", **changes})  # pyright: ignore[reportArgumentType] any field
    graph = run(lambda: (connect("cluster", settings), None)[1])
    (provider,) = graph.of_type("pulumi:providers:kubernetes")
    return provider


def test_connection_names_context_and_cluster_when_made() -> None:
    inputs = connection(cluster_identifier="shared", kubeconfig="/path").inputs
    assert inputs["context"] == "test"
    assert inputs["clusterIdentifier"] == "shared"
    assert inputs["kubeconfig"] == "/path"


def test_content_of_a_kubeconfig_stays_secret_when_it_is_given() -> None:
    assert connection(kubeconfig=Sensitive("apiVersion: v1")).inputs["kubeconfig"] == Secret("apiVersion: v1")


def test_secrets_change_in_place_and_foreign_objects_are_never_taken_over_when_connected() -> None:
    inputs = connection().inputs
    assert inputs["enableSecretMutable"] == "true"
    assert "upsertExistingObjects" not in inputs
