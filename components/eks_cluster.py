"""The Kubernetes cluster on AWS: control plane, who may administer it, and the small node group that everything needs.

The API answers inside the network and those connected to it, unless networks outside are named. Secrets are encrypted
with a key of the stack. Nodes are Bottlerocket: a read-only root, no shell, updates as a whole; its image for GPUs has
the device plugin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent
from components._iam import pod_trust, role

_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
_SYSTEM_NAMESPACE = "kube-system"
_ROOT_DEVICE = "/dev/xvda"
_DATA_DEVICE = "/dev/xvdb"
_ROOT_GIB = 4
_NETWORK_ACCOUNT = "aws-node"
_DISK_ACCOUNT = "ebs-csi-controller-sa"
_HTTPS = 443


@dataclass(frozen=True, kw_only=True)
class SystemNodes:
    """The managed node group."""

    instance_types: tuple[str, ...]
    count: int
    volume_gib: int


@dataclass(frozen=True, kw_only=True)
class EksClusterArgs:
    """What distinguishes one cluster from another."""

    scope: AwsScope
    version: str
    cluster_role_arn: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    disk_role_arn: pulumi.Input[str]
    """What the driver of EBS disks acts as."""
    subnets: Sequence[pulumi.Input[str]]
    service_cidr: str
    api_cidrs: tuple[str, ...]
    """Networks outside that may call the API, by its public address."""
    inner_cidrs: tuple[str, ...]
    """The network itself and those connected to it, which may call the API by its private address."""
    admin_principals: tuple[str, ...]
    secrets_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]
    log_retention_days: int
    nodes: SystemNodes
    protect: bool
    """Whether AWS and Pulumi refuse to delete it."""


class EksCluster(PlatformComponent):
    """A cluster in which Pulumi and Karpenter can work."""

    cluster_name: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    """Content of a kubeconfig that holds no secret: a token is asked for whenever one is needed."""
    security_group: pulumi.Output[str]
    """The group that nodes and control plane share."""
    autoscaling_group: pulumi.Output[str]
    """Name of the system nodes' group."""
    node_group: aws.eks.NodeGroup

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args, self._scope = name, args, args.scope
        cluster = self._create_cluster(self._create_log())
        self.cluster_name = cluster.name
        self.security_group = cluster.vpc_config.cluster_security_group_id.apply(str)
        self.kubeconfig = _kubeconfig(cluster, args.scope)
        self._admit_networks()
        self._admit_administrators()
        self.node_group = self._create_nodes(self._create_networking())
        self.autoscaling_group = self.node_group.resources[0].autoscaling_groups[0].name.apply(str)
        self._create_addons()
        self.finish(clusterName=self.cluster_name, securityGroup=self.security_group)

    def _create_log(self) -> aws.cloudwatch.LogGroup:
        """The control plane would make this log by itself, and keep it unencrypted and for ever."""
        return aws.cloudwatch.LogGroup(
            f"{self._name}-log",
            name=f"/aws/eks/{self._scope.name}/cluster",
            retention_in_days=self._args.log_retention_days,
            kms_key_id=self._args.log_key_arn,
            tags=self._tags("log"),
            opts=self.child(),
        )

    def _create_cluster(self, log: aws.cloudwatch.LogGroup) -> aws.eks.Cluster:
        args = self._args
        return aws.eks.Cluster(
            self._name,
            name=args.scope.name,
            version=args.version,
            role_arn=args.cluster_role_arn,
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=list(args.subnets),
                endpoint_private_access=True,
                endpoint_public_access=bool(args.api_cidrs),
                public_access_cidrs=list(args.api_cidrs) or None,
            ),
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            encryption_config=aws.eks.ClusterEncryptionConfigArgs(
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=args.secrets_key_arn),
                resources=["secrets"],
            ),
            kubernetes_network_config=aws.eks.ClusterKubernetesNetworkConfigArgs(service_ipv4_cidr=args.service_cidr),
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            enabled_cluster_log_types=list(_LOGS),
            bootstrap_self_managed_addons=False,
            deletion_protection=args.protect,
            tags=args.scope.tagged(args.scope.name),
            opts=self.child(protect=args.protect or None, depends_on=[log]),
        )

    def _admit_networks(self) -> None:
        """Open the API's private address, which by itself lets in nobody but the nodes."""
        for cidr in self._args.inner_cidrs:
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-api-{cidr.replace('.', '-').replace('/', '-')}",
                security_group_id=self.security_group,
                description="To the Kubernetes API",
                ip_protocol="tcp",
                from_port=_HTTPS,
                to_port=_HTTPS,
                cidr_ipv4=cidr,
                tags=self._tags("api"),
                opts=self.child(),
            )

    def _admit_administrators(self) -> None:
        for principal in self._args.admin_principals:
            name = f"{self._name}-admin-{principal.partition(':iam::')[2].replace(':', '-').replace('/', '-')}"
            entry = aws.eks.AccessEntry(
                name,
                cluster_name=self.cluster_name,
                principal_arn=principal,
                tags=self._tags("admin"),
                opts=self.child(),
            )
            aws.eks.AccessPolicyAssociation(
                name,
                cluster_name=self.cluster_name,
                principal_arn=entry.principal_arn,
                policy_arn=_ADMIN_POLICY,
                access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                opts=self.child(),
            )

    def _create_networking(self) -> list[aws.eks.Addon]:
        """Declare what a node needs before it is ready, and until it is gone; without it the node group never is."""
        acting = role(
            self,
            f"{self._name}-network",
            self._scope,
            role_name=self._scope.named("network"),
            trust=pod_trust(self._scope, _SYSTEM_NAMESPACE, _NETWORK_ACCOUNT),
            managed=["AmazonEKS_CNI_Policy"],
        )
        addresses = self._create_addon(
            "vpc-cni",
            # It enforces the NetworkPolicies, by which every namespace of the platform denies what nobody asked for.
            settings={"enableNetworkPolicy": "true", "env": {"ENABLE_PREFIX_DELEGATION": "true"}},
            identity=(_NETWORK_ACCOUNT, acting.role.arn),
            # It gives addresses back as long as nodes go.
            after=acting.rights,
        )
        return [self._create_addon("kube-proxy"), self._create_addon("eks-pod-identity-agent"), addresses]

    def _create_nodes(self, needed: Sequence[pulumi.Resource]) -> aws.eks.NodeGroup:
        args, nodes = self._args, self._args.nodes
        template = self._create_template()
        return aws.eks.NodeGroup(
            f"{self._name}-system",
            cluster_name=self.cluster_name,
            # No name: with one the old nodes would go before the new come, and all at once, when a field changes that
            # AWS cannot change.
            node_role_arn=args.node_role_arn,
            subnet_ids=list(args.subnets),
            ami_type="BOTTLEROCKET_x86_64",
            capacity_type="ON_DEMAND",
            instance_types=list(nodes.instance_types),
            version=args.version,
            labels={"mlplatform.dev/pool": "system"},
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=nodes.count, max_size=nodes.count, desired_size=nodes.count
            ),
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            tags=self._tags("system"),
            opts=self.child(depends_on=needed),
        )

    def _create_template(self) -> aws.ec2.LaunchTemplate:
        nodes = self._args.nodes
        return aws.ec2.LaunchTemplate(
            f"{self._name}-system",
            name=self._scope.named("system"),
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                # One hop: a pod cannot ask for what the node may do.
                http_put_response_hop_limit=1,
            ),
            block_device_mappings=[_disk(_ROOT_DEVICE, _ROOT_GIB), _disk(_DATA_DEVICE, nodes.volume_gib)],
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=self._tags("system"))
                for kind in ("instance", "volume", "network-interface")
            ],
            update_default_version=True,
            tags=self._tags("system"),
            opts=self.child(),
        )

    def _create_addons(self) -> None:
        """Declare what runs on the nodes as pods."""
        self._create_addon("coredns", after=[self.node_group])
        self._create_addon("metrics-server", after=[self.node_group])
        self._create_addon("eks-node-monitoring-agent", after=[self.node_group])
        tags = dict(sorted(self._scope.tags.items()))
        self._create_addon(
            "aws-ebs-csi-driver",
            settings={"controller": {"extraVolumeTags": tags}},
            identity=(_DISK_ACCOUNT, self._args.disk_role_arn),
            after=[self.node_group],
        )

    def _create_addon(
        self,
        addon: str,
        *,
        settings: Mapping[str, Any] | None = None,
        identity: tuple[str, pulumi.Input[str]] | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> aws.eks.Addon:
        # No version: a preview would have to ask AWS. People raise it after the cluster's (docs/operations.md).
        return aws.eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self.cluster_name,
            addon_name=addon,
            configuration_values=json.dumps(settings) if settings else None,
            pod_identity_associations=[
                aws.eks.AddonPodIdentityAssociationArgs(service_account=identity[0], role_arn=identity[1])
            ]
            if identity
            else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=self._tags(addon),
            opts=self.child(depends_on=after),
        )

    def _tags(self, role: str) -> dict[str, str]:
        return self._scope.tagged(self._scope.named(role))


def _disk(device: str, size_gib: int) -> aws.ec2.LaunchTemplateBlockDeviceMappingArgs:
    return aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name=device,
        ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            volume_size=size_gib, volume_type="gp3", encrypted="true", delete_on_termination="true"
        ),
    )


def _kubeconfig(cluster: aws.eks.Cluster, scope: AwsScope) -> pulumi.Output[str]:
    command = ["eks", "get-token", "--cluster-name", scope.name, "--region", scope.region, "--output", "json"]

    def write(known: list[Any]) -> str:
        server, authority = known
        token = {"apiVersion": "client.authentication.k8s.io/v1", "command": "aws", "args": command}
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {"name": scope.name, "cluster": {"server": server, "certificate-authority-data": authority}}
                ],
                "users": [
                    {"name": scope.name, "user": {"exec": {**token, "interactiveMode": "Never"}}},
                ],
                "contexts": [{"name": scope.name, "context": {"cluster": scope.name, "user": scope.name}}],
                "current-context": scope.name,
            }
        )

    return pulumi.Output.all(cluster.endpoint, cluster.certificate_authority.data).apply(write)
