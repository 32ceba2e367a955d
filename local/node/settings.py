"""The configuration files of containerd, CNI, kubelet, kube-proxy and kubeadm, built as text from a NodeConfig.

Pure: nothing here touches the machine. Paths are the node's view (layout.INSIDE).
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from local.node.config import (
    API_PORT,
    CLUSTER_DOMAIN,
    DNS_SERVICE_ADDRESS,
    HOST_ADDRESS,
    NODE_ADDRESS,
    POD_NETWORK,
    SERVICE_NETWORK,
    NodeConfig,
)
from local.node.layout import CONTAINERD_SOCKET, INSIDE, RUNTIME, Layout

_CERTIFICATE_VALIDITY = "87600h"  # ten years: nobody renews certificates of an embedded node

KERNEL_SETTINGS: dict[str, str] = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Values below /proc/sys that the kubelet insists on and would otherwise set for the whole machine."""


def containerd_toml(config: NodeConfig, cni_plugins: str, may_lower_oom_score: bool) -> str:
    """Return containerd's configuration (version 2, for containerd 1.6 and later 1.x).

    Args:
        config: the node.
        cni_plugins: folder of the CNI plugins' binaries.
        may_lower_oom_score: whether the node has CAP_SYS_RESOURCE; without it containers would fail to start.
    """
    inside = Layout(INSIDE)
    return f"""version = 2
root = "{inside.containerd}"
state = "{RUNTIME / "containerd"}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{config.pause_image}"
  restrict_oom_score_adj = {"false" if may_lower_oom_score else "true"}
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugins}"
    conf_dir = "{inside.settings / "cni"}"
"""


def cni_conflist() -> str:
    """Return the pods' network: point-to-point links, so that traffic between pods passes the node's rules.

    (On a shared bridge, answers between two pods would go around the Service address translation wherever the kernel
    lacks br_netfilter.) Leases are kept in the private /run: they end with the node, as the pods' network does.
    """
    return json.dumps(
        {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(RUNTIME / "cni"),
                        "ranges": [[{"subnet": POD_NETWORK}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                }
            ],
        },
        indent=2,
    )


def kubelet_yaml(config: NodeConfig) -> str:
    """Return the kubelet's configuration."""
    inside = Layout(INSIDE)
    return _yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(inside.pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            # The node's one serving certificate: it is valid for the node's name and address.
            "tlsCertFile": str(inside.pki / "apiserver.crt"),
            "tlsPrivateKeyFile": str(inside.pki / "apiserver.key"),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": config.cgroup,
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "clusterDNS": [DNS_SERVICE_ADDRESS],
            "clusterDomain": CLUSTER_DOMAIN,
            "resolvConf": str(inside.settings / "resolv.conf"),
            "podLogsDir": str(inside.pod_logs),
            "volumePluginDir": str(inside.kubelet / "volume-plugins"),
            "containerLogMaxSize": "10Mi",
            "containerLogMaxFiles": 3,
            "makeIPTablesUtilChains": False,
            # Images come from the build, not from a registry: one that is collected could not be pulled again.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        }
    )


def kube_proxy_yaml(config: NodeConfig) -> str:
    """Return kube-proxy's configuration. Connection tracking limits belong to the machine and stay as they are."""
    return _yaml(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "hostnameOverride": config.node_name,
            "clientConnection": {"kubeconfig": str(Layout(INSIDE).kubeconfigs / "kube-proxy.conf")},
            "clusterCIDR": POD_NETWORK,
            "oomScoreAdj": 0,
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "nodePortAddresses": ["primary"],
        }
    )


def kubeadm_yaml(config: NodeConfig, kubernetes_version: str, pki: str) -> str:
    """Return the kubeadm configuration from which certificates and kubeconfigs are made.

    Args:
        config: the node.
        kubernetes_version: for example `v1.35.0`; given so that kubeadm does not ask the internet.
        pki: folder for certificates, in the host's view since kubeadm runs there.
    """
    documents = (
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "InitConfiguration",
            "localAPIEndpoint": {"advertiseAddress": NODE_ADDRESS, "bindPort": API_PORT},
            "nodeRegistration": {
                "name": config.node_name,
                "criSocket": f"unix://{CONTAINERD_SOCKET}",
            },
        },
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "clusterName": config.node_name,
            "kubernetesVersion": kubernetes_version,
            "certificatesDir": pki,
            "encryptionAlgorithm": "ECDSA-P256",
            "certificateValidityPeriod": _CERTIFICATE_VALIDITY,
            "caCertificateValidityPeriod": _CERTIFICATE_VALIDITY,
            "controlPlaneEndpoint": f"{NODE_ADDRESS}:{API_PORT}",
            "networking": {
                "serviceSubnet": SERVICE_NETWORK,
                "podSubnet": POD_NETWORK,
                "dnsDomain": CLUSTER_DOMAIN,
            },
            "apiServer": {"certSANs": [HOST_ADDRESS, "localhost", config.node_name]},
        },
    )
    return "---\n".join(_yaml(document) for document in documents)


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)
