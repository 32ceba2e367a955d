"""The process that provides the volumes of storage class `standard`.

Looks at everything again whenever a claim changes and every few seconds, so it needs no memory of its own: killed at
any moment, the next one completes what was begun.
"""

from __future__ import annotations

import argparse
import contextlib
import http
import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import httpx

from local.node import kubeapi
from local.node.volumes import PROVISIONER, Action, Object, Provision, Refuse, Release, plan

_CLAIMS: Final = "/api/v1/persistentvolumeclaims"
_VOLUMES: Final = "/api/v1/persistentvolumes"
_LOOK_AGAIN_SECONDS: Final = 5
_RETRY_SECONDS: Final = 2.0
_DELETED: Final = ".deleted-"


class Provisioner:
    """Carries out what volumes.plan says."""

    def __init__(self, client: httpx.Client, node_name: str, folder: Path) -> None:
        self._client = client
        self._node_name = node_name
        self._folder = folder
        self._refused: set[str] = set()

    def run(self) -> None:
        """Work for ever. Errors of the API server are logged, and tried again."""
        for path in self._folder.glob(f"{_DELETED}*"):
            shutil.rmtree(path)
        while True:
            try:
                self._wait_for_change(self.reconcile())
            except httpx.HTTPError as error:
                print(f"API server: {error}", flush=True)
                time.sleep(_RETRY_SECONDS)

    def reconcile(self) -> str:
        """Do what is due now; return the version of the list of claims that it was derived from.

        Raises:
            httpx.HTTPError: the API server does not answer or refuses.
        """
        claims, volumes = self._list(_CLAIMS), self._list(_VOLUMES)
        for action in plan(claims["items"], volumes["items"], self._node_name, self._folder):
            self._do(action)
        return str(claims["metadata"]["resourceVersion"])

    def _do(self, action: Action) -> None:
        match action:
            case Provision():
                (self._folder / action.name).mkdir(mode=0o755, exist_ok=True)
                answer = self._client.post(_VOLUMES, json=action.volume)
                if answer.status_code != http.HTTPStatus.CONFLICT:
                    answer.raise_for_status()
                print(f"provided {action.name}", flush=True)
            case Release():
                self._remove_folder(action.name)
                answer = self._client.delete(f"{_VOLUMES}/{action.name}")
                if answer.status_code != http.HTTPStatus.NOT_FOUND:
                    answer.raise_for_status()
                print(f"removed {action.name}", flush=True)
            case Refuse():
                self._refuse(action)

    def _remove_folder(self, name: str) -> None:
        # Renamed first: a folder under its own name is never half removed.
        doomed = self._folder / f"{_DELETED}{name}"
        with contextlib.suppress(FileNotFoundError):
            (self._folder / name).rename(doomed)
            shutil.rmtree(doomed)

    def _refuse(self, action: Refuse) -> None:
        """Record an event at the claim, once per claim as long as this process runs."""
        metadata = action.claim["metadata"]
        if metadata["uid"] in self._refused:
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._client.post(
            f"/api/v1/namespaces/{metadata['namespace']}/events",
            json={
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
                "involvedObject": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": metadata["namespace"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
                "type": "Warning",
                "reason": "ProvisioningFailed",
                "message": action.reason,
                "source": {"component": PROVISIONER},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
            },
        ).raise_for_status()
        self._refused.add(metadata["uid"])

    def _list(self, path: str) -> dict[str, Any]:
        answer = self._client.get(path)
        answer.raise_for_status()
        return cast("dict[str, Any]", answer.json())

    def _wait_for_change(self, version: str) -> None:
        """Return after the first change of a claim, or after some seconds: volumes change later than their claims."""
        parameters: dict[str, str] = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_LOOK_AGAIN_SECONDS),
        }
        timeout = httpx.Timeout(10.0, read=2.0 * _LOOK_AGAIN_SECONDS)
        with self._client.stream("GET", _CLAIMS, params=parameters, timeout=timeout) as stream:
            stream.raise_for_status()
            for line in stream.iter_lines():
                event = cast("Object", json.loads(line))
                if event["type"] != "BOOKMARK":
                    return


def main() -> None:
    """Read the command line and work for ever."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--volumes", type=Path, required=True)
    parser.add_argument("--node-name", required=True)
    options = parser.parse_args()
    with kubeapi.connect(options.kubeconfig) as client:
        Provisioner(client, options.node_name, options.volumes).run()


if __name__ == "__main__":
    main()
