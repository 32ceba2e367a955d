"""A real API server that knows the kind `ABTest`."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml

from local import toolchain
from local.paths import repo_root
from tests.local.provider.control_plane import ControlPlane, control_plane

JsonObject = dict[str, Any]
COLLECTION = "/apis/mlplatform.dev/v1alpha1/namespaces/default/abtests"
_ACCOUNT = "tester"


@dataclass(frozen=True)
class Server:
    """An API server, and what a client that writes `ABTest` objects sends to it."""

    plane: ControlPlane
    http: httpx.Client

    def create(self, name: str, spec: object, *, dry_run: bool = False) -> httpx.Response:
        """Create an experiment as kubectl does: unknown fields are refused."""
        document = {
            "apiVersion": "mlplatform.dev/v1alpha1",
            "kind": "ABTest",
            "metadata": {"name": name},
            "spec": spec,
        }
        params = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self.http.post(COLLECTION, json=document, params=params)

    def change(self, name: str, document: JsonObject, *, status: bool = False) -> httpx.Response:
        """Merge something into an experiment, or into its status."""
        return self.http.patch(
            f"{COLLECTION}/{name}{'/status' if status else ''}",
            json=document,
            headers={"Content-Type": "application/merge-patch+json"},
        )


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A control plane with the definition as it is deployed."""
    tools = toolchain.ensure(["etcd", "kubernetes"])
    with control_plane(tmp_path_factory.mktemp("control-plane"), tools) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(repo_root() / "components" / "crds" / "abtests.yaml"))
        plane.kubectl("wait", "--for=condition=Established", "crd/abtests.mlplatform.dev", "--timeout=30s")
        plane.kubectl("create", "serviceaccount", _ACCOUNT)
        plane.kubectl(
            "create",
            "clusterrolebinding",
            _ACCOUNT,
            "--clusterrole=cluster-admin",
            f"--serviceaccount=default:{_ACCOUNT}",
        )
        token = plane.kubectl("create", "token", _ACCOUNT).strip()
        target = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]
        trust = ssl.create_default_context(cadata=base64.b64decode(target["certificate-authority-data"]).decode())
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=target["server"], verify=trust, headers=headers, trust_env=False) as http:
            yield Server(plane, http)
