"""What is read of a root, and what is said of one that makes no sense."""

from __future__ import annotations

import pytest

from ml.contracts import MODEL_LABEL, SLOTS_ANNOTATION
from ml.controller.roots import InvalidRootError, declared_slots, parse_root
from tests.ml.controller.split_objects import SLOTS, root_body


@pytest.mark.parametrize("slots", [(), ("candidate-a",), ("stable", "stable")])
def test_root_is_refused_with_field_and_value_when_its_slots_are_wrong(slots: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRootError, match=rf"{SLOTS_ANNOTATION}='{','.join(slots)}'"):
        parse_root(root_body(slots))


def test_root_is_refused_when_it_names_no_model() -> None:
    body = root_body()
    del body["metadata"]["labels"][MODEL_LABEL]
    with pytest.raises(InvalidRootError, match=MODEL_LABEL):
        parse_root(body)


def test_slots_are_declared_under_the_registry_name_when_roots_make_sense() -> None:
    leaving = root_body()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    leaving["spec"]["http"][0]["match"][0]["uri"]["exact"] = "/v1/models/gone"
    nameless = root_body() | {"spec": {"http": [{"match": [{"uri": {"prefix": "/v1/models/x/"}}]}]}}
    wrong = root_body(slots=("candidate-a",))
    assert declared_slots([leaving, nameless, wrong]) == {}
    assert declared_slots([wrong, root_body(), leaving]) == {"content_quality_model": SLOTS}
