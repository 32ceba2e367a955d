"""Requests made up from the OpenAPI document: no fault of the platform, no answer that the document does not know."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from ml.api.documentation import BASE_PATH
from tests.ml.api.service import TOKENS, Service

pytestmark = pytest.mark.slow
SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
# Schemathesis' own types are generic in ways that no checker can follow.
OPENAPI: Any = schemathesis.openapi
CHECKS: list[Any] = [
    getattr(import_module(module), name)
    for module, name in (
        ("schemathesis.checks", "not_a_server_error"),
        ("schemathesis.specs.openapi.checks", "status_code_conformance"),
        ("schemathesis.specs.openapi.checks", "content_type_conformance"),
        ("schemathesis.specs.openapi.checks", "response_headers_conformance"),
        ("schemathesis.specs.openapi.checks", "response_schema_conformance"),
    )
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


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_no_answer_is_a_fault_or_undocumented_when_requests_are_made_up(service: Service, mode: Any) -> None:
    name = service.seed()
    answered: set[int] = set()

    def check(case: Any) -> None:
        if "name" in (case.path_parameters or {}) and len(answered) % 2:
            case.path_parameters["name"] = name
        response = case.call(headers={"authorization": f"Bearer {TOKENS['decide']}"})
        answered.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    api = OPENAPI.from_url(f"{service.url}{BASE_PATH}/openapi.json")
    for result in api.get_all_operations():
        requests = result.ok().as_strategy(generation_mode=mode)
        made_up = settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
        made_up(given(case=requests)(check))()
    assert answered
    assert max(answered) < 500
