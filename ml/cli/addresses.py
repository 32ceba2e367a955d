"""`mlp open`: every address of the platform and how to reach it."""

from __future__ import annotations

import ipaddress
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.contracts import EXPERIMENTS_PATH

_UNKNOWN_ADDRESS: Final = "GATEWAY_ADDRESS"
_LOGIN: Final = ("username", "password")
_SCOPES: Final = ("read", "write", "decide")
_MLFLOW: Final = "mlflow"
_PAGES: Final = (("MLflow", _MLFLOW), ("object store console", "minio"))
"""What only a stack that lets somebody open it has a host for."""
_PROMETHEUS: Final = "Prometheus (alerts at /alerts, or at /api/v1/alerts where it has no pages)"
"""Debian's build, which the embedded platform runs, has none."""
_EXAMPLE: Final = '{"instances": [{"input": "test data"}]}'


@dataclass(frozen=True, kw_only=True)
class Address:
    """Something that answers behind the gateway."""

    name: str
    url: str
    """What to type in a browser once this machine knows the host names."""
    curl: str
    """A command that works without that."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """How to log in to something."""

    name: str
    secret: str
    """Kubernetes Secret that holds it."""
    commands: Mapping[str, str]
    """Command that prints a field, by field."""
    values: Mapping[str, str]
    """The fields themselves; empty unless they were asked for."""


@dataclass(frozen=True, kw_only=True)
class Directory:
    """All there is to reach."""

    gateway: str
    scheme: str
    hosts_line: str
    """Line for /etc/hosts; empty where the gateway's address is a name, which only DNS can lead to."""
    addresses: tuple[Address, ...]
    tunnels: Mapping[str, str]
    """Command that opens what is not behind the gateway, by name."""
    credentials: tuple[Credential, ...]

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)

    def as_lines(self) -> list[str]:
        """Return it as text; every command stands on a line of its own."""
        lines = [f"The gateway answers at {self.scheme}://{self.gateway}", ""]
        for address in self.addresses:
            lines += [address.name, f"  {address.url}", f"  {address.curl}", ""]
        if self.hosts_line:
            lines += ["For a browser on this machine, add this line to /etc/hosts", f"  {self.hosts_line}", ""]
        for name, command in self.tunnels.items():
            lines += [f"{name}, while this runs", f"  {command}", ""]
        for credential in self.credentials:
            lines.append(f"{credential.name} (Secret {credential.secret})")
            if credential.values:
                lines += [f"  {field}: {value}" for field, value in credential.values.items()]
            else:
                lines += [f"  {field}: {command}" for field, command in credential.commands.items()]
            lines.append("")
        return lines[:-1]


async def directory(kubectl: Kubectl, outputs: StackOutputs, *, show_secrets: bool) -> Directory:
    """Collect what there is to reach; Secrets are read only when they are to be shown."""
    store, administrator = outputs.object_store, outputs.metadata_db.admin_secret
    logins = {
        **({"object store administrator": (store.admin_secret, _LOGIN)} if store else {}),
        **({"PostgreSQL administrator": (administrator, _LOGIN)} if administrator else {}),
        **({"tokens for API and experiments page": (outputs.api_tokens, _SCOPES)} if outputs.api_tokens else {}),
    }
    return Directory(
        gateway=outputs.gateway.address or _UNKNOWN_ADDRESS,
        scheme="https" if outputs.gateway.tls else "http",
        hosts_line=_hosts_line(outputs),
        addresses=tuple(_addresses(outputs)),
        tunnels=_tunnels(kubectl, outputs),
        credentials=tuple(
            [
                await _credential(kubectl, outputs.namespace, name, secret, fields, show=show_secrets)
                for name, (secret, fields) in logins.items()
            ]
        ),
    )


def _addresses(outputs: StackOutputs) -> list[Address]:
    gateway = outputs.gateway.address or _UNKNOWN_ADDRESS
    port = gateway.rpartition(":")[2] if ":" in gateway else "80"
    suffix = "" if port == "80" else f":{port}"

    def address(name: str, host: str, path: str, data: str = "") -> Address:
        body = f" -d {shlex.quote(data)}" if data else ""
        if outputs.gateway.tls:
            url = f"https://{outputs.hosts[host]}{path}"
            return Address(name=name, url=url, curl=f"curl{body} {url}")
        return Address(
            name=name,
            url=f"http://{outputs.hosts[host]}{suffix}{path}",
            curl=f"curl -H 'Host: {outputs.hosts[host]}'{body} http://{gateway}{path}",
        )

    return [
        *(address(name, host, "/") for name, host in _PAGES if host in outputs.hosts),
        address("experiments page", "api", f"{EXPERIMENTS_PATH}/ui"),
        address("API, described in OpenAPI", "api", f"{EXPERIMENTS_PATH}/openapi.json"),
        *(address(f"model {model}", "ml", f"/v1/models/{model}:predict", _EXAMPLE) for model in outputs.models),
    ]


def _hosts_line(outputs: StackOutputs) -> str:
    try:
        host = urlsplit(f"//{outputs.gateway.address}").hostname or ""
        return f"{ipaddress.ip_address(host)} {' '.join(outputs.hosts.values())}"
    except ValueError:
        return ""


def _tunnels(kubectl: Kubectl, outputs: StackOutputs) -> dict[str, str]:
    store, database, registry = outputs.object_store, outputs.metadata_db, outputs.tracking_server
    prometheus, has_page = outputs.prometheus, _MLFLOW in outputs.hosts
    targets = {
        **({_PROMETHEUS: (outputs.namespace, prometheus.service, prometheus.port)} if prometheus else {}),
        **({} if has_page else {"MLflow": (outputs.namespace, registry.service, registry.port)}),
        **({"PostgreSQL": (outputs.namespace, database.service, database.port)} if database.service else {}),
        **({"S3": (outputs.namespace, store.service, store.port)} if store else {}),
    }
    if pipelines := outputs.pipelines:
        targets["Kubeflow Pipelines' API"] = (pipelines.namespace, pipelines.service, pipelines.port)
    return {
        name: _shown(kubectl, "port-forward", "--namespace", namespace, f"service/{service}", str(port))
        for name, (namespace, service, port) in targets.items()
    }


async def _credential(
    kubectl: Kubectl, namespace: str, name: str, secret: str, fields: tuple[str, ...], *, show: bool
) -> Credential:
    values = await kubectl.secret(namespace, secret) if show else {}
    return Credential(
        name=name,
        secret=secret,
        commands={
            field: _shown(
                kubectl, "get", "secret", "--namespace", namespace, secret, "-o", f"jsonpath={{.data.{field}}}"
            )
            + " | base64 -d"
            for field in fields
        },
        values={field: values[field] for field in fields if field in values},
    )


def _shown(kubectl: Kubectl, *arguments: str) -> str:
    """Return a command line to copy into a shell that knows neither the kubeconfig nor, perhaps, kubectl."""
    kubeconfig = kubectl.environment.get("KUBECONFIG")
    prefix = f"KUBECONFIG={shlex.quote(kubeconfig)} " if kubeconfig else ""
    name, *rest = kubectl.command(*arguments)
    own = None if shutil.which(name) else shutil.which(name, path=kubectl.environment.get("PATH"))
    return prefix + shlex.join([own or name, *rest])
