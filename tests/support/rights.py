"""What an API server lets somebody do, in its own words."""

from __future__ import annotations

import functools
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import httpx

from local.provider import kubeconfig
from local.provider.kubeclient import KubeClient
from tests.support.api_server import run

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_KUBECONFIG = "--kubeconfig="


class Rights:
    """Asks as `kubectl auth can-i` does, but without a process for each question."""

    def __init__(self, http: httpx.Client, kubectl: Sequence[str]) -> None:
        self._http, self._kubectl = http, kubectl

    def may(
        self, user: str, verb: str, resource: str, *, namespace: str, groups: Sequence[str] = (), subresource: str = ""
    ) -> bool:
        """Tell whether somebody may do something with `kind.group` or `kind/name`; no namespace stands for all.

        Nobody may anything with a kind that the server does not know, so asking for one is a failure.
        """
        kind, _, name = resource.partition("/")
        assert kind in self._kinds, f"the API server knows no {kind}"
        plural, _, group = kind.partition(".")
        attributes = {"verb": verb, "group": group, "resource": plural, "name": name, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**attributes, "subresource": subresource}},
        }
        who = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
        answer = self._http.post(_REVIEWS, json=review, headers=who)
        assert answer.is_success, answer.text
        status: dict[str, Any] = answer.json()["status"]
        assert "evaluationError" not in status, status
        return bool(status["allowed"])

    @functools.cached_property
    def _kinds(self) -> set[str]:
        done = run(self._kubectl, "api-resources", "--output=name")
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())


@contextmanager
def rights_at(kubectl: Sequence[str]) -> Generator[Rights]:
    """Yield the rights at the API server that a command of kubectl asks."""
    (file,) = (word.removeprefix(_KUBECONFIG) for word in kubectl if word.startswith(_KUBECONFIG))
    client = KubeClient(kubeconfig.load(file))
    try:
        yield Rights(cast("httpx.Client", vars(client)["_http"]), kubectl)
    finally:
        client.close()
