"""The public way in on AWS: a load balancer that ends TLS for all hosts of the domain, and the hosts' names.

It passes requests to one port of every node of the system group, where the mesh's gateway listens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent

_HTTPS = 443
_TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
_VALIDATION_TTL_SECONDS = 300
_ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class PublicAccessArgs:
    """What is reached, and by which names."""

    scope: AwsScope
    zone_id: str
    domain: str
    hosts: Mapping[str, str]
    """Full name of every host by its role."""
    vpc_id: pulumi.Input[str]
    subnets: Sequence[pulumi.Input[str]]
    """Public ones."""
    autoscaling_group: pulumi.Input[str]
    """Of the nodes on which the gateway listens."""
    node_security_group: pulumi.Input[str]
    node_port: int
    protect: bool


class PublicAccess(PlatformComponent):
    """Certificate, load balancer and names."""

    address: pulumi.Output[str]
    """The load balancer's own name."""

    def __init__(self, name: str, args: PublicAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args, self._scope = name, args, args.scope
        certificate = self._create_certificate()
        group = self._create_group()
        balancer = self._create_balancer(group)
        self._create_listener(balancer, certificate)
        for role, host in args.hosts.items():
            aws.route53.Record(
                f"{name}-{role}",
                zone_id=args.zone_id,
                name=host,
                type="A",
                aliases=[
                    aws.route53.RecordAliasArgs(
                        name=balancer.dns_name, zone_id=balancer.zone_id, evaluate_target_health=True
                    )
                ],
                opts=self.child(),
            )
        self.address = balancer.dns_name
        self.finish(address=self.address)

    def _create_certificate(self) -> pulumi.Output[str]:
        """Return the ARN of a certificate that is valid; AWS renews it as long as the proof's record stays."""
        certificate = aws.acm.Certificate(
            self._name,
            # One name for all hosts, and so one proof whatever hosts there are.
            domain_name=f"*.{self._args.domain}",
            validation_method="DNS",
            tags=self._tags("access"),
            opts=self.child(),
        )
        proof = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{self._name}-proof",
            zone_id=self._args.zone_id,
            name=proof.resource_record_name.apply(str),
            type=proof.resource_record_type.apply(str),
            records=[proof.resource_record_value.apply(str)],
            ttl=_VALIDATION_TTL_SECONDS,
            opts=self.child(),
        )
        valid = aws.acm.CertificateValidation(
            self._name,
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            opts=self.child(),
        )
        return valid.certificate_arn

    def _create_group(self) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            self._name,
            name=self._scope.named("access"),
            description="HTTPS from anywhere to the load balancer",
            vpc_id=self._args.vpc_id,
            tags=self._tags("access"),
            opts=self.child(),
        )
        aws.vpc.SecurityGroupIngressRule(
            self._name,
            security_group_id=group.id,
            description="HTTPS from anywhere",
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
            cidr_ipv4=_ANYWHERE,
            tags=self._tags("access"),
            opts=self.child(),
        )
        port = self._args.node_port
        aws.vpc.SecurityGroupEgressRule(
            self._name,
            security_group_id=group.id,
            description="To the gateway on the nodes",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            referenced_security_group_id=self._args.node_security_group,
            tags=self._tags("access"),
            opts=self.child(),
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-nodes",
            security_group_id=self._args.node_security_group,
            description="From the load balancer to the gateway",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            referenced_security_group_id=group.id,
            tags=self._tags("access"),
            opts=self.child(),
        )
        return group

    def _create_balancer(self, group: aws.ec2.SecurityGroup) -> aws.lb.LoadBalancer:
        return aws.lb.LoadBalancer(
            self._name,
            name=self._scope.named("access"),
            load_balancer_type="network",
            internal=False,
            subnets=list(self._args.subnets),
            security_groups=[group.id],
            enable_cross_zone_load_balancing=True,
            enable_deletion_protection=self._args.protect,
            tags=self._tags("access"),
            opts=self.child(),
        )

    def _create_listener(self, balancer: aws.lb.LoadBalancer, certificate: pulumi.Output[str]) -> None:
        target = aws.lb.TargetGroup(
            self._name,
            # No name: with one a new port would take the targets away from under the listener before there are others.
            port=self._args.node_port,
            protocol="TCP",
            target_type="instance",
            vpc_id=self._args.vpc_id,
            health_check=aws.lb.TargetGroupHealthCheckArgs(protocol="TCP", interval=10),
            tags=self._tags("access"),
            opts=self.child(),
        )
        aws.autoscaling.Attachment(
            self._name,
            autoscaling_group_name=self._args.autoscaling_group,
            lb_target_group_arn=target.arn,
            opts=self.child(),
        )
        aws.lb.Listener(
            self._name,
            load_balancer_arn=balancer.arn,
            port=_HTTPS,
            protocol="TLS",
            ssl_policy=_TLS_POLICY,
            certificate_arn=certificate,
            default_actions=[aws.lb.ListenerDefaultActionArgs(type="forward", target_group_arn=target.arn)],
            tags=self._tags("access"),
            opts=self.child(),
        )

    def _tags(self, role: str) -> dict[str, str]:
        return self._scope.tagged(self._scope.named(role))
