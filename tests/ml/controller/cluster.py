"""A Kubernetes API with Istio's kinds, as a person with all rights sees it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from local.paths import repo_root
from ml.contracts import MODEL_LABEL, SLOTS_ANNOTATION, TRAFFIC_ROLE_LABEL
from ml.controller.splits import JsonObject

NAMESPACE = "research"
ACCOUNT = "experiment-controller"
KIND = "virtualservices.networking.istio.io"

# The rules are those that components/experiment_controller.py declares.
_OBJECTS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {ACCOUNT}, namespace: {NAMESPACE}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {ACCOUNT}, namespace: {NAMESPACE}}}
rules:
- {{apiGroups: [networking.istio.io], resources: [virtualservices], verbs: [get, list, watch, create, patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {ACCOUNT}, namespace: {NAMESPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {ACCOUNT}}}
subjects: [{{kind: ServiceAccount, name: {ACCOUNT}, namespace: {NAMESPACE}}}]
"""


@dataclass(frozen=True)
class Cluster:
    """The API of a control plane."""

    kubectl_binary: Path
    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl; a failure is a test failure."""
        command = [str(self.kubectl_binary), f"--kubeconfig={self.kubeconfig}", f"--namespace={NAMESPACE}", *arguments]
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
        return done.stdout

    def install(self) -> None:
        """Create Istio's kind for routes, the namespace, and the controller's account with its rights."""
        crds = [
            document
            for file in sorted((repo_root() / "local" / "node" / "crds").glob("*.yaml"))
            for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
            if document and document["metadata"]["name"] == KIND
        ]
        self.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(crds))
        self.kubectl("wait", "--for=condition=Established", f"crd/{KIND}", "--timeout=30s")
        self.kubectl("apply", "--filename=-", stdin=_OBJECTS)

    def token(self) -> str:
        """Return a bearer token of the controller's account."""
        return self.kubectl("create", "token", ACCOUNT).strip()

    def find(self, name: str) -> JsonObject | None:
        """Return a VirtualService, or None."""
        text = self.kubectl("get", KIND, name, "--output=json", "--ignore-not-found", "--show-managed-fields")
        return cast("JsonObject", json.loads(text)) if text else None

    def put_root(self, model: str, slots: str) -> None:
        """Create or change a root as the infrastructure program does."""
        body: dict[str, Any] = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {
                "name": f"{model}-root",
                "labels": {TRAFFIC_ROLE_LABEL: "root", MODEL_LABEL: model},
                "annotations": {SLOTS_ANNOTATION: slots},
            },
            "spec": {
                "hosts": ["ml.example.org"],
                "http": [{"name": "root", "delegate": {"name": f"{model}-split"}}],
            },
        }
        self.kubectl("apply", "--server-side", "--field-manager=pulumi", "--filename=-", stdin=json.dumps(body))

    def weights(self, model: str) -> dict[str, int]:
        """Return the weights of a model's split; empty when there is none."""
        split = self.find(f"{model}-split")
        if split is None:
            return {}
        return {it["destination"]["subset"]: it["weight"] for it in split["spec"]["http"][0]["route"]}

    def set_weights(self, model: str, *weights: int) -> None:
        """Change the weights as an experiment does."""
        patch = [
            {"op": "replace", "path": f"/spec/http/0/route/{index}/weight", "value": weight}
            for index, weight in enumerate(weights)
        ]
        self.kubectl("patch", KIND, f"{model}-split", "--type=json", "--patch", json.dumps(patch))


def eventually(condition: Callable[[], bool], what: str, within_seconds: float = 30.0) -> None:
    """Wait for a condition; not meeting it in time is a test failure."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_seconds:g} s: {what}"
        time.sleep(0.2)
