"""A Kubernetes API with Istio's kinds, as a person with all rights sees it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.paths import repo_root
from local.provider.kubeclient import KubeClient
from ml.contracts import GATEWAY_NAMESPACE, MODEL_LABEL, SLOT_LABEL, SLOTS_ANNOTATION, TRAFFIC_ROLE_LABEL
from ml.kubernetes import JsonObject

NAMESPACE = "research"
ACCOUNT = "experiment-controller"
KIND = "virtualservices.networking.istio.io"
TEST_KIND = "abtests.mlplatform.dev"

# The rules are those that components/experiment_controller.py declares.
_OBJECTS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}}}
---
apiVersion: v1
kind: Namespace
metadata: {{name: {GATEWAY_NAMESPACE}}}
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
- {{apiGroups: [mlplatform.dev], resources: [abtests], verbs: [get, list, watch]}}
- {{apiGroups: [mlplatform.dev], resources: [abtests/status], verbs: [patch]}}
- {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}}
- {{apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [{ACCOUNT}], verbs: [get, update]}}
- {{apiGroups: [""], resources: [pods], verbs: [get, list]}}
- {{apiGroups: [batch], resources: [jobs], verbs: [list]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {ACCOUNT}, namespace: {GATEWAY_NAMESPACE}}}
rules:
- {{apiGroups: [""], resources: [pods], verbs: [get, list]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {ACCOUNT}, namespace: {GATEWAY_NAMESPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {ACCOUNT}}}
subjects: [{{kind: ServiceAccount, name: {ACCOUNT}, namespace: {NAMESPACE}}}]
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
    client: KubeClient
    """For what is looked at again and again: a kubectl takes a tenth of a second of CPU time to start."""

    def kubectl(self, *arguments: str, stdin: str | None = None, namespace: str = NAMESPACE) -> str:
        """Run kubectl; a failure is a test failure."""
        in_namespace = [f"--namespace={namespace}"] if namespace else []
        command = [str(self.kubectl_binary), f"--kubeconfig={self.kubeconfig}", *in_namespace, *arguments]
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
        crds.append(yaml.safe_load((repo_root() / "components" / "crds" / "abtests.yaml").read_text(encoding="utf-8")))
        self.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(crds))
        self.kubectl("wait", "--for=condition=Established", f"crd/{KIND}", f"crd/{TEST_KIND}", "--timeout=30s")
        self.kubectl("apply", "--filename=-", stdin=_OBJECTS, namespace="")

    def token(self) -> str:
        """Return a bearer token of the controller's account."""
        return self.kubectl("create", "token", ACCOUNT).strip()

    def find(self, name: str) -> JsonObject | None:
        """Return a VirtualService, or None."""
        return self.client.find(f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices/{name}")

    def get_test(self, name: str) -> JsonObject:
        """Return an ABTest."""
        return self.client.get(f"/apis/mlplatform.dev/v1alpha1/namespaces/{NAMESPACE}/abtests/{name}")

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
                "http": [
                    {
                        "name": "root",
                        "match": [{"uri": {"exact": f"/v1/models/{model.replace('-', '_')}"}}],
                        "delegate": {"name": f"{model}-split"},
                    }
                ],
            },
        }
        self.kubectl("apply", "--server-side", "--field-manager=pulumi", "--filename=-", stdin=json.dumps(body))

    def put_pod(
        self, name: str, labels: dict[str, str], ip: str, *, ready: bool = True, namespace: str = NAMESPACE
    ) -> None:
        """Create a pod that no node runs, and say what a kubelet would say about it."""
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [{"name": "main", "image": "example.org/none"}], "terminationGracePeriodSeconds": 0},
        }
        self.kubectl("create", "--filename=-", stdin=json.dumps(body), namespace=namespace)
        self.set_pod(name, ip, ready=ready, namespace=namespace)

    def set_pod(self, name: str, ip: str, *, ready: bool, namespace: str = NAMESPACE) -> None:
        """Say what a kubelet would say about a pod."""
        status = {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        }
        self.kubectl(
            *("patch", "pod", name, "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status})),
            namespace=namespace,
        )

    def put_slot_pod(self, model: str, slot: str, ip: str, *, ready: bool = True) -> None:
        """Create a pod of a model's slot."""
        self.put_pod(f"{model}-{slot}-{ip.replace('.', '-')}", {MODEL_LABEL: model, SLOT_LABEL: slot}, ip, ready=ready)

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


def eventually(condition: Callable[[], bool], what: str, within_seconds: float = 120.0) -> None:
    """Wait for a condition; not meeting it in time is a test failure."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_seconds:g} s: {what}"
        time.sleep(0.2)
