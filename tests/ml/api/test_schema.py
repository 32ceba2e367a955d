"""Requests made up from the OpenAPI document: no fault of the platform, no answer that the document does not know."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ml.api.documentation import BASE_PATH
from tests.ml.api.service import SPEC, TOKENS, Service

pytestmark = pytest.mark.slow
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def document(service: Service) -> dict[str, Any]:
    with service.client(None) as client:
        return client.get(f"{BASE_PATH}/openapi.json").raise_for_status().json()


def operations(service: Service) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document(service)["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_says_who_may_ask_and_what_it_answers_when_documented(service: Service) -> None:
    found = operations(service)
    assert len(found) == 10
    for path, method, operation in found:
        assert operation["security"][0]["bearer"], (path, method)
        assert operation["summary"], (path, method)
        statuses = set(operation["responses"])
        assert {"401", "403", "422", "429", "500", "503"} <= statuses, (path, method)
        assert method == "get" or {"400", "409", "413", "415"} <= statuses, (path, method)
        for status, response in operation["responses"].items():
            kinds = set(response.get("content", {}))
            assert kinds == (
                {"application/problem+json"} if status >= "4" else set() if status == "304" else {"application/json"}
            )


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_answer_is_a_fault_or_undocumented_when_requests_are_made_up(service: Service, mode: str) -> None:
    service.seed("known")
    with service.client("write") as client:
        client.post(BASE_PATH, json={"name": "taken", "spec": SPEC})
    api = schemathesis.openapi.from_url(f"{service.url}{BASE_PATH}/openapi.json")
    modes = [schemathesis.GenerationMode.POSITIVE if mode == "positive" else schemathesis.GenerationMode.NEGATIVE]
    headers = {"authorization": f"Bearer {TOKENS['decide']}"}
    answered: set[int] = set()
    for result in api.get_all_operations():
        operation = result.ok()

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        def check(case: Any) -> None:
            response = case.call(headers=headers)
            answered.add(response.status_code)
            case.validate_response(response, checks=CHECKS)

        from hypothesis import given

        given(case=operation.as_strategy(generation_mode=modes[0]))(check)()
    assert answered
    assert max(answered) < 500
