"""REST requests that TensorFlow Serving refuses, with status codes and messages."""

from __future__ import annotations

from tests.support.tfserving_target import TEXT, Target, error_of, rows


def refuses_what_is_no_json(target: Target) -> None:
    """The parser's message says what is wrong and where."""
    assert error_of(target.predict(b""), 400).startswith("JSON Parse error: The document is empty")
    assert error_of(target.predict(b"instances = [1, 2]"), 400).startswith(
        "JSON Parse error: Invalid value. at offset: "
    )
    assert "Missing a closing quotation mark in string." in error_of(target.predict(b'{"instances'), 400)
    assert "Missing a comma or } after an object member." in error_of(target.predict(b'{"a": 1 "b": 2}'), 400)
    assert "Missing a comma or ] after an array element." in error_of(target.predict(b'{"instances": ["a" "b"]}'), 400)
    assert "must not be followed by other values" in error_of(target.predict(b"{} {}"), 400)
    assert error_of(target.predict(b"[1]"), 400).endswith("Is not object")


def refuses_a_request_without_tensors(target: Target) -> None:
    """Exactly one of `instances` and `inputs` must be there, and hold something."""
    assert error_of(target.predict({}), 400) == "Missing 'inputs' or 'instances' key"
    both = error_of(target.predict({"instances": [TEXT], "inputs": [TEXT]}), 400)
    assert "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist" in both
    assert "Excepting 'instances' to be an list/array" in error_of(target.predict({"instances": TEXT}), 400)
    assert "No values in 'instances' array" in error_of(target.predict({"instances": []}), 400)


def refuses_values_of_another_type(target: Target) -> None:
    """A number, truth value or null is no string; the message names element and key."""
    message = error_of(target.predict(rows(TEXT, 5)), 400)
    assert message.startswith("Failed to process element: 1 key: input of 'instances' list. Error: INVALID_ARGUMENT: ")
    assert message.endswith("JSON Value: 5 Type: Number is not of expected type: string")
    assert "Type: Null is not of expected type: string" in error_of(target.predict(rows(None)), 400)
    assert "Type: Number is not of expected type: string" in error_of(target.predict({"inputs": [1.5]}), 400)


def refuses_unknown_and_missing_names(target: Target) -> None:
    """Named rows must have exactly the signature's inputs."""
    unknown = error_of(target.predict({"instances": [{"text": TEXT}]}), 400)
    assert unknown.endswith("JSON object: does not have named input: text")
    assert error_of(target.predict(b'{"instances": [{}]}'), 400).endswith("must only have keys: input")
    assert (
        error_of(target.predict({"inputs": {"text": [TEXT]}}), 400) == "Missing named input: input in 'inputs' object."
    )


def refuses_mixed_and_ragged_rows(target: Target) -> None:
    """All rows have the first one's form and shape."""
    assert error_of(target.predict({"instances": [{"input": TEXT}, TEXT]}), 400) == (
        "Expecting object but got list at item 1 of input list"
    )
    assert error_of(target.predict({"instances": [TEXT, {"input": TEXT}]}), 400) == (
        "Expecting value/list but got object at item 1 of input list"
    )
    ragged = error_of(target.predict({"inputs": [["a"], ["b", "c"]]}), 400)
    assert ragged == "Encountered list at unexpected size: 2 at level: 1 expected size: 1"


def refuses_bad_base64(target: Target) -> None:
    """Base64 must be the only key, and decode."""
    assert "Unable to base64 decode" in error_of(target.predict({"inputs": [{"b64": "*"}]}), 400)
    two_keys = {"inputs": [{"b64": "YQ==", "x": 1}]}
    assert "not formatted correctly for base64 data" in error_of(target.predict(two_keys), 400)


def refuses_unknown_signatures(target: Target) -> None:
    """A signature's name must be a string that the model has."""
    unknown = error_of(target.predict({"signature_name": "other", **rows(TEXT)}), 400)
    assert unknown == 'Serving signature name: "other" not found in signature def'
    number = error_of(target.predict({"signature_name": 100}), 400)
    assert number.endswith("not formatted correctly. 'signature_name' key must be a string value.")


def refuses_unknown_models_versions_and_labels(target: Target) -> None:
    """What is not served is 404, an unknown label 400."""
    missing = target.post("/v1/models/nothing_of_that_name:predict", rows(TEXT))
    assert error_of(missing, 404) == "Servable not found for request: Latest(nothing_of_that_name)"
    version = error_of(target.predict(rows(TEXT), "/versions/987654"), 404)
    assert version == f"Servable not found for request: Specific({target.model}, 987654)"
    label = error_of(target.predict(rows(TEXT), "/labels/no_such_label"), 400)
    assert label == "Unrecognized servable version label: no_such_label"


def refuses_malformed_paths(target: Target) -> None:
    """The message repeats method and path."""
    for method, path in (
        ("GET", f"/v1/models/{target.model}:predict"),
        ("GET", "/v1/foo"),
        ("GET", f"/v1/models/debug/{target.model}"),
        ("POST", f"/v1/models/{target.model}"),
        ("POST", f"/v1/models/{target.model}/metadata"),
        ("POST", f"/v1/models/{target.model}/version/50:predict"),
        ("POST", f"/v1/models/{target.model}/versions/HELLO:predict"),
        ("POST", f"/v1/models/{target.model}/versions/1/labels/x:predict"),
    ):
        response = target.get(path) if method == "GET" else target.post(path, rows(TEXT))
        assert error_of(response, 400) == f"Malformed request: {method} {path}"
    huge = target.predict(rows(TEXT), f"/versions/{2**64 - 1}")
    assert error_of(huge, 400) == f"Failed to convert version: {2**64 - 1} to numeric."


def refuses_to_classify_and_regress_without_such_a_signature(target: Target) -> None:
    """The platform's signatures are for predict only."""
    for action, kind in (("classify", "classification"), ("regress", "regression")):
        response = target.post(f"/v1/models/{target.model}:{action}", {"examples": [{"input": TEXT}]})
        assert error_of(response, 400) == (
            f"Expected {kind} signature method_name to be tensorflow/serving/{action}. Was: tensorflow/serving/predict"
        )
        assert "key 'examples' is expected and was not found" in error_of(
            target.post(f"/v1/models/{target.model}:{action}", {}), 400
        )


def knows_nothing_outside_the_api(target: Target) -> None:
    """Other paths are 404."""
    assert target.get("/").status_code == 404
    assert target.get("/index.html").status_code == 404
