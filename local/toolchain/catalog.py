"""Every tool that the embedded cluster needs: its version, where it may come from, which binaries it brings. Data only.

Tools that end up in images (`installed` is None) are never taken from PATH: an image must hold the same static binary
on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Installed:
    """How to tell whether what is on PATH fits."""

    command: tuple[str, ...]
    """Prints the version; the first word is looked up on PATH."""
    pattern: str
    """Regular expression whose first group is the version, for example `3.6.8`."""
    equal_parts: int
    """How many leading parts of the version must be equal; the whole must not be older."""


@dataclass(frozen=True)
class Release:
    """The maker's own download.

    In both addresses `{arch}` stands for the processor in Go's words, `{arch_x64}` for the same with x64 for amd64.
    """

    url: str
    """Archive (.tar.gz, .tgz), or the file itself if the address contains `{binary}`."""
    checksum_url: str
    """File that holds the sha256: alone, or on the line that ends with the archive's name."""
    members: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    """Binary -> path in the archive."""


@dataclass(frozen=True)
class ModuleFile:
    """A file that is copied out of a Go module (verified by go.sum like everything else)."""

    folder: str
    """Folder below modules/ whose go.mod pins the module."""
    module: str
    path: str


@dataclass(frozen=True)
class GoTool:
    """A tool that can be built from pinned Go modules."""

    name: str
    version: str
    packages: Mapping[str, str]
    """Binary -> Go package it is built from."""
    folder: str
    """Folder below modules/ with go.mod and go.sum."""
    link_flags: str = ""
    installed: Installed | None = None
    release: Release | None = None
    files: Mapping[str, ModuleFile] = field(default_factory=lambda: dict[str, ModuleFile]())
    """Further files that lie beside the binaries: name -> where it comes from."""
    on_demand: bool = False
    """Whether the embedded cluster comes up without it: only who names it gets it."""
    cgo: bool = False
    """Whether it calls C, so that building it takes Debian's gcc and libc6-dev; all others are static."""

    @property
    def binaries(self) -> tuple[str, ...]:
        """Names of all files that the tool consists of."""
        return (*self.packages, *self.files)


@dataclass(frozen=True)
class DebianTool:
    """A tool that is installed as a Debian package."""

    name: str
    """Name of the package."""
    paths: Mapping[str, str]
    """Binary -> where the package puts it."""
    services: tuple[str, ...] = ()
    """Services that Debian would start and enable, and that must do neither."""
    on_demand: bool = False
    """Whether the embedded cluster comes up without it: only who names it gets it."""

    @property
    def binaries(self) -> tuple[str, ...]:
        """Names of the binaries that are used."""
        return tuple(self.paths)


_KUBERNETES_VERSION: Final = "1.35.0"
_KUBERNETES_BINARIES: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubeadm",
    "kubectl",
)
_PULUMI_VERSION: Final = "3.259.0"
_PULUMI_RELEASE: Final = f"https://get.pulumi.com/releases/sdk/pulumi-v{_PULUMI_VERSION}-linux-{{arch_x64}}.tar.gz"
_PULUMI_CHECKSUMS: Final = (
    f"https://github.com/pulumi/pulumi/releases/download/v{_PULUMI_VERSION}/pulumi-{_PULUMI_VERSION}-checksums.txt"
)
_LANGUAGE_HOST_SCRIPT: Final = "pulumi-language-python-exec"
_KARPENTER_DEFINITIONS: Final = (
    ("pkg/apis/crds", "karpenter.sh_nodeclaims.yaml"),
    ("kwok/apis/crds", "karpenter.kwok.sh_kwoknodeclasses.yaml"),
)
_KEDA_MODULE: Final = "github.com/kedacore/keda/v2"
_KEDA_DEFINITIONS: Final = (
    "eventing.keda.sh_cloudeventsources.yaml",
    "eventing.keda.sh_clustercloudeventsources.yaml",
    "keda.sh_clustertriggerauthentications.yaml",
    "keda.sh_scaledjobs.yaml",
    "keda.sh_scaledobjects.yaml",
    "keda.sh_triggerauthentications.yaml",
)

