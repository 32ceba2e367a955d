"""One platform on this machine: its name, its folder, the ports it answers on."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from local import paths

DEFAULT_API_PORT = 16443
DEFAULT_GATEWAY_PORT = 8080
API_PORT_VARIABLE = "MLP_API_PORT"
GATEWAY_PORT_VARIABLE = "MLP_GATEWAY_PORT"
STACK = "local"
_PORTS_FILE = "ports.json"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """Everything that tells one platform on this machine from another."""

    name: str
    state_dir: Path
    api_port: int
    """TCP port on 127.0.0.1 where the host reaches the Kubernetes API."""
    gateway_port: int
    """TCP port on 127.0.0.1 where the host reaches the ingress gateway."""

    @classmethod
    def from_environment(cls, *, to_end: bool = False) -> Instance:
        """Read all MLP_ variables that say where and what it is; the ports of an existing instance stay as they are.

        Args:
            to_end: it will only be ended, wherever it lies and whatever is said of its ports and of the cache.

        Raises:
            ValueError: a variable, or the file with the ports, has a value that is not allowed; the message names it.
        """
        name = paths.instance_name()
        state_dir = paths.state_dir(name, checked=not to_end)
        if not to_end:
            paths.cache_dir()
        try:
            api_port, gateway_port = _ports(state_dir / _PORTS_FILE)
        except ValueError:
            if not to_end:
                raise
            api_port, gateway_port = DEFAULT_API_PORT, DEFAULT_GATEWAY_PORT
        return cls(name=name, state_dir=state_dir, api_port=api_port, gateway_port=gateway_port)

    @property
    def project_dir(self) -> Path:
        """Folder of the generated Pulumi project."""
        return self.state_dir / "project"

    @property
    def connection_file(self) -> Path:
        """File by which `mlp` finds this platform."""
        return self.state_dir / "mlp.json"

    @property
    def passphrase_file(self) -> Path:
        """File with the passphrase that encrypts the stack's secrets."""
        return self.state_dir / "passphrase"

    @property
    def node_dir(self) -> Path:
        """Folder of the embedded node."""
        return self.state_dir / "node"

    @property
    def ports(self) -> dict[str, int]:
        """Variable -> the port that it can change."""
        return {API_PORT_VARIABLE: self.api_port, GATEWAY_PORT_VARIABLE: self.gateway_port}

    @property
    def gateway_address(self) -> str:
        """Host and port of the ingress gateway as seen from this machine."""
        return f"127.0.0.1:{self.gateway_port}"

    def create_files(self) -> None:
        """Make the state folder, remember the ports and generate the passphrase, unless they exist."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.state_dir.chmod(0o755)  # pods run as other users and must be able to pass through
        ports = self.state_dir / _PORTS_FILE
        text = json.dumps({"api": self.api_port, "gateway": self.gateway_port})
        if not ports.exists() or ports.read_text(encoding="utf-8") != text:
            write_private(ports, text)
        if not self.passphrase_file.exists():
            write_private(self.passphrase_file, secrets.token_urlsafe(32))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step: it is never half there, also after a loss of power."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _ports(stored: Path) -> tuple[int, int]:
    """Return the ports of the API and of the gateway: each from its variable, else from the file, else the usual."""
    named = {variable: _port(variable) for variable in (API_PORT_VARIABLE, GATEWAY_PORT_VARIABLE)}
    usual = (DEFAULT_API_PORT, DEFAULT_GATEWAY_PORT)
    kept = usual if None not in named.values() or not stored.exists() else _stored_ports(stored)
    api, gateway = (port or other for port, other in zip(named.values(), kept, strict=True))
    if api == gateway:
        variable, other = (
            (GATEWAY_PORT_VARIABLE, API_PORT_VARIABLE)
            if named[GATEWAY_PORT_VARIABLE]
            else (API_PORT_VARIABLE, GATEWAY_PORT_VARIABLE)
        )
        raise ValueError(f"{variable}='{api}': must differ from the other port, which {other} can change")
    return api, gateway


def _stored_ports(path: Path) -> tuple[int, int]:
    try:
        found = cast("dict[str, object]", json.loads(path.read_text(encoding="utf-8")))
        api, gateway = (_allowed(str(found[key])) for key in ("api", "gateway"))
    except (ValueError, KeyError, TypeError):
        api, gateway = None, None
    if api is None or gateway is None or api == gateway:
        raise ValueError(
            f"{path}: does not hold two different ports; delete it, and name them in {API_PORT_VARIABLE} and "
            f"{GATEWAY_PORT_VARIABLE} if they were not {DEFAULT_API_PORT} and {DEFAULT_GATEWAY_PORT}"
        )
    return api, gateway


def _port(variable: str) -> int | None:
    """Return the port that a variable names, or None if it is not set."""
    text = os.environ.get(variable)
    if text is None:
        return None
    port = _allowed(text)
    if port is None:
        raise ValueError(f"{variable}={text!r}: allowed is a port from 1024 to 65535")
    return port


def _allowed(text: str) -> int | None:
    fits = text.isascii() and text.isdigit() and 1024 <= int(text) <= 65535
    return int(text) if fits else None
