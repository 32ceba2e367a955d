"""What adds nodes to a cluster on AWS when pods wait, and removes them when they idle: Karpenter.

It hears from AWS through a queue that a machine is about to go, and empties it before. The chart is Karpenter's own;
its definitions are a chart of their own, so that they are there before any pool and go after the last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components._aws import AwsScope
from components._base import PlatformComponent
from components._iam import document, pod_identity, pod_trust, role
from components._karpenter_rights import karpenter_rights
from components._versions import mirrored

_NAMESPACE = "kube-system"
_ACCOUNT = "karpenter"
_REPOSITORY = "public.ecr.aws/karpenter"
_VERSION = "1.14.1"
_NODE_ROLE = "node"
_QUEUE_KEPT_SECONDS = 300
_EVENTS: Mapping[str, Mapping[str, list[str]]] = {
    "spot": {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]},
    "rebalance": {"source": ["aws.ec2"], "detail-type": ["EC2 Instance Rebalance Recommendation"]},
    "state": {"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"]},
    "health": {"source": ["aws.health"], "detail-type": ["AWS Health Event"]},
}


@dataclass(frozen=True, kw_only=True)
class NodeProvisionerArgs:
    """What Karpenter needs to know."""

    scope: AwsScope
    cluster: pulumi.Input[str]
    node_role: pulumi.Input[str]
    """Name of the role of nodes."""
    replicas: int
    image_mirror: str | None = None
    """Below which chart and image lie; None takes them from their makers."""
    node_overlays: bool = False
    """Whether pools may announce what their nodes will have; Karpenter 1.14 calls that an experiment."""


class NodeProvisioner(PlatformComponent):
    """Karpenter with its rights, its queue and what its nodes run as."""

    instance_profile: pulumi.Output[str]
    """What nodes run as, by name."""
    release: k8s.helm.v3.Release

    def __init__(self, name: str, args: NodeProvisionerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args, self._scope = name, args, args.scope
        profile = aws.iam.InstanceProfile(
            f"{name}-nodes",
            name=self._scope.named(_NODE_ROLE),
            role=args.node_role,
            tags=self._tags(_NODE_ROLE),
            opts=self.child(),
        )
        self.instance_profile = profile.name
        self._queue = self._scope.named("interruptions")
        queue = self._create_queue()
        self.release = self._create_release(queue, self._create_identity())
        self.finish(instanceProfile=self.instance_profile, queue=self._queue)

    def _create_queue(self) -> aws.sqs.Queue:
        name = f"{self._name}-interruptions"
        queue = aws.sqs.Queue(
            name,
            name=self._queue,
            message_retention_seconds=_QUEUE_KEPT_SECONDS,
            sqs_managed_sse_enabled=True,
            tags=self._tags("interruptions"),
            opts=self.child(),
        )
        aws.sqs.QueuePolicy(name, queue_url=queue.url, policy=self._queue_policy(), opts=self.child())
        for event, pattern in _EVENTS.items():
            rule = aws.cloudwatch.EventRule(
                f"{self._name}-{event}",
                name=self._scope.named(f"interruption-{event}"),
                description="Tells Karpenter that a machine is about to go",
                event_pattern=json.dumps(pattern),
                tags=self._tags(event),
                opts=self.child(),
            )
            aws.cloudwatch.EventTarget(
                f"{self._name}-{event}", rule=rule.name, target_id="queue", arn=queue.arn, opts=self.child()
            )
        return queue

    def _queue_policy(self) -> str:
        queue = self._scope.arn("sqs", self._queue)
        deliver = {
            "Sid": "Deliver",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"StringEquals": {"aws:SourceAccount": self._scope.account_id}},
        }
        encrypted_only = {
            "Sid": "EncryptedOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": queue,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return document([deliver, encrypted_only])

    def _create_identity(self) -> list[pulumi.Resource]:
        """Declare what Karpenter acts as; return all that must be there while it runs."""
        acting = role(
            self,
            self._name,
            self._scope,
            role_name=self._scope.named(_ACCOUNT),
            trust=pod_trust(self._scope, _NAMESPACE, _ACCOUNT),
            allowed=karpenter_rights(self._scope, queue=self._queue, node_role=_NODE_ROLE),
        )
        identity = pod_identity(
            self,
            self._name,
            self._scope,
            cluster=self._args.cluster,
            namespace=_NAMESPACE,
            account=_ACCOUNT,
            role=acting.role,
        )
        return [identity, *acting.rights]

    def _create_release(self, queue: aws.sqs.Queue, identity: Sequence[pulumi.Resource]) -> k8s.helm.v3.Release:
        repository = mirrored(_REPOSITORY, self._args.image_mirror)
        definitions = k8s.helm.v3.Release(
            f"{self._name}-definitions",
            name="karpenter-crd",
            chart=f"oci://{repository}/karpenter-crd",
            version=_VERSION,
            namespace=_NAMESPACE,
            opts=self.child(),
        )
        return k8s.helm.v3.Release(
            self._name,
            name=_ACCOUNT,
            chart=f"oci://{repository}/karpenter",
            version=_VERSION,
            namespace=_NAMESPACE,
            skip_crds=True,
            values=self._values(queue, repository),
            # It asks AWS as soon as it starts, and who a pod is gets decided when the pod is made. When the stack goes,
            # it has machines to end, and needs its rights until the last one is gone.
            opts=self.child(depends_on=[definitions, *identity]),
        )

    def _values(self, queue: aws.sqs.Queue, repository: str) -> dict[str, Any]:
        # Tag and digest are the chart's own.
        image = {"image": {"repository": f"{repository}/controller"}} if self._args.image_mirror else {}
        return {
            "replicas": self._args.replicas,
            "serviceAccount": {"name": _ACCOUNT},
            "settings": {"clusterName": self._args.cluster, "interruptionQueue": queue.name, **self._gates()},
            # Not on nodes of its own making, which it might remove.
            "nodeSelector": {"mlplatform.dev/pool": "system", "kubernetes.io/os": "linux"},
            "controller": {
                **image,
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            },
        }

    def _gates(self) -> dict[str, Any]:
        return {"featureGates": {"nodeOverlay": True}} if self._args.node_overlays else {}

    def _tags(self, role: str) -> dict[str, str]:
        return self._scope.tagged(self._scope.named(role))
