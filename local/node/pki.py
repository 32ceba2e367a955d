"""Certificates and kubeconfigs of a node, made by kubeadm once and kept with the node's data."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import yaml

from local.node.config import API_PORT, HOST_ADDRESS, NODE_ADDRESS, NodeConfig
from local.node.errors import NodeError
from local.node.layout import Layout
from local.node.settings import kubeadm_yaml

PROVISIONER_USER: Final = "mlplatform:provisioner"
_UNFINISHED: Final = ".pki-"
_EXTRA_USERS: Final = {"kube-proxy.conf": "system:kube-proxy", "provisioner.conf": PROVISIONER_USER}


def ensure(config: NodeConfig, kubernetes_version: str) -> None:
    """Make certificates and kubeconfigs if the node has none yet, and the host's kubeconfig for the present port.

    Made aside and moved into place, kubeconfigs first, so that an interruption leaves either all of them or none that
    count.

    Raises:
        NodeError: kubeadm failed; the message holds what it said.
    """
    layout = Layout(config.state_dir)
    for left in config.state_dir.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left)
    if not (layout.pki / "ca.crt").exists():
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=config.state_dir) as folder:
            pki, kubeconfigs = Path(folder) / "pki", Path(folder) / "kubeconfigs"
            _make(config, kubernetes_version, pki, kubeconfigs)
            for made, place in ((kubeconfigs, layout.kubeconfigs), (pki, layout.pki)):
                if place.exists():
                    shutil.rmtree(place)
                made.rename(place)
    _write_host_kubeconfig(config)


def _make(config: NodeConfig, kubernetes_version: str, pki: Path, kubeconfigs: Path) -> None:
    kubeconfigs.mkdir(mode=0o700)
    settings = pki.with_name("kubeadm.yaml")
    settings.write_text(kubeadm_yaml(config, kubernetes_version, str(pki)))
    given = ("--config", str(settings))
    _kubeadm(config, "init", "phase", "certs", "all", *given)
    _kubeadm(config, "init", "phase", "kubeconfig", "all", *given, "--kubeconfig-dir", str(kubeconfigs))
    for file_name, user in _EXTRA_USERS.items():
        text = _kubeadm(config, "kubeconfig", "user", "--client-name", user, *given)
        _write_private(kubeconfigs / file_name, text)


def _write_host_kubeconfig(config: NodeConfig) -> None:
    """Derive the host's kubeconfig from the administrator's: same credentials, the relay's address."""
    layout = Layout(config.state_dir)
    document = yaml.safe_load((layout.kubeconfigs / "admin.conf").read_text())
    inside, outside = (f"https://{NODE_ADDRESS}:{API_PORT}", f"https://{HOST_ADDRESS}:{config.api_port}")
    for entry in document["clusters"]:
        if entry["cluster"]["server"] == inside:
            entry["cluster"]["server"] = outside
    text = yaml.safe_dump(document, sort_keys=False)
    if not layout.host_kubeconfig.exists() or layout.host_kubeconfig.read_text() != text:
        temporary = layout.host_kubeconfig.with_suffix(".new")
        _write_private(temporary, text)
        temporary.replace(layout.host_kubeconfig)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _kubeadm(config: NodeConfig, *arguments: str) -> str:
    done = subprocess.run(
        [config.binaries["kubeadm"], *arguments], capture_output=True, text=True, check=False, cwd=config.state_dir
    )
    if done.returncode != 0:
        raise NodeError(f"kubeadm {' '.join(arguments[:4])} failed:\n{done.stderr.strip()}")
    return done.stdout
