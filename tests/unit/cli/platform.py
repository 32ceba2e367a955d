"""A platform at the boundary of the process: `pulumi` and `kubectl` are scripts that answer from a table, and the
services behind the gateway are a real HTTP server. What the real ones answer is shown end to end."""

from __future__ import annotations

import base64
import json
import stat
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.web_server import QuietHandler, served

OUTPUTS: dict[str, Any] = {
    "namespace": "research",
    "domain": "example.org",
    "hosts": {role: f"{role}.example.org" for role in ("mlflow", "minio", "ml", "api")},
    "gateway": {"service": "istio-ingressgateway", "namespace": "istio-system", "address": "127.0.0.1:1"},
    "models": {
        "content_quality_model": {
            "service": "content-quality-model",
            "slots": {
                "stable": {"deployment": "content-quality-model-stable", "alias": "champion"},
                "candidate-a": {"deployment": "content-quality-model-candidate-a", "alias": "candidate-a"},
            },
            "root": "content-quality-model-root",
            "split": "content-quality-model-split",
        }
    },
    "metadataDb": {
        "service": "metadata-db",
        "port": 5432,
        "adminSecret": "metadata-db-admin",
        "consumers": {"mlflow": "metadata-db-mlflow"},
    },
    "objectStore": {
        "service": "object-store",
        "port": 9000,
        "consolePort": 9001,
        "adminSecret": "object-store-admin",
        "consumers": {"mlflow": {"secret": "object-store-mlflow", "bucket": "mlflow-artifacts"}},
    },
    "trackingServer": {"service": "tracking-server", "port": 5000, "url": "http://tracking-server:5000"},
    "controller": {"deployment": "experiment-controller"},
    "api": {"service": "api", "port": 8000, "deployment": "api", "tokenSecret": "api-tokens"},
    "prometheus": {"service": "prometheus", "port": 9090, "url": "http://prometheus:9090"},
    "images": {},
    "training": {"image": "localhost/mlplatform/training:1", "serviceAccount": "training"},
}

_TOOL = f"""#!{sys.executable} -IS
import json, os, pathlib, sys, time
folder = pathlib.Path(__file__).parent
name = pathlib.Path(__file__).name
arguments = sys.argv[1:]
with open(folder / "calls.jsonl", "a") as calls:
    stdin = sys.stdin.read() if "--filename=-" in arguments else ""
    calls.write(json.dumps({{"tool": name, "arguments": arguments, "stdin": stdin, "pid": os.getpid()}}) + "\\n")
for rule in json.loads((folder / "rules.json").read_text()):
    if rule["tool"] == name and all(word in arguments for word in rule["words"]):
        time.sleep(rule["delay_seconds"])
        sys.stdout.write(rule["stdout"])
        sys.stdout.flush()
        sys.stderr.write(rule["stderr"])
        if rule["stays"]:
            time.sleep(60)
        sys.exit(rule["exit_code"])
sys.stderr.write(f"Error from server (NotFound): no rule for {{arguments}}\\n")
sys.exit(1)
"""


@dataclass
class Web:
    """An HTTP server whose answers a test sets."""

    port: int
    answers: dict[tuple[str, str, str], tuple[int, Any]]
    """Status and JSON body by method, host name and path."""
    requests: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list[tuple[str, str, Mapping[str, str]]])
    """Method, path and headers of each request."""


class FakePlatform:
    """One platform: its connection file, its tools and its services."""

    def __init__(self, folder: Path, web: Web) -> None:
        self.folder = folder
        self.web = web
        self._rules: list[dict[str, Any]] = []
        self._bin = folder / "bin"
        self._bin.mkdir()
        for name in ("pulumi", "kubectl"):
            tool = self._bin / name
            tool.write_text(_TOOL, encoding="utf-8")
            tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        self._save()
        project = folder / "project"
        project.mkdir()
        instance = folder / "state" / "local"
        instance.mkdir(parents=True)
        self.connection_file = instance / "mlp.json"
        content = {
            "stack": "local",
            "project_dir": str(project),
            "environment": {"PATH": str(self._bin), "KUBECONFIG": str(folder / "kubeconfig")},
        }
        self.connection_file.write_text(json.dumps(content), encoding="utf-8")
        self.set_outputs()

    def set_outputs(self, **changes: Any) -> None:
        """Let `pulumi stack output` answer."""
        address = {"address": f"127.0.0.1:{self.web.port}"}
        outputs = {**OUTPUTS, "gateway": {**OUTPUTS["gateway"], **address}, **changes}
        self.rule("pulumi", "output", stdout=json.dumps(outputs))

    def rule(
        self,
        tool: str,
        *words: str,
        stdout: str = "",
        stderr: str = "",
        exit_code: int = 0,
        stays: bool = False,
        delay_seconds: float = 0,
    ) -> None:
        """Let a tool answer calls that hold all of these words; later rules win."""
        new = {
            "tool": tool,
            "words": words,
            "stdout": stdout,
            "stderr": stderr,
            "exit_code": exit_code,
            "stays": stays,
            "delay_seconds": delay_seconds,
        }
        self._rules.insert(0, new)
        self._save()

    def objects(self, *words: str, items: list[dict[str, Any]]) -> None:
        """Let `kubectl get` list objects."""
        self.rule("kubectl", "get", *words, stdout=json.dumps({"items": items}))

    def secret(self, name: str, **data: str) -> None:
        """Let the cluster hold a Secret."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.rule("kubectl", "get", "secret", name, stdout=json.dumps({"data": encoded}))

    def tunnel(self, target: str, remote_port: int) -> None:
        """Let a port of a pod or service be the web server."""
        line = f"Forwarding from 127.0.0.1:{self.web.port} -> {remote_port}\n"
        self.rule("kubectl", "port-forward", target, f":{remote_port}", stdout=line, stays=True)

    def calls(self, tool: str) -> list[dict[str, Any]]:
        """Return the calls of a tool so far."""
        file = self._bin / "calls.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [call for call in map(json.loads, lines) if call["tool"] == tool]

    def _save(self) -> None:
        (self._bin / "rules.json").write_text(json.dumps(self._rules), encoding="utf-8")


@contextmanager
def serve() -> Generator[Web]:
    """Serve on a free port of loopback."""
    web = Web(0, {})

    class Handler(QuietHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            host = self.headers.get("Host", "").partition(":")[0]
            web.requests.append((self.command, self.path, dict(self.headers)))
            status, body = web.answers.get((self.command, host, self.path), (404, {"error": "no such page"}))
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (("Content-Length", str(len(data))), ("x-served-by-slot", "stable")):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _answer

    with served(Handler) as server:
        web.port = server.server_port
        yield web
