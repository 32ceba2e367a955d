"""The provider's own configuration and the kubeconfig it names."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.provider import kubeconfig
from local.provider.config import changed_keys, parse, problems, replacing_keys
from local.provider.kubeconfig import KubeconfigError


def _document(server: str = "https://127.0.0.1:1/", **user: Any) -> dict[str, Any]:
    return {
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}, {"name": "d", "cluster": {"server": "https://d"}}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
    }


def test_everything_that_is_not_offered_is_named_when_configured() -> None:
    found = dict(problems({"kubeconfig": "x", "helmReleaseSettings": {"a": 1}, "enablePatchForce": "perhaps"}))

    assert set(found) == {"helmReleaseSettings", "enablePatchForce"}
    assert "allowed: kubeconfig, context" in found["helmReleaseSettings"]
    assert found["enablePatchForce"] == "'perhaps': allowed are true and false"


def test_client_side_apply_is_refused_when_configured() -> None:
    assert [key for key, _ in problems({"enableServerSideApply": "false"})] == ["enableServerSideApply"]
    assert problems({"enableServerSideApply": "true"}) == []


def test_switches_are_read_when_they_come_as_text_or_as_booleans() -> None:
    config = parse({"enablePatchForce": "true", "enableSecretMutable": True, "deleteUnreachable": "false"})

    assert config.force
    assert config.mutability.secret
    assert not config.mutability.config_map
    assert not config.forget_unreachable


def test_everything_is_made_anew_when_the_server_is_another() -> None:
    old, new = json.dumps(_document("https://a")), json.dumps(_document("https://b"))

    assert replacing_keys({"kubeconfig": old}, {"kubeconfig": new}) == ["kubeconfig"]
    assert replacing_keys({"kubeconfig": old}, {"kubeconfig": old, "enablePatchForce": "true"}) == []


def test_nothing_is_made_anew_when_a_kubeconfig_cannot_be_read() -> None:
    assert replacing_keys({"kubeconfig": "/nowhere"}, {"kubeconfig": json.dumps(_document())}) == []


def test_the_identifier_decides_alone_when_there_is_one() -> None:
    old = {"kubeconfig": json.dumps(_document("https://a")), "clusterIdentifier": "one"}
    moved = {"kubeconfig": json.dumps(_document("https://b")), "clusterIdentifier": "one"}

    assert replacing_keys(old, moved) == []
    assert replacing_keys(old, {**old, "clusterIdentifier": "two"}) == ["clusterIdentifier"]
    assert changed_keys(old, moved) == ["kubeconfig"]


def test_the_current_context_is_used_and_its_token_hidden_when_none_is_named() -> None:
    cluster = kubeconfig.load(json.dumps(_document()))

    assert (cluster.server, cluster.namespace, cluster.token) == ("https://127.0.0.1:1", "team", "t")
    assert repr(cluster) == "Cluster('https://127.0.0.1:1')"


def test_another_cluster_is_used_when_it_is_named() -> None:
    assert kubeconfig.load(json.dumps(_document()), cluster="d").server == "https://d"


def test_files_beside_the_kubeconfig_are_read_when_it_names_them(tmp_path: Path) -> None:
    (tmp_path / "me.crt").write_bytes(b"CERT")
    document = _document(**{"client-certificate": "me.crt", "client-key-data": base64.b64encode(b"KEY").decode()})
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")

    cluster = kubeconfig.load(str(path))

    assert (cluster.client_certificate, cluster.client_key) == (b"CERT", b"KEY")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"current-context": ""}, "no current-context"),
        ({"current-context": "other"}, "contexts has no entry named 'other'"),
        ({"clusters": None}, "clusters has no entry named 'c'"),
        ({"clusters": [{"name": "c", "cluster": {"server": ""}}]}, "cluster 'c' has no server"),
        ({"users": [{"name": "u", "user": {"exec": {"command": "x"}}}]}, "user 'u' needs 'exec'; allowed"),
        ({"users": [{"name": "u", "user": {"client-key-data": "%"}}]}, "client-key-data is not base64"),
        ({"users": [{"name": "u", "user": {"client-key": "/nowhere"}}]}, "client-key /nowhere: No such file"),
    ],
)
def test_the_wrong_part_is_named_when_a_kubeconfig_is_incomplete(change: dict[str, Any], message: str) -> None:
    with pytest.raises(KubeconfigError, match=message):
        kubeconfig.load(json.dumps({**_document(), **change}))


@pytest.mark.parametrize(
    ("text", "message"), [("/nowhere", "No such file"), ("a: [\n", "not YAML"), ("- a\n", "mapping")]
)
def test_text_that_is_no_kubeconfig_is_refused_when_loaded(text: str, message: str) -> None:
    with pytest.raises(KubeconfigError, match=message):
        kubeconfig.load(text)
