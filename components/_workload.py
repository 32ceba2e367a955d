"""Builders of what all workloads have in common: pods that satisfy the Pod Security standard "restricted"."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components._rules import choice, integer
from components._schema import schema, setting

UNPRIVILEGED_UID = 1000
"""User of every process that does not insist on one of its own."""

CONFIG_ANNOTATION = "mlplatform.dev/config"
"""On a pod template: changes when a Secret that the pods read has changed, so that they are replaced."""

TMP_DIR = "/tmp"  # noqa: S108 a mount inside a container
_SCRIPTS = Path(__file__).parent / "scripts"
_SECRET_FILE_MODE = 0o440
GPU_RESOURCE = "nvidia.com/gpu"
ACCELERATOR_LABEL = "accelerator"
"""On a node: its card, by which pods choose it."""
SHARED_GPU_RESOURCE = f"{GPU_RESOURCE}.shared"
"""A turn on a card that several pods share."""
_SPREAD_OVER = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")

UNLISTED_SECONDS = 5
"""How long it may take until nobody sends requests to a pod that is about to go."""


@schema
class Resources:
    """What one container reserves and may use. CPU is not limited: a limit throttles it while the node is idle."""

    cpu_millis: int = setting(integer(10, 128_000, "thousandths of a core"))
    memory_mib: int = setting(integer(16, 4_194_304, "MiB reserved"))
    memory_limit_mib: int = setting(integer(16, 4_194_304, "MiB at most"))
    gpus: int = setting(integer(0, 16, "whole GPUs"), default=0)
    gpu_resource: str = setting(choice((GPU_RESOURCE, SHARED_GPU_RESOURCE)), default=GPU_RESOURCE)

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse a limit below the reservation, and two turns on a card: Kubernetes would, later and less clearly."""
        if faulty.isdisjoint({"memory_mib", "memory_limit_mib"}) and self.memory_limit_mib < self.memory_mib:
            yield "memory_limit_mib", f"at least memoryMib, which is {self.memory_mib}"
        if faulty.isdisjoint({"gpus", "gpu_resource"}) and self.gpu_resource != GPU_RESOURCE and self.gpus > 1:
            yield "gpus", f"1 where gpuResource is {SHARED_GPU_RESOURCE}: two turns may be on the same card"

    def amounts(self) -> dict[str, dict[str, str]]:
        """Return what is reserved and what is the most, as plain data."""
        gpus = {self.gpu_resource: str(self.gpus)} if self.gpus else {}
        return {
            "requests": {"cpu": f"{self.cpu_millis}m", "memory": f"{self.memory_mib}Mi", **gpus},
            "limits": {"memory": f"{self.memory_limit_mib}Mi", **gpus},
        }

    def requirements(self, claim: str | None = None) -> k8s.core.v1.ResourceRequirementsArgs:
        """Return the form that a container takes; `claim` is that of its pod by which it has its GPUs instead."""
        amounts = (self if claim is None else dataclasses.replace(self, gpus=0)).amounts()
        return k8s.core.v1.ResourceRequirementsArgs(
            requests=amounts["requests"],
            limits=amounts["limits"],
            claims=None if claim is None else [k8s.core.v1.ResourceClaimArgs(name=claim)],
        )


