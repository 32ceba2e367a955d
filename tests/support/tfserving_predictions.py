"""REST requests for predictions that TensorFlow Serving answers."""

from __future__ import annotations

import base64

from tests.support.tfserving_target import OTHER_TEXT, TEXT, Target, rows


def answers_rows(target: Target) -> None:
    """Each instance gets one prediction, in order; several outputs make each prediction an object."""
    one, two = target.predict(rows(TEXT)), target.predict(rows(TEXT, OTHER_TEXT))
    assert one.status_code == 200, one.text
    assert one.headers["content-type"] == "application/json"
    assert list(one.json()) == ["predictions"]
    assert len(one.json()["predictions"]) == 1
    assert len(two.json()["predictions"]) == 2
    assert two.json()["predictions"][0] == one.json()["predictions"][0]


def answers_plain_rows_alike(target: Target) -> None:
    """With a single input its name may be left out."""
    assert target.predict({"instances": [TEXT]}).json() == target.predict(rows(TEXT)).json()


def answers_columns(target: Target) -> None:
    """`inputs` is answered with `outputs`, named or not when the model has one input."""
    columns = target.predict({"inputs": [TEXT, OTHER_TEXT]})
    assert columns.status_code == 200, columns.text
    assert list(columns.json()) == ["outputs"]
    assert target.predict({"inputs": {"input": [TEXT, OTHER_TEXT]}}).json() == columns.json()
    by_row = target.predict(rows(TEXT, OTHER_TEXT)).json()["predictions"]
    if isinstance(by_row[0], dict):
        assert {name: [row[name] for row in by_row] for name in by_row[0]} == columns.json()["outputs"]


def decodes_base64(target: Target) -> None:
    """`{"b64": ...}` stands for the decoded bytes, in both forms of a row, padded or not."""
    encoded = base64.b64encode(TEXT.encode()).decode()
    plain = target.predict(rows(TEXT)).json()
    assert target.predict(rows({"b64": encoded})).json() == plain
    assert target.predict(rows({"b64": encoded.rstrip("=")})).json() == plain
    assert target.predict({"instances": [{"b64": encoded}]}).json() == plain


def takes_any_bytes(target: Target) -> None:
    """A string need not be UTF-8, nor short."""
    for data in (b"", b"\xff\xfe\x00", b"word " * 20_000):
        response = target.predict(rows({"b64": base64.b64encode(data).decode()}))
        assert response.status_code == 200, response.text


def answers_a_version(target: Target) -> None:
    """A version may be named in the path."""
    response = target.predict(rows(TEXT), f"/versions/{target.version()}")
    assert response.json() == target.predict(rows(TEXT)).json()


def takes_a_signature_name(target: Target) -> None:
    """The default signature may be named."""
    response = target.predict({"signature_name": "serving_default", **rows(TEXT)})
    assert response.json() == target.predict(rows(TEXT)).json()


def ignores_letter_case_of_the_path(target: Target) -> None:
    """`/V1/Models/...:Predict` is the same path, apart from the model's name."""
    assert target.post(f"/V1/Models/{target.model}:predict", rows(TEXT)).status_code == 200
