"""The relational store's server where AWS runs it: PostgreSQL in a network of its own, encrypted, with a past.

The other choice for the server of `components.metadata_db`; what the platform keeps of it in its namespace is
`components.metadata_db_managed`. Its subnets have no way out: nothing but the cluster's nodes reaches it, and it
reaches nobody. Every moment of the last days can be restored; docs/operations.md says how.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent
from ml.contracts import POSTGRES_PORT

AUTHORITY = "rds-ca-rsa2048-g1"
"""Who signs the server's certificate; the authorities that the settings name must have it for the stack's region."""
QUIET_PARAMETERS = {
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
}
"""Statements stay out of the log: some set passwords, and the administrator is no superuser who could turn the log off
for them. Slow statements are seen in Database Insights."""
_TLS_PARAMETERS = {
    "rds.force_ssl": "1",
    "password_encryption": "scram-sha-256",
    "rds.accepted_password_auth_method": "scram",
}
_LOGS = ("postgresql", "upgrade")
_INSIGHTS_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class MetadataDbRdsArgs:
    """What distinguishes one server from another."""

    scope: AwsScope
    vpc_id: pulumi.Input[str]
    zones: tuple[str, ...]
    """Letters of the zones."""
    cidrs: tuple[str, ...]
    """Address blocks of its subnets, in the order of the zones."""
    node_security_group: pulumi.Input[str]
    """Group of the nodes, and so of the pods."""
    administrator: str
    password: pulumi.Output[str]
    """The administrator's; a secret."""
    key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]
    log_retention_days: int
    instance_class: str
    engine_version: str
    storage_gib: int
    maximum_storage_gib: int
    max_connections: int
    backup_days: int
    backup_window: str
    maintenance_window: str
    multi_az: bool
    protect: bool
    """Whether AWS and Pulumi refuse to delete it; otherwise it goes without a last snapshot."""


class MetadataDbRds(PlatformComponent):
    """A PostgreSQL server that has no database but its own."""

    host: pulumi.Output[str]
    """The name that its certificate is for."""
    instance: pulumi.Output[str]
    """Its identifier, known at once."""

    def __init__(self, name: str, args: MetadataDbRdsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args, self._scope = name, args, args.scope
        self._full_name = args.scope.named(name)
        subnets = self._create_subnets()
        group = self._create_security_group()
        instance = self._create_instance(subnets, group, self._create_parameters(), self._create_logs())
        self.host, self.instance = instance.address, instance.identifier
        self.finish(host=self.host, instance=self.instance)

    def _create_subnets(self) -> aws.rds.SubnetGroup:
        args = self._args
        # A table without routes: packets go to the network's own addresses and nowhere else.
        table = aws.ec2.RouteTable(self._name, vpc_id=args.vpc_id, tags=self._tags(), opts=self.child())
        subnets: list[pulumi.Output[str]] = []
        for zone, cidr in zip(args.zones, args.cidrs, strict=True):
            name = f"{self._name}-{zone}"
            subnet = aws.ec2.Subnet(
                name,
                vpc_id=args.vpc_id,
                cidr_block=cidr,
                availability_zone=f"{self._scope.region}{zone}",
                map_public_ip_on_launch=False,
                tags=self._scope.tagged(self._scope.named(name)),
                opts=self.child(),
            )
            aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self.child())
            subnets.append(subnet.id)
        return aws.rds.SubnetGroup(
            self._name,
            name=self._full_name,
            description="Subnets without a way out",
            subnet_ids=subnets,
            tags=self._tags(),
            opts=self.child(),
        )

    def _create_security_group(self) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            self._name,
            name=self._full_name,
            description="PostgreSQL from the nodes of the cluster, and nothing out",
            vpc_id=self._args.vpc_id,
            tags=self._tags(),
            opts=self.child(),
        )
        aws.vpc.SecurityGroupIngressRule(
            self._name,
            security_group_id=group.id,
            description="PostgreSQL from pods on the nodes",
            ip_protocol="tcp",
            from_port=POSTGRES_PORT,
            to_port=POSTGRES_PORT,
            referenced_security_group_id=self._args.node_security_group,
            tags=self._tags(),
            opts=self.child(),
        )
        return group

    def _create_parameters(self) -> aws.rds.ParameterGroup:
        major = self._args.engine_version.partition(".")[0]
        parameter = aws.rds.ParameterGroupParameterArgs
        return aws.rds.ParameterGroup(
            self._name,
            # The major version is part of the name: a server that moves to another needs another group.
            name=f"{self._full_name}-{major}",
            family=f"postgres{major}",
            description="TLS for everybody, and no statement in the log",
            parameters=[
                *(
                    parameter(name=name, value=value, apply_method="immediate")
                    for name, value in sorted({**_TLS_PARAMETERS, **QUIET_PARAMETERS}.items())
                ),
                parameter(name="max_connections", value=str(self._args.max_connections), apply_method="pending-reboot"),
            ],
            tags=self._tags(),
            opts=self.child(),
        )

    def _create_logs(self) -> list[aws.cloudwatch.LogGroup]:
        """The server would make these logs by itself, and keep them unencrypted and for ever."""
        return [
            aws.cloudwatch.LogGroup(
                f"{self._name}-{log}",
                name=f"/aws/rds/instance/{self._full_name}/{log}",
                retention_in_days=self._args.log_retention_days,
                kms_key_id=self._args.log_key_arn,
                tags=self._tags(),
                opts=self.child(),
            )
            for log in _LOGS
        ]

    def _create_instance(
        self,
        subnets: aws.rds.SubnetGroup,
        group: aws.ec2.SecurityGroup,
        parameters: aws.rds.ParameterGroup,
        logs: list[aws.cloudwatch.LogGroup],
    ) -> aws.rds.Instance:
        args = self._args
        return aws.rds.Instance(
            self._name,
            identifier=self._full_name,
            engine="postgres",
            engine_version=args.engine_version,
            auto_minor_version_upgrade="." not in args.engine_version,
            allow_major_version_upgrade=False,
            instance_class=args.instance_class,
            multi_az=args.multi_az,
            storage_type="gp3",
            allocated_storage=args.storage_gib,
            max_allocated_storage=args.maximum_storage_gib,
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            username=args.administrator,
            password=args.password,
            iam_database_authentication_enabled=False,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            publicly_accessible=False,
            port=POSTGRES_PORT,
            ca_cert_identifier=AUTHORITY,
            parameter_group_name=parameters.name,
            backup_retention_period=args.backup_days,
            backup_window=args.backup_window,
            maintenance_window=args.maintenance_window,
            apply_immediately=False,
            copy_tags_to_snapshot=True,
            deletion_protection=args.protect,
            delete_automated_backups=not args.protect,
            skip_final_snapshot=not args.protect,
            final_snapshot_identifier=f"{self._full_name}-final",
            enabled_cloudwatch_logs_exports=list(_LOGS),
            database_insights_mode="standard",
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.key_arn,
            performance_insights_retention_period=_INSIGHTS_DAYS,
            tags=self._tags(),
            opts=self.child(protect=args.protect or None, depends_on=logs),
        )

    def _tags(self) -> dict[str, str]:
        return self._scope.tagged(self._full_name)
