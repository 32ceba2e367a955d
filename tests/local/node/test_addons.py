from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import pytest
import yaml

from local.node import addons
from local.node.addons import definition_files, manifests
from tests.support.pods import assert_restricted

IMAGES = {"coredns": "localhost/coredns:1", "metrics-server": "localhost/metrics-server:1", "unused": "x:1"}


def _objects(text: str) -> dict[tuple[str, str], dict[str, Any]]:
    documents = cast("Iterable[dict[str, Any]]", yaml.safe_load_all(text))
    return {(item["kind"], item["metadata"]["name"]): item for item in documents}


OBJECTS = _objects(manifests("demo", IMAGES))


def test_every_placeholder_is_filled() -> None:
    assert not re.search(r"\$\{", manifests("demo", IMAGES))


def test_images_are_those_given() -> None:
    for name in addons.IMAGES:
        (container,) = OBJECTS["Deployment", name]["spec"]["template"]["spec"]["containers"]
        assert container["image"] == IMAGES[name]
        assert container["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("name", addons.IMAGES)
def test_pods_keep_to_the_restricted_profile(name: str) -> None:
    assert_restricted(OBJECTS["Deployment", name]["spec"]["template"]["spec"])


def test_marker_names_the_instance() -> None:
    assert OBJECTS["ConfigMap", "mlplatform-embedded"]["data"] == {"instance": "demo"}


def test_standard_is_the_default_storage_class() -> None:
    storage = OBJECTS["StorageClass", "standard"]
    assert storage["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"


def test_definitions_are_those_of_the_mesh() -> None:
    groups: set[str] = set()
    names: list[str] = []
    for path in definition_files():
        for (kind, name), item in _objects(path.read_text()).items():
            assert kind == "CustomResourceDefinition"
            groups.add(item["spec"]["group"])
            names.append(name)
    assert groups == {"networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io"}
    assert len(names) == len(set(names)) == 15
