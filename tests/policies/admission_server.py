"""Asks an API server what it makes of an object."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import httpx

from policies import _kinds
from policies._examples import MANIFESTS
from policies._paths import changed
from tests.local.provider.control_plane import ControlPlane

_RULE = re.compile(r"ValidatingAdmissionPolicy '[^']+' with binding '[^']+'(?: denied request)?: ([a-z-]+):")
_API = "admissionregistration.k8s.io/v1"
_IN_FORCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an API server said."""

    status: int
    message: str
    rules: frozenset[str]
    """Those that it named, in a refusal or in warnings."""
    errors: tuple[str, ...]
    """Expressions that could not be evaluated, in its words."""


def create(
    server: ControlPlane, manifest: Mapping[str, Any], *, dry_run: bool = True, user: str = "system:admin"
) -> Answer:
    """Create an object as somebody, or only have the API server judge it."""
    return _ask(server, "POST", _url(manifest), manifest, dry_run=dry_run, user=user)


def change(server: ControlPlane, manifest: Mapping[str, Any], patch: Mapping[str, Any], *, user: str) -> Answer:
    """Merge a change into an object as somebody, by dry run."""
    path = f"{_url(manifest)}/{manifest['metadata']['name']}"
    return _ask(server, "PATCH", path, patch, dry_run=True, user=user)


def _ask(
    server: ControlPlane, method: str, path: str, content: Mapping[str, Any], *, dry_run: bool, user: str
) -> Answer:
    groups = "system:masters"  # may do everything, so that only admission can refuse
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    client = cast("httpx.Client", vars(server.client)["_http"])
    response = client.request(
        method,
        path,
        params={"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})},
        content=json.dumps(content),
        headers={"Content-Type": kind, "Impersonate-User": user, "Impersonate-Group": groups},
    )
    message = str(response.json().get("message", ""))
    texts = [message, *(warning.replace('\\"', '"') for warning in response.headers.get_list("warning"))]
    return Answer(
        status=response.status_code,
        message=message,
        rules=frozenset(found for text in texts for found in _RULE.findall(text)),
        errors=tuple(text for text in texts if "resulted in error" in text),
    )


def apply(server: ControlPlane, manifests: Sequence[Mapping[str, Any]]) -> None:
    """Make objects."""
    for manifest in manifests:
        path = f"{_url(manifest)}/{manifest['metadata']['name']}"
        server.client.apply(path, json.loads(json.dumps(manifest)), force=True)


def warn_everywhere(policies: Sequence[Mapping[str, Any]], prefix: str) -> list[dict[str, Any]]:
    """Return policies with bindings that warn of every broken rule; a refusal would name one of them only."""
    made: list[dict[str, Any]] = []
    for policy in policies:
        metadata = {"name": f"{prefix}-{policy['name']}"}
        binding = {"policyName": metadata["name"], "validationActions": ["Warn"]}
        made.append(
            {"apiVersion": _API, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": policy["spec"]}
        )
        made.append({"apiVersion": _API, "kind": f"{made[-1]['kind']}Binding", "metadata": metadata, "spec": binding})
    return made


def await_in_force(server: ControlPlane, probe: Mapping[str, Any], rule: str, *, refused: bool = True) -> None:
    """Wait until the API server judges by new policies, which takes it a moment: refuses a probe, or warns of it."""
    deadline = time.monotonic() + _IN_FORCE_SECONDS
    while True:
        answer = create(server, probe)
        if rule in answer.rules and (answer.status == HTTPStatus.UNPROCESSABLE_ENTITY) is refused:
            return
        assert time.monotonic() < deadline, f"{rule} is not in force: {answer}"
        time.sleep(0.2)


def remove_policies(server: ControlPlane) -> None:
    """Remove all policies and wait until the API server judges by none."""
    server.kubectl("delete", "validatingadmissionpolicybindings,validatingadmissionpolicies", "--all")
    probe = changed(MANIFESTS["PersistentVolume"], {"spec.persistentVolumeReclaimPolicy": "Delete"})
    deadline = time.monotonic() + _IN_FORCE_SECONDS
    while (answer := create(server, probe)).rules:
        assert time.monotonic() < deadline, f"still in force: {answer}"
        time.sleep(0.2)


def _url(manifest: Mapping[str, Any]) -> str:
    api_version, kind = str(manifest["apiVersion"]), str(manifest["kind"])
    full_kind = _kinds.of_manifest(api_version, kind)
    plurals = {
        "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
        "ServiceEntry": "serviceentries",
        "PriorityClass": "priorityclasses",
    }
    plural = plurals.get(kind) or (
        f"{kind.lower()}s" if full_kind not in _kinds.SERVED_AS else _kinds.SERVED_AS[full_kind][1]
    )
    base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    namespace = manifest["metadata"].get("namespace")
    return f"{base}/namespaces/{namespace}/{plural}" if namespace else f"{base}/{plural}"
