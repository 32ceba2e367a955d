from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.node.volumes import PROVISIONED_BY, PROVISIONER, Provision, Refuse, Release, plan

FOLDER = Path("/run/mlplatform/volumes")


def _claim(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "data", "namespace": "apps", "uid": "u1"},
        "spec": {
            "storageClassName": "standard",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "3Gi"}},
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def _volume(phase: str, provisioner: str = PROVISIONER, policy: str = "Delete") -> dict[str, Any]:
    return {
        "metadata": {"name": "pvc-u1", "annotations": {PROVISIONED_BY: provisioner}},
        "spec": {"persistentVolumeReclaimPolicy": policy},
        "status": {"phase": phase},
    }


def test_volume_is_made_for_this_claim_and_node_when_a_claim_waits() -> None:
    (action,) = plan([_claim()], [], "node-1", FOLDER)
    assert isinstance(action, Provision)
    assert action.name == "pvc-u1"
    spec = action.volume["spec"]
    assert spec["capacity"] == {"storage": "3Gi"}
    assert spec["local"] == {"path": "/run/mlplatform/volumes/pvc-u1"}
    assert (spec["claimRef"]["namespace"], spec["claimRef"]["name"], spec["claimRef"]["uid"]) == ("apps", "data", "u1")
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["node-1"]


@pytest.mark.parametrize(
    "claim",
    [
        _claim(storageClassName="other"),
        _claim(storageClassName=None),
        _claim(volumeName="pvc-u1"),
        {**_claim(), "status": {"phase": "Bound"}},
        {**_claim(), "metadata": {**_claim()["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
)
def test_nothing_is_done_when_a_claim_is_not_ours_or_not_waiting(claim: dict[str, Any]) -> None:
    assert plan([claim], [], "node-1", FOLDER) == []


def test_nothing_is_done_when_the_claim_has_its_volume_already() -> None:
    assert plan([_claim()], [_volume("Available")], "node-1", FOLDER) == []


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"accessModes": ["ReadWriteMany"]}, "accessModes"),
        ({"accessModes": ["ReadWriteOnce", "ReadOnlyMany"]}, "accessModes"),
        ({"volumeMode": "Block"}, "volumeMode"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "selector"),
        ({"dataSource": {"kind": "VolumeSnapshot", "name": "s"}}, "dataSource"),
    ],
)
def test_claim_is_refused_with_the_field_when_it_cannot_be_met(spec: dict[str, Any], field: str) -> None:
    (action,) = plan([_claim(**spec)], [], "node-1", FOLDER)
    assert isinstance(action, Refuse)
    assert action.reason.startswith(f"{field}: ")


@pytest.mark.parametrize("phase", ["Released", "Failed"])
def test_volume_is_removed_when_its_claim_is_gone(phase: str) -> None:
    assert plan([], [_volume(phase)], "node-1", FOLDER) == [Release("pvc-u1")]


@pytest.mark.parametrize(
    "volume", [_volume("Bound"), _volume("Released", "somebody.else/x"), _volume("Released", policy="Retain")]
)
def test_volume_is_left_alone_when_it_is_bound_or_foreign_or_to_be_kept(volume: dict[str, Any]) -> None:
    assert plan([], [volume], "node-1", FOLDER) == []
