"""One platform on this machine: its name, its folder, the ports it answers on."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from local import paths

DEFAULT_API_PORT = 16443
DEFAULT_GATEWAY_PORT = 8080
STACK = "local"


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
    def from_environment(cls) -> Instance:
        """Read MLP_INSTANCE, MLP_API_PORT and MLP_GATEWAY_PORT; the ports of an existing instance stay as they are.

        Raises:
            ValueError: a variable has a value that is not allowed; the message names all of it.
        """
        name = paths.instance_name()
        state_dir = paths.state_dir(name)
        stored = _stored_ports(state_dir / "ports.json")
        return cls(
            name=name,
            state_dir=state_dir,
            api_port=_port("MLP_API_PORT", stored.get("api", DEFAULT_API_PORT)),
            gateway_port=_port("MLP_GATEWAY_PORT", stored.get("gateway", DEFAULT_GATEWAY_PORT)),
        )

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
    def gateway_address(self) -> str:
        """Host and port of the ingress gateway as seen from this machine."""
        return f"127.0.0.1:{self.gateway_port}"

    def create_files(self) -> None:
        """Make the state folder, remember the ports and generate the passphrase, unless they exist."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.state_dir.chmod(0o755)  # pods run as other users and must be able to pass through
        (self.state_dir / "ports.json").write_text(
            json.dumps({"api": self.api_port, "gateway": self.gateway_port}), encoding="utf-8"
        )
        if not self.passphrase_file.exists():
            write_private(self.passphrase_file, secrets.token_urlsafe(32))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step: it is never half there."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    temporary.replace(path)


def _stored_ports(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {key: int(stored[key]) for key in ("api", "gateway")}


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not text.isdigit() or not 1024 <= int(text) <= 65535:
        raise ValueError(f"{variable}={text!r}: allowed is a port from 1024 to 65535")
    return int(text)
