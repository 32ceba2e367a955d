"""Inputs completed and judged."""

from __future__ import annotations

from typing import Any

import pytest

from local.provider import objects
from local.provider.checking import Naming, completed, identity_from_token, problems, token_problem
from local.provider.values import UNKNOWN, Object, Secret

_NAMING = Naming(base="web", seed=b"seed")


def _inputs(**metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def _with_annotation(key: str, value: Any) -> Object:
    return _inputs(name="x", annotations={key: value})


def test_a_name_is_generated_and_marked_when_there_is_none() -> None:
    inputs = completed(_inputs(), {}, _NAMING, "")

    assert objects.name(inputs).startswith("web-")
    assert objects.is_annotated_true(inputs, objects.AUTONAMED_ANNOTATION)


def test_a_generated_name_is_kept_when_the_object_already_has_one() -> None:
    first = completed(_inputs(), {}, _NAMING, "")

    assert objects.name(completed(_inputs(), first, Naming(base="web", seed=b"other"), "")) == objects.name(first)


def test_a_new_name_is_generated_when_the_old_one_was_given() -> None:
    assert objects.name(completed(_inputs(), _inputs(name="given"), _NAMING, "")) != "given"


def test_a_given_name_stays_when_there_is_one() -> None:
    inputs = completed(_inputs(name="given"), {}, _NAMING, "")

    assert inputs == _inputs(name="given")


def test_an_unknown_name_stays_when_previewing() -> None:
    assert completed(_inputs(name=UNKNOWN), {}, _NAMING, "")["metadata"] == {"name": UNKNOWN}


def test_the_stacks_own_name_is_used_when_it_proposes_one() -> None:
    naming = Naming(base="web", seed=b"", proposed="team-web-1")

    assert objects.name(completed(_inputs(), {}, naming, "")) == "team-web-1"


def test_a_missing_name_is_a_problem_when_names_may_not_be_generated() -> None:
    inputs = completed(_inputs(), {}, Naming(base="web", seed=b"", is_disabled=True), "")

    assert [key for key, _ in problems(inputs)] == ["metadata.name"]


def test_the_default_namespace_is_filled_in_when_none_is_given() -> None:
    assert objects.namespace(completed(_inputs(name="x"), {}, _NAMING, "team")) == "team"
    assert objects.namespace(completed(_inputs(name="x", namespace="own"), {}, _NAMING, "team")) == "own"


def test_the_data_of_a_secret_is_marked_when_the_program_does_not() -> None:
    inputs = {**_inputs(name="x"), "kind": "Secret", "data": {"a": "eA=="}, "stringData": {"b": "plain"}}

    checked = completed(inputs, {}, _NAMING, "")

    assert isinstance(checked["data"], Secret)
    assert isinstance(checked["stringData"], Secret)
    assert problems(checked) == []


@pytest.mark.parametrize(
    ("inputs", "place", "reason"),
    [
        ({"kind": "Pod", "metadata": {"name": "x"}}, "apiVersion", "a text is required"),
        ({"apiVersion": "v1", "kind": 3, "metadata": {"name": "x"}}, "kind", "3: a text is required"),
        (_inputs(name="x", generateName="y-"), "metadata.generateName", "leave the name out"),
        (_with_annotation("pulumi.com/waitFor", "x"), 'metadata.annotations["pulumi.com/waitFor"]', "it knows pulumi"),
        (_with_annotation("a", True), 'metadata.annotations["a"]', "True: a text is required"),
        (_with_annotation(objects.TIMEOUT_ANNOTATION, "soon"), "metadata.annotations", "'soon': allowed is a number"),
        (_with_annotation(objects.TIMEOUT_ANNOTATION, "0"), "metadata.annotations", "above 0"),
        (_with_annotation(objects.PROPAGATION_ANNOTATION, "x"), "metadata.annotations", "'x': allowed are background"),
    ],
)
def test_wrong_inputs_are_named_with_their_place_when_checked(inputs: Object, place: str, reason: str) -> None:
    found = problems(inputs)

    assert [key for key, _ in found] == [place]
    assert reason in found[0][1]


def test_known_annotations_are_accepted_when_valid() -> None:
    annotations = {
        objects.SKIP_AWAIT_ANNOTATION: "true",
        objects.TIMEOUT_ANNOTATION: "1.5",
        objects.PROPAGATION_ANNOTATION: "Orphan",
        objects.FORCE_ANNOTATION: "true",
        "example.org/unknown": UNKNOWN,
    }

    assert problems(_inputs(name="x", annotations=annotations)) == []


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("kubernetes:helm.sh/v3:Release", "no charts"),
        ("kubernetes:yaml/v2:ConfigFile", "YAML files"),
        ("kubernetes:kustomize/v2:Directory", "kustomizations"),
        ("kubernetes:core/v1:ConfigMapPatch", "no *Patch resources"),
        ("kubernetes:core/v1:ConfigMapList", "lists cannot be declared"),
    ],
)
def test_types_beyond_plain_objects_are_refused_when_asked_for(token: str, reason: str) -> None:
    problem = token_problem(token)

    assert problem is not None
    assert token in problem
    assert reason in problem


def test_plain_types_are_accepted_when_asked_for() -> None:
    assert token_problem("kubernetes:apps/v1:Deployment") is None
    assert token_problem("kubernetes:networking.istio.io/v1:VirtualService") is None


def test_api_version_and_kind_are_found_when_only_the_type_is_known() -> None:
    assert identity_from_token("kubernetes:core/v1:Pod") == {"apiVersion": "v1", "kind": "Pod"}
    assert identity_from_token("kubernetes:apps/v1:Deployment") == {"apiVersion": "apps/v1", "kind": "Deployment"}
