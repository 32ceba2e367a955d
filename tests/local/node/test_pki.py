from __future__ import annotations

from pathlib import Path

import pytest

from local.node import NodeConfig, NodeError, pki


def test_error_shows_what_kubeadm_said_when_it_fails(tmp_path: Path) -> None:
    kubeadm = tmp_path / "kubeadm"
    kubeadm.write_text("#!/bin/sh\necho no entropy >&2; exit 1\n")
    kubeadm.chmod(0o755)
    folder = tmp_path / "node"
    folder.mkdir()
    config = NodeConfig(name="local", state_dir=folder, pause_image="p:1", binaries={"kubeadm": str(kubeadm)})
    with pytest.raises(NodeError, match="kubeadm init phase certs all failed:\nno entropy"):
        pki.ensure(config, "v1.35.0")
    assert list(folder.iterdir()) == []
