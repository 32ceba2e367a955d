"""The generated definition: current, structural, and with the promises that the controller builds on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast, get_args

import jsonschema
import pytest
from hypothesis import given, settings

from local.paths import repo_root
from ml.contracts.abtest import AbTestSpec, read_spec, write_spec
from ml.contracts.abtest_status import AbTestStatus, Phase
from ml.contracts.crd import custom_resource_definition, to_yaml
from ml.contracts.structural import structural_schema
from ml.events import types as events
from tests.ml.contracts.generated import specs
from tests.ml.contracts.specs import BAD, Bad, JsonObject, good
from tests.support.schemas import KUBERNETES_VERSIONS, check_kubernetes


def schema() -> JsonObject:
    (version,) = custom_resource_definition()["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def nodes(node: JsonObject, path: str = "") -> Iterator[tuple[str, JsonObject]]:
    yield path, node
    for name, item in cast("dict[str, JsonObject]", node.get("properties", {})).items():
        yield from nodes(item, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}[]")


def as_json_schema(node: JsonObject) -> JsonObject:
    """The same schema in the newer dialect, closed, to hold documents against it without a server."""
    closed = {key: value for key, value in node.items() if not key.startswith(("x-kubernetes", "exclusive", "default"))}
    for side in ("minimum", "maximum"):
        if node.get(f"exclusive{side.capitalize()}"):
            closed[f"exclusive{side.capitalize()}"] = closed.pop(side)
    if "properties" in node:
        closed["properties"] = {name: as_json_schema(item) for name, item in node["properties"].items()}
        closed["additionalProperties"] = False
    if "items" in node:
        closed["items"] = as_json_schema(node["items"])
    return closed


def violations(part: str, document: JsonObject) -> list[str]:
    """What the definition's schema, without its rules, has against a spec or a status."""
    validator: Any = jsonschema.Draft202012Validator(as_json_schema(schema()["properties"][part]))
    return [str(error.message) for error in validator.iter_errors(document)]


def test_deployed_file_is_current_when_the_models_change() -> None:
    file = repo_root() / "components" / "crds" / "abtests.yaml"
    assert file.read_text(encoding="utf-8") == to_yaml(), (
        "run: python -m ml.contracts.crd > components/crds/abtests.yaml"
    )


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_definition_fits_kubernetes_own_schema_when_generated(version: str) -> None:
    check_kubernetes(custom_resource_definition(), version)


def test_every_node_is_structural_when_generated() -> None:
    for path, node in nodes(schema()):
        assert "type" in node, path
        assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "title"} & set(node), path
        assert not ("properties" in node and "additionalProperties" in node), path


def test_everything_that_rules_look_at_has_a_limit_when_generated() -> None:
    for path, node in nodes(schema()["properties"]["spec"]):
        if node["type"] == "array":
            assert "maxItems" in node, path
        if node["type"] == "string":
            assert "maxLength" in node or "enum" in node, path


def test_only_pausing_is_free_to_change_when_an_experiment_exists() -> None:
    free = [
        name
        for name, node in schema()["properties"]["spec"]["properties"].items()
        if not any(rule["rule"] == "self == oldSelf" for rule in node.get("x-kubernetes-validations", []))
    ]
    assert free == ["paused"]


def test_defaults_are_those_of_the_model_when_a_server_fills_them_in() -> None:
    def filled(node: JsonObject, document: Any) -> Any:
        if isinstance(document, dict):
            given = cast("JsonObject", document)
            for name, item in node.get("properties", {}).items():
                if name not in given and "default" in item:
                    given[name] = item["default"]
                if name in given:
                    given[name] = filled(item, given[name])
            return given
        return document

    least = {"model": good()["model"], "primary": good()["primary"]}
    assert filled(structural_schema(AbTestSpec), dict(least)) == write_spec(read_spec(least))


def test_phases_are_those_of_the_events_when_a_status_is_written() -> None:
    assert get_args(Phase) == get_args(events.Phase)
    assert schema()["properties"]["status"]["properties"]["phase"]["enum"] == list(get_args(events.Phase))


def test_conditions_are_merged_by_type_when_applied() -> None:
    conditions = schema()["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_full_status_fits_when_written() -> None:
    status = AbTestStatus.model_validate(
        {
            "phase": "Running",
            "message": "day 2 of 14",
            "observedGeneration": 1,
            "conditions": [
                {"type": "Admitted", "status": "True", "reason": "Fits", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            ],
            "epoch": 3,
            "weights": {"stable": 875, "candidate-a": 125},
            "candidateShare": "12.5 %",
            "samples": {"stable": 900, "candidate-a": 100},
            "requiredSample": 4053,
            "looks": 2,
            "progress": "100/4,053",
            "lastDecision": {"action": "continue", "at": "2026-01-01T00:00:00Z", "hash": "0" * 64},
            "startedAt": "2026-01-01T00:00:00Z",
        }
    )
    assert not violations("status", status.model_dump(mode="json", by_alias=True, exclude_none=True))


@settings(deadline=None, max_examples=40)
@given(specs())
def test_schema_takes_what_the_model_takes_when_a_spec_is_good(document: JsonObject) -> None:
    assert not violations("spec", write_spec(read_spec(document)))


@pytest.mark.parametrize("bad", [bad for bad in BAD if not bad.server], ids=lambda bad: bad.name)
def test_platform_is_not_asked_when_only_the_definition_speaks(bad: Bad) -> None:
    """What the table says to be beyond the server really is, or cannot be written in JSON."""
    document = bad.document()
    written = str(document)
    unwritable = "nan" in written or "inf" in written or "None" in written
    assert unwritable or not violations("spec", document)