def container(
    name: str,
    image: str,
    resources: Resources,
    *,
    command: Sequence[str],
    args: Sequence[pulumi.Input[str]] = (),
    env: Sequence[k8s.core.v1.EnvVarArgs] = (),
    ports: Mapping[str, int] | None = None,
    mounts: Mapping[str, str] | None = None,
    read_only_mounts: Mapping[str, str] | None = None,
    liveness: k8s.core.v1.ProbeArgs | None = None,
    readiness: k8s.core.v1.ProbeArgs | None = None,
    startup: k8s.core.v1.ProbeArgs | None = None,
    drain_seconds: int = 0,
    claim: str | None = None,
) -> k8s.core.v1.ContainerArgs:
    """Return a container without privileges and with a read-only root file system.

    `ports` maps port names to numbers, the mounts map paths to volume names. A container that must go is left alone
    for `drain_seconds` first: who sends requests learns of it meanwhile, and what is in hand gets its answer. `claim`
    is the pod's claim that brings its GPUs.
    """
    volume_mounts = [
        *(k8s.core.v1.VolumeMountArgs(name=volume, mount_path=path) for path, volume in (mounts or {}).items()),
        *(
            k8s.core.v1.VolumeMountArgs(name=volume, mount_path=path, read_only=True)
            for path, volume in (read_only_mounts or {}).items()
        ),
    ]
    return k8s.core.v1.ContainerArgs(
        name=name,
        image=image,
        image_pull_policy="IfNotPresent",
        command=list(command),
        args=list(args) or None,
        env=list(env) or None,
        ports=[
            k8s.core.v1.ContainerPortArgs(name=port_name, container_port=port)
            for port_name, port in (ports or {}).items()
        ]
        or None,
        volume_mounts=volume_mounts or None,
        resources=resources.requirements(claim),
        liveness_probe=liveness,
        readiness_probe=readiness,
        startup_probe=startup,
        lifecycle=_drain(drain_seconds) if drain_seconds else None,
        security_context=k8s.core.v1.SecurityContextArgs(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=k8s.core.v1.CapabilitiesArgs(drop=["ALL"]),
        ),
    )


def pod_template(
    containers: Sequence[k8s.core.v1.ContainerArgs],
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, pulumi.Input[str]] | None = None,
    volumes: Sequence[k8s.core.v1.VolumeArgs] = (),
    uid: int = UNPRIVILEGED_UID,
    service_account: pulumi.Input[str] | None = None,
    identity: pulumi.Input[str] | None = None,
    restart_policy: str | None = None,
    grace_seconds: int = 30,
    spread: Mapping[str, str] | None = None,
    gpus: int = 0,
    accelerator: str | None = None,
    claim: k8s.core.v1.PodResourceClaimArgs | None = None,
    priority: pulumi.Input[str] | None = None,
) -> k8s.core.v1.PodTemplateSpecArgs:
    """Return a pod template that the namespace's Pod Security level "restricted" admits.

    Only a pod with a `service_account` of its own gets a token; `identity` is an account by which the cloud knows the
    pod, which gets no token for Kubernetes. `spread` are the labels of the pods that should share neither a node nor a
    zone. In `grace_seconds` everything must have ended that a container does before it goes. `accelerator` is the card
    that the node must have, `claim` what the pod gets of its node's devices.
    """
    return k8s.core.v1.PodTemplateSpecArgs(
        metadata=k8s.meta.v1.ObjectMetaArgs(labels=dict(labels), annotations=dict(annotations or {}) or None),
        spec=k8s.core.v1.PodSpecArgs(
            containers=list(containers),
            volumes=list(volumes) or None,
            service_account_name=service_account if identity is None else identity,
            automount_service_account_token=service_account is not None,
            # Service links would put one variable per Service into every process and let names collide.
            enable_service_links=False,
            restart_policy=restart_policy,
            priority_class_name=priority,
            resource_claims=None if claim is None else [claim],
            node_selector={ACCELERATOR_LABEL: accelerator} if accelerator else None,
            termination_grace_period_seconds=grace_seconds,
            topology_spread_constraints=[_spread(spread, key) for key in _SPREAD_OVER] if spread else None,
            tolerations=[k8s.core.v1.TolerationArgs(key=GPU_RESOURCE, operator="Exists", effect="NoSchedule")]
            if gpus
            else None,
            security_context=k8s.core.v1.PodSecurityContextArgs(
                run_as_non_root=True,
                run_as_user=uid,
                run_as_group=uid,
                fs_group=uid,
                fs_group_change_policy="OnRootMismatch",
                seccomp_profile=k8s.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
            ),
        ),
    )


