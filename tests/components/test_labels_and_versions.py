"""Labels and image references."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components._labels import object_labels, selector_labels, version_of
from components._versions import IMAGES, PIPELINE_IMAGES, Image

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def test_selector_is_part_of_the_labels_and_has_no_version_when_built() -> None:
    labels, selector = object_labels("db", "db-1", "registry.test/db:1.0"), selector_labels("db", "db-1")
    assert selector.items() <= labels.items()
    assert "app.kubernetes.io/version" not in selector
    assert labels["app.kubernetes.io/version"] == "1.0"


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.test/db:18.6", "18.6"),
        ("registry.test:5000/db:18.6", "18.6"),
        ("registry.test/db:18.6@sha256:" + "ab" * 32, "18.6"),
        ("registry.test/db@sha256:" + "ab" * 32, "abababababab"),
        ("registry.test/db:1.0+build", "1.0-build"),
        ("registry.test/db", "unknown"),
    ],
)
def test_version_is_the_tag_when_read_from_a_reference(image: str, version: str) -> None:
    assert version_of(image) == version


@given(st.from_regex(r"[\w][\w.-]{0,127}", fullmatch=True))
def test_version_is_a_label_value_when_the_tag_is_anything(tag: str) -> None:
    assert LABEL_VALUE.fullmatch(version_of(f"registry.test/db:{tag}"))


def test_reference_has_tag_and_digest_when_both_are_known() -> None:
    image = Image(repository="registry.test/db", tag="1.0", digest="sha256:" + "0" * 64)
    assert image.reference() == "registry.test/db:1.0@sha256:" + "0" * 64


def test_own_image_lies_in_the_given_registry_when_referred_to() -> None:
    assert IMAGES["ml"].reference("registry.test").startswith("registry.test/mlplatform/ml:")
    with pytest.raises(ValueError, match="a registry is needed"):
        IMAGES["ml"].reference()


_BY_TAG = {"mlflow", "model-server", "model-server-gpu", "page-login", "postgres-cluster"}
WITHOUT_DIGEST = (_BY_TAG | set(PIPELINE_IMAGES)) - {"mysql"}
"""Of makers whose digests are not known here, or do not last."""


def test_official_images_are_pinned_and_not_withdrawn_when_listed() -> None:
    for name, image in IMAGES.items():
        assert image.tag not in {"", "latest"}
        assert image.own or name in WITHOUT_DIGEST or re.fullmatch("sha256:[0-9a-f]{64}", image.digest or ""), name
        assert "bitnami" not in image.repository
        assert image.repository != "docker.io/minio/minio"
