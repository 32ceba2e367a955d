"""Differences between inputs, and which of them replace an object."""

from __future__ import annotations

from typing import Any

import pytest

from local.provider.diffing import Comparison, compare
from local.provider.objects import AUTONAMED_ANNOTATION
from local.provider.paths import format_path, parse_path
from local.provider.replacement import Mutability
from local.provider.values import UNKNOWN, Object


def _object(kind: str, api_version: str = "v1", **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}, **fields}


def _compare(old: Object, new: Object, *ignored: str, mutability: Mutability | None = None) -> Comparison:
    patterns = [parse_path(text) for text in ignored]
    return compare(old, new, ignored=patterns, mutability=mutability or Mutability())


def _paths(comparison: Comparison, *, replacing: bool | None = None) -> dict[str, str]:
    return {
        format_path(change.path): change.kind.value
        for change in comparison.changes
        if replacing is None or change.is_replacing is replacing
    }


def test_nothing_changes_when_inputs_mean_the_same() -> None:
    old = _object("Pod", spec={"containers": [{"name": "c", "resources": {"limits": {"cpu": "500m"}}}]})
    new = _object("Pod", spec={"containers": [{"name": "c", "resources": {"limits": {"cpu": "0.5"}}, "env": []}]})

    assert _compare(old, new).changes == ()


def test_each_leaf_is_reported_when_it_is_added_changed_or_removed() -> None:
    old = _object("Service", spec={"type": "ClusterIP", "ports": [{"port": 1}], "selector": {"a": "1"}})
    new = _object("Service", spec={"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]})

    assert _paths(_compare(old, new)) == {"spec.type": "update", "spec.ports[1]": "add", "spec.selector": "delete"}


def test_the_default_namespace_is_no_change_when_one_side_leaves_it_out() -> None:
    old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}}
    new = {"apiVersion": "core/v1", "kind": "ConfigMap", "metadata": {"name": "x"}}

    assert _compare(old, new).changes == ()


def test_server_written_metadata_is_no_change_when_state_holds_it() -> None:
    old = _object("ConfigMap")
    old["metadata"]["uid"] = "1"

    assert _compare(old, _object("ConfigMap")).changes == ()


def test_unknown_values_count_as_changed_when_previewing() -> None:
    old, new = _object("Service", spec={"type": "A"}), _object("Service", spec={"type": UNKNOWN, "x": UNKNOWN})

    assert _paths(_compare(old, new)) == {"spec.type": "update", "spec.x": "add"}


def test_ignored_fields_are_left_out_when_they_differ() -> None:
    old = _object("Deployment", "apps/v1", spec={"replicas": 1, "paused": False})
    new = _object("Deployment", "apps/v1", spec={"replicas": 5, "paused": True})

    assert _paths(_compare(old, new, "spec.replicas")) == {"spec.paused": "update"}


_STATEFUL = {"serviceName": "s", "revisionHistoryLimit": 1, "podManagementPolicy": "P", "replicas": 1}


@pytest.mark.parametrize(
    ("kind", "api_version", "old", "new", "replacing"),
    [
        (
            "Deployment",
            "apps/v1",
            {"selector": {"matchLabels": {"a": "1"}}},
            {"selector": {"matchLabels": {"a": "2"}}},
            1,
        ),
        ("Deployment", "apps/v1", {"replicas": 1}, {"replicas": 2}, 0),
        ("StatefulSet", "apps/v1", _STATEFUL, {**_STATEFUL, "serviceName": "t"}, 1),
        ("StatefulSet", "apps/v1", _STATEFUL, {**_STATEFUL, "revisionHistoryLimit": 2}, 1),
        ("StatefulSet", "apps/v1", _STATEFUL, {**_STATEFUL, "podManagementPolicy": "Q"}, 1),
        ("StatefulSet", "apps/v1", _STATEFUL, {**_STATEFUL, "volumeClaimTemplates": [{"a": 1}]}, 1),
        ("StatefulSet", "apps/v1", _STATEFUL, {**_STATEFUL, "replicas": 2}, 0),
        ("Job", "batch/v1", {"template": {"spec": {"x": 1}}}, {"template": {"spec": {"x": 2}}}, 1),
        ("Job", "batch/v1", {"backoffLimit": 1}, {"backoffLimit": 2}, 0),
        ("Pod", "v1", {"containers": [{"image": "a"}]}, {"containers": [{"image": "b"}]}, 1),
        ("PersistentVolumeClaim", "v1", {"storageClassName": "a"}, {"storageClassName": "b"}, 1),
        ("PersistentVolumeClaim", "v1", {"resources": {"r": "1"}}, {"resources": {"r": "2"}}, 0),
        ("Service", "v1", {"clusterIP": "10.96.0.9"}, {"clusterIP": "10.96.0.8"}, 1),
        ("VirtualService", "networking.istio.io/v1", {"http": [{"a": 1}]}, {"http": [{"a": 2}]}, 0),
    ],
)
def test_immutable_fields_replace_when_they_change(
    kind: str, api_version: str, old: Object, new: Object, replacing: int
) -> None:
    comparison = _compare(_object(kind, api_version, spec=old), _object(kind, api_version, spec=new))

    assert len(comparison.changes) == 1
    assert len(_paths(comparison, replacing=True)) == replacing


@pytest.mark.parametrize("field", ["name", "namespace"])
def test_identity_replaces_when_it_changes(field: str) -> None:
    new = _object("Service")
    new["metadata"][field] = "other"

    comparison = _compare(_object("Service"), new)

    assert _paths(comparison, replacing=True) == {f"metadata.{field}": "update"}
    assert not comparison.must_delete_first


def test_data_replaces_when_config_maps_and_secrets_are_not_mutable() -> None:
    for kind in ("ConfigMap", "Secret"):
        comparison = _compare(_object(kind, data={"a": "1"}), _object(kind, data={"a": "2"}))
        assert _paths(comparison, replacing=True) == {"data.a": "update"}


def test_data_is_updated_in_place_when_the_provider_makes_it_mutable() -> None:
    mutable = Mutability(config_map=True, secret=True)
    for kind in ("ConfigMap", "Secret"):
        old, new = _object(kind, data={"a": "1"}), _object(kind, data={"a": "2"})
        assert _paths(_compare(old, new, mutability=mutable), replacing=True) == {}
        frozen = _object(kind, data={"a": "2"}, immutable=True)
        assert "data.a" in _paths(_compare(old, frozen, mutability=mutable), replacing=True)


def test_role_references_replace_when_they_change() -> None:
    api = "rbac.authorization.k8s.io/v1"
    old, new = _object("RoleBinding", api, roleRef={"name": "a"}), _object("RoleBinding", api, roleRef={"name": "b"})

    assert _paths(_compare(old, new), replacing=True) == {"roleRef.name": "update"}


def test_the_old_object_goes_first_when_the_new_one_bears_its_name() -> None:
    assert _compare(_object("Pod", spec={"a": 1}), _object("Pod", spec={"a": 2})).must_delete_first


def test_the_new_object_comes_first_when_its_name_is_generated() -> None:
    old, new = _object("Pod", spec={"a": 1}), _object("Pod", spec={"a": 2})
    new["metadata"]["annotations"] = {AUTONAMED_ANNOTATION: "true"}

    assert not _compare(old, new).must_delete_first


def test_losing_a_parent_replaces_when_it_takes_an_immutable_field_along() -> None:
    comparison = _compare(_object("Job", "batch/v1", spec={"template": {"a": 1}}), _object("Job", "batch/v1"))

    assert _paths(comparison, replacing=True) == {"spec": "delete"}
