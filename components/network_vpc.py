"""The network of a cluster on AWS: three zones, private nodes, and endpoints so that traffic to AWS stays inside.

Addresses are cut from one block: a quarter of it for each zone's private subnet, and a quarter of the last quarter for
each public one; the rest of it is for servers without a way out. Nothing but load balancers and NAT gateways has a
public address.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent
from components._iam import Allow, role, service_trust

_ANYWHERE = "0.0.0.0/0"
_HTTPS = 443
_ZONE_BITS = 2
_FLOW_INTERVAL_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class VpcNetworkArgs:
    """What distinguishes one network from another."""

    scope: AwsScope
    cidr: str
    zones: tuple[str, ...]
    """Letters of the zones."""
    nat_per_zone: bool
    interface_endpoints: tuple[str, ...]
    """Services that are called without leaving the network."""
    log_key_arn: pulumi.Input[str]
    log_retention_days: int


class VpcNetwork(PlatformComponent):
    """A VPC with its subnets, its ways out and its flow log."""

    vpc_id: pulumi.Output[str]
    private_subnets: list[pulumi.Output[str]]
    """Ids in the order of the zones."""
    public_subnets: list[pulumi.Output[str]]

    def __init__(self, name: str, args: VpcNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args, self._scope = name, args, args.scope
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=args.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags(name),
            opts=self.child(),
        )
        self.vpc_id = vpc.id
        # The group that every resource without one would get: it lets nothing in and nothing out.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=vpc.id, tags=self._tags(f"{name}-default"), opts=self.child()
        )
        way_out = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=vpc.id, tags=self._tags(f"{name}-internet"), opts=self.child()
        )
        self.public_subnets = self._create_public_subnets(way_out)
        self.private_subnets, tables = self._create_private_subnets(self._create_nats(way_out))
        self._create_endpoints(tables)
        self._create_flow_log()
        self.finish(vpcId=self.vpc_id, privateSubnets=self.private_subnets, publicSubnets=self.public_subnets)

    def _create_public_subnets(self, way_out: aws.ec2.InternetGateway) -> list[pulumi.Output[str]]:
        name = f"{self._name}-public"
        table = self._create_table(name)
        aws.ec2.Route(
            name,
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=way_out.id,
            opts=self.child(),
        )
        last_quarter = self._quarters()[-1]
        blocks = list(last_quarter.subnets(prefixlen_diff=_ZONE_BITS))
        tags = {"kubernetes.io/role/elb": "1"}
        return [
            self._create_subnet(f"{name}-{zone}", zone, block, table, tags)
            for zone, block in zip(self._args.zones, blocks, strict=False)
        ]

    def _create_nats(self, way_out: aws.ec2.InternetGateway) -> list[aws.ec2.NatGateway]:
        """Return the NAT gateway of each zone, which may be one and the same."""
        zones = self._args.zones if self._args.nat_per_zone else self._args.zones[:1]
        gateways: list[aws.ec2.NatGateway] = []
        # The gate: nothing has a public address before the network has a way out, which stays as long as one is used.
        opts = self.child(depends_on=[way_out])
        for zone, subnet in zip(zones, self.public_subnets, strict=False):
            name = f"{self._name}-nat-{zone}"
            address = aws.ec2.Eip(name, domain="vpc", tags=self._tags(name), opts=opts)
            gateways.append(
                aws.ec2.NatGateway(name, allocation_id=address.id, subnet_id=subnet, tags=self._tags(name), opts=opts)
            )
        return gateways if self._args.nat_per_zone else gateways * len(self._args.zones)

    def _create_private_subnets(
        self, nats: list[aws.ec2.NatGateway]
    ) -> tuple[list[pulumi.Output[str]], list[aws.ec2.RouteTable]]:
        # Karpenter finds its subnets by this tag.
        tags = {"kubernetes.io/role/internal-elb": "1", "karpenter.sh/discovery": self._scope.name}
        subnets: list[pulumi.Output[str]] = []
        tables: list[aws.ec2.RouteTable] = []
        for zone, block, nat in zip(self._args.zones, self._quarters(), nats, strict=False):
            name = f"{self._name}-private-{zone}"
            table = self._create_table(name)
            aws.ec2.Route(
                name,
                route_table_id=table.id,
                destination_cidr_block=_ANYWHERE,
                nat_gateway_id=nat.id,
                opts=self.child(),
            )
            subnets.append(self._create_subnet(name, zone, block, table, tags))
            tables.append(table)
        return subnets, tables

    def _create_table(self, name: str) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(name, vpc_id=self.vpc_id, tags=self._tags(name), opts=self.child())

    def _create_subnet(
        self, name: str, zone: str, block: IPv4Network, table: aws.ec2.RouteTable, tags: dict[str, str]
    ) -> pulumi.Output[str]:
        subnet = aws.ec2.Subnet(
            name,
            vpc_id=self.vpc_id,
            cidr_block=str(block),
            availability_zone=f"{self._scope.region}{zone}",
            map_public_ip_on_launch=False,
            tags={**self._tags(name), **tags},
            opts=self.child(),
        )
        aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self.child())
        return subnet.id

    def _create_endpoints(self, tables: list[aws.ec2.RouteTable]) -> None:
        aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            service_name=f"com.amazonaws.{self._scope.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=self._tags(f"{self._name}-s3"),
            opts=self.child(),
        )
        if not self._args.interface_endpoints:
            return
        group = self._create_endpoint_group()
        for service in self._args.interface_endpoints:
            name = f"{self._name}-{service.replace('.', '-')}"
            aws.ec2.VpcEndpoint(
                name,
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{self._scope.region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=self.private_subnets,
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags=self._tags(name),
                opts=self.child(),
            )

    def _create_endpoint_group(self) -> aws.ec2.SecurityGroup:
        name = f"{self._name}-endpoints"
        group = aws.ec2.SecurityGroup(
            name,
            name=self._scope.named(name),
            description="HTTPS from inside the network to private endpoints of AWS",
            vpc_id=self.vpc_id,
            tags=self._tags(name),
            opts=self.child(),
        )
        aws.vpc.SecurityGroupIngressRule(
            name,
            security_group_id=group.id,
            description="HTTPS from the network",
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
            cidr_ipv4=self._args.cidr,
            tags=self._tags(name),
            opts=self.child(),
        )
        return group

    def _create_flow_log(self) -> None:
        name = f"{self._name}-flow"
        log_name = f"/aws/vpc/{self._scope.name}/flow"
        log = aws.cloudwatch.LogGroup(
            name,
            name=log_name,
            retention_in_days=self._args.log_retention_days,
            kms_key_id=self._args.log_key_arn,
            tags=self._tags(name),
            opts=self.child(),
        )
        writer = role(
            self,
            name,
            self._scope,
            role_name=self._scope.named("flow-log"),
            trust=service_trust("vpc-flow-logs.amazonaws.com", self._scope.account_id),
            allowed=[
                Allow(
                    sid="WriteFlows",
                    actions=["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                    resources=[self._scope.arn("logs", f"log-group:{log_name}:*")],
                ),
            ],
        ).role
        aws.ec2.FlowLog(
            name,
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination=log.arn,
            iam_role_arn=writer.arn,
            max_aggregation_interval=_FLOW_INTERVAL_SECONDS,
            tags=self._tags(name),
            opts=self.child(),
        )

    @property
    def isolated_cidrs(self) -> tuple[str, ...]:
        """Blocks for subnets without a way out, in the order of the zones; who needs some makes them."""
        rest = list(self._quarters()[-1].subnets(prefixlen_diff=_ZONE_BITS))[-1]
        blocks = rest.subnets(prefixlen_diff=_ZONE_BITS)
        return tuple(str(block) for _, block in zip(self._args.zones, blocks, strict=False))

    def _quarters(self) -> list[IPv4Network]:
        return list(IPv4Network(self._args.cidr).subnets(prefixlen_diff=_ZONE_BITS))

    def _tags(self, name: str) -> dict[str, str]:
        return self._scope.tagged(self._scope.named(name))
