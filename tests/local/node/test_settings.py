from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from local.node import settings
from local.node.config import NodeConfig
from local.node.layout import INSIDE

CONFIG = NodeConfig(name="local", state_dir=Path("/srv/node"), pause_image="localhost/pause:1")


@pytest.mark.parametrize("may_lower", [True, False])
def test_containerd_restricts_oom_scores_when_the_node_may_not_lower_them(may_lower: bool) -> None:
    parsed = tomllib.loads(settings.containerd_toml(CONFIG, "/usr/lib/cni", may_lower))
    runtime = parsed["plugins"]["io.containerd.grpc.v1.cri"]
    assert runtime["restrict_oom_score_adj"] is not may_lower
    assert runtime["sandbox_image"] == "localhost/pause:1"
    assert runtime["cni"]["bin_dir"] == "/usr/lib/cni"
    assert Path(parsed["root"]).is_relative_to(INSIDE)
    assert not Path(parsed["state"]).is_relative_to(INSIDE), "sockets and mounts must end with the node"


def test_leases_end_with_the_node_when_pods_get_addresses() -> None:
    (plugin,) = json.loads(settings.cni_conflist())["plugins"]
    assert not Path(plugin["ipam"]["dataDir"]).is_relative_to(INSIDE)


def test_kubelet_keeps_to_its_own_control_group_and_collects_no_image() -> None:
    parsed = cast("dict[str, Any]", yaml.safe_load(settings.kubelet_yaml(CONFIG)))
    assert parsed["cgroupRoot"] == CONFIG.cgroup
    assert parsed["imageGCHighThresholdPercent"] == 100
    assert parsed["authentication"]["anonymous"] == {"enabled": False}
    assert parsed["authorization"] == {"mode": "Webhook"}


def test_kube_proxy_changes_no_setting_of_the_machine() -> None:
    conntrack = yaml.safe_load(settings.kube_proxy_yaml(CONFIG))["conntrack"]
    assert conntrack == {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}


def test_certificate_is_valid_for_the_host_address_when_kubeadm_makes_it() -> None:
    text = settings.kubeadm_yaml(CONFIG, "v1.35.0", "/srv/node/pki")
    cluster = next(item for item in yaml.safe_load_all(text) if item["kind"] == "ClusterConfiguration")
    assert "127.0.0.1" in cluster["apiServer"]["certSANs"]
    assert cluster["kubernetesVersion"] == "v1.35.0", "else kubeadm asks the internet"
    assert cluster["certificatesDir"] == "/srv/node/pki"