def data_priority(namespace: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return the priority class of pods that hold data, of the platform in a namespace."""
    return pulumi.Output.concat(namespace, "-data")


def serving_priority(namespace: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return the priority class of pods that answer requests, of the platform in a namespace."""
    return pulumi.Output.concat(namespace, "-serving")


def job_spec(template: k8s.core.v1.PodTemplateSpecArgs, *, deadline_seconds: int) -> k8s.batch.v1.JobSpecArgs:
    """Return a Job that is tried again until its deadline; what it runs must be idempotent."""
    return k8s.batch.v1.JobSpecArgs(
        template=template, backoff_limit=6, active_deadline_seconds=deadline_seconds, completions=1, parallelism=1
    )


def env(name: str, value: pulumi.Input[str]) -> k8s.core.v1.EnvVarArgs:
    """Return a plain environment variable."""
    return k8s.core.v1.EnvVarArgs(name=name, value=value)


def env_from_secret(name: str, secret: pulumi.Input[str], key: str) -> k8s.core.v1.EnvVarArgs:
    """Return an environment variable whose value Kubernetes takes from a Secret."""
    return k8s.core.v1.EnvVarArgs(
        name=name,
        value_from=k8s.core.v1.EnvVarSourceArgs(
            secret_key_ref=k8s.core.v1.SecretKeySelectorArgs(name=secret, key=key),
        ),
    )


def env_from_field(name: str, path: str) -> k8s.core.v1.EnvVarArgs:
    """Return an environment variable whose value is a field of the pod."""
    return k8s.core.v1.EnvVarArgs(
        name=name,
        value_from=k8s.core.v1.EnvVarSourceArgs(field_ref=k8s.core.v1.ObjectFieldSelectorArgs(field_path=path)),
    )


def scratch_volume(name: str, size_mib: int) -> k8s.core.v1.VolumeArgs:
    """Return a volume that lives as long as its pod; the pod is evicted when it outgrows the size."""
    return k8s.core.v1.VolumeArgs(name=name, empty_dir=k8s.core.v1.EmptyDirVolumeSourceArgs(size_limit=f"{size_mib}Mi"))


def secret_volume(name: str, secret: pulumi.Input[str]) -> k8s.core.v1.VolumeArgs:
    """Return a volume with one file per key of a Secret, readable by the pod's group only."""
    return k8s.core.v1.VolumeArgs(
        name=name,
        secret=k8s.core.v1.SecretVolumeSourceArgs(secret_name=secret, default_mode=_SECRET_FILE_MODE),
    )


def http_probe(path: str, port: int | str, *, period_seconds: int, failures: int = 3) -> k8s.core.v1.ProbeArgs:
    """Return a probe that wants a 2xx or 3xx answer."""
    return k8s.core.v1.ProbeArgs(
        http_get=k8s.core.v1.HTTPGetActionArgs(path=path, port=port),
        period_seconds=period_seconds,
        timeout_seconds=5,
        failure_threshold=failures,
    )


def exec_probe(command: Sequence[str], *, period_seconds: int, failures: int = 3) -> k8s.core.v1.ProbeArgs:
    """Return a probe that wants exit code 0."""
    return k8s.core.v1.ProbeArgs(
        exec_=k8s.core.v1.ExecActionArgs(command=list(command)),
        period_seconds=period_seconds,
        timeout_seconds=5,
        failure_threshold=failures,
    )


def tcp_probe(port: int | str, *, period_seconds: int, failures: int = 3) -> k8s.core.v1.ProbeArgs:
    """Return a probe that wants the port to accept a connection."""
    return k8s.core.v1.ProbeArgs(
        tcp_socket=k8s.core.v1.TCPSocketActionArgs(port=port),
        period_seconds=period_seconds,
        timeout_seconds=5,
        failure_threshold=failures,
    )


def script(name: str) -> str:
    """Return one of the shell scripts that Jobs run."""
    return (_SCRIPTS / name).read_text(encoding="utf-8")


def _drain(seconds: int) -> k8s.core.v1.LifecycleArgs:
    # The kubelet itself waits: no image needs a shell for it.
    return k8s.core.v1.LifecycleArgs(
        pre_stop=k8s.core.v1.LifecycleHandlerArgs(sleep=k8s.core.v1.SleepActionArgs(seconds=seconds))
    )


def _spread(labels: Mapping[str, str], topology_key: str) -> k8s.core.v1.TopologySpreadConstraintArgs:
    return k8s.core.v1.TopologySpreadConstraintArgs(
        max_skew=1,
        topology_key=topology_key,
        when_unsatisfiable="ScheduleAnyway",
        label_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(labels)),
    )