GO_TOOLS: Final = (
    GoTool(
        name="etcd",
        version="3.6.8",
        packages={"etcd": "go.etcd.io/etcd/server/v3"},
        folder="etcd",
        installed=Installed(("etcd", "--version"), r"etcd Version: (\S+)", equal_parts=2),
        release=Release(
            url="https://github.com/etcd-io/etcd/releases/download/v3.6.8/etcd-v3.6.8-linux-{arch}.tar.gz",
            checksum_url="https://github.com/etcd-io/etcd/releases/download/v3.6.8/SHA256SUMS",
            members={"etcd": "etcd-v3.6.8-linux-{arch}/etcd"},
        ),
    ),
    GoTool(
        name="kubernetes",
        version=_KUBERNETES_VERSION,
        packages={name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES_BINARIES},
        folder="kubernetes",
        link_flags=(
            f"-X k8s.io/component-base/version.gitVersion=v{_KUBERNETES_VERSION} "
            "-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35"
        ),
        installed=Installed(("kubelet", "--version"), r"Kubernetes v(\S+)", equal_parts=2),
        release=Release(
            url=f"https://dl.k8s.io/v{_KUBERNETES_VERSION}/bin/linux/{{arch}}/{{binary}}",
            checksum_url=f"https://dl.k8s.io/v{_KUBERNETES_VERSION}/bin/linux/{{arch}}/{{binary}}.sha256",
        ),
    ),
    GoTool(
        name="pulumi",
        version=_PULUMI_VERSION,
        packages={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
        folder="pulumi",
        link_flags=f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={_PULUMI_VERSION}",
        installed=Installed(("pulumi", "version"), r"v?(\d\S*)", equal_parts=1),
        release=Release(_PULUMI_RELEASE, _PULUMI_CHECKSUMS, {"pulumi": "pulumi/pulumi"}),
    ),
    GoTool(
        # The newest module that still contains the language host; it works with the newer engine and SDK.
        name="pulumi-language-python",
        version="3.76.1",
        packages={"pulumi-language-python": "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"},
        folder="pulumi-language-python",
        # It comes with the engine and has no version command of its own.
        installed=Installed(("pulumi", "version"), r"v?(\d\S*)", equal_parts=1),
        release=Release(
            _PULUMI_RELEASE,
            _PULUMI_CHECKSUMS,
            {
                "pulumi-language-python": "pulumi/pulumi-language-python",
                _LANGUAGE_HOST_SCRIPT: f"pulumi/{_LANGUAGE_HOST_SCRIPT}",
            },
        ),
        files={
            _LANGUAGE_HOST_SCRIPT: ModuleFile(
                folder="pulumi",
                module="github.com/pulumi/pulumi/sdk/v3",
                path=f"python/cmd/{_LANGUAGE_HOST_SCRIPT}",
            )
        },
    ),
    GoTool(
        name="coredns",
        version="1.14.7",
        packages={"coredns": "github.com/coredns/coredns"},
        folder="coredns",
        release=Release(
            url="https://github.com/coredns/coredns/releases/download/v1.14.7/coredns_1.14.7_linux_{arch}.tgz",
            checksum_url=(
                "https://github.com/coredns/coredns/releases/download/v1.14.7/coredns_1.14.7_linux_{arch}.tgz.sha256"
            ),
            members={"coredns": "coredns"},
        ),
    ),
    # The makers of the following publish no matching binary: images only, or releases older than the pinned commit.
    GoTool(
        name="minio",
        version="20260212201848",
        packages={"minio": "github.com/minio/minio"},
        folder="minio",
    ),
    GoTool(
        name="minio-client",
        version="20250313080218",
        packages={"mc": "github.com/minio/mc"},
        folder="minio-client",
    ),
    GoTool(
        name="istio",
        version="1.30.4",
        packages={"pilot-discovery": "istio.io/istio/pilot/cmd/pilot-discovery"},
        folder="istio",
    ),
    GoTool(
        name="metrics-server",
        version="0.9.0",
        packages={"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
        folder="metrics-server",
    ),
    GoTool(
        name="oauth2-proxy",
        version="7.15.6",
        packages={"oauth2-proxy": "github.com/oauth2-proxy/oauth2-proxy/v7"},
        folder="oauth2-proxy",
        on_demand=True,
    ),
    GoTool(
        name="keda",
        version="2.20.2",
        packages={
            "keda-operator": f"{_KEDA_MODULE}/cmd/operator",
            "keda-adapter": f"{_KEDA_MODULE}/cmd/adapter",
        },
        folder="keda",
        files={
            name: ModuleFile(folder="keda", module=_KEDA_MODULE, path=f"config/crd/bases/{name}")
            for name in _KEDA_DEFINITIONS
        },
        on_demand=True,
    ),
    GoTool(
        # Karpenter's core, which the controller for AWS is built around, with a cloud whose machines are objects only.
        name="karpenter",
        version="1.14.1",
        packages={"karpenter": "sigs.k8s.io/karpenter/kwok"},
        folder="karpenter",
        files={
            name: ModuleFile(folder="karpenter", module="sigs.k8s.io/karpenter", path=f"{folder}/{name}")
            for folder, name in _KARPENTER_DEFINITIONS
        },
        on_demand=True,
    ),
    GoTool(
        # Tells the kubelet of a node's cards. It finds the functions of NVIDIA's library when it calls them: a machine
        # without a card has no such library.
        name="nvidia-device-plugin",
        version="0.19.0",
        packages={"nvidia-device-plugin": "github.com/NVIDIA/k8s-device-plugin/cmd/nvidia-device-plugin"},
        folder="nvidia-device-plugin",
        link_flags="-extldflags=-Wl,-z,lazy",
        on_demand=True,
        cgo=True,
    ),
)

DEBIAN_TOOLS: Final = (
    DebianTool(
        "containerd",
        {
            "containerd": "/usr/bin/containerd",
            "ctr": "/usr/bin/ctr",
            "containerd-shim-runc-v2": "/usr/bin/containerd-shim-runc-v2",
        },
        services=("containerd.service",),
    ),
    DebianTool("runc", {"runc": "/usr/sbin/runc"}),
    DebianTool(
        "containernetworking-plugins",
        {name: f"/usr/lib/cni/{name}" for name in ("ptp", "host-local", "loopback")},
    ),
    DebianTool("nftables", {"nft": "/usr/sbin/nft"}, services=("nftables.service",)),
    DebianTool("iproute2", {"ip": "/usr/sbin/ip"}),
    DebianTool("buildah", {"buildah": "/usr/bin/buildah"}),
    DebianTool("skopeo", {"skopeo": "/usr/bin/skopeo"}),
    DebianTool("mmdebstrap", {"mmdebstrap": "/usr/bin/mmdebstrap"}),
    DebianTool("gcc", {"gcc": "/usr/bin/gcc"}, on_demand=True),
    DebianTool("libc6-dev", {"stdlib.h": "/usr/include/stdlib.h"}, on_demand=True),
)

Tool = GoTool | DebianTool
TOOLS: Final[Mapping[str, Tool]] = {tool.name: tool for tool in (*GO_TOOLS, *DEBIAN_TOOLS)}
CLUSTER_TOOLS: Final = tuple(name for name, tool in TOOLS.items() if not tool.on_demand)
"""What the embedded cluster cannot do without."""
