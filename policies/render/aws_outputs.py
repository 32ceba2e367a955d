"""What AWS would answer to a resource that is made: ids, ARNs and addresses of the right form, made up from its URN.

A preview knows none of them, so they are added only to runs that stand for an update.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

ACCOUNT: Final = "111122223333"
"""An account number that AWS reserves for documentation."""
REGION: Final = "eu-central-1"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A resource as far as its answer depends on it."""

    token: str
    name: str
    urn: str
    inputs: Mapping[str, Any]
    region: str = REGION
    account: str = ACCOUNT

    @property
    def digest(self) -> str:
        """Seventeen hexadecimal digits, as many as an id of EC2 has, that are the same in every run."""
        return hashlib.sha256(self.urn.encode()).hexdigest()[:17]


_EC2_IDS: Final = {
    "Vpc": "vpc",
    "Subnet": "subnet",
    "SecurityGroup": "sg",
    "DefaultSecurityGroup": "sg",
    "InternetGateway": "igw",
    "NatGateway": "nat",
    "Eip": "eipalloc",
    "RouteTable": "rtb",
    "VpcEndpoint": "vpce",
    "LaunchTemplate": "lt",
    "FlowLog": "fl",
}
_GLOBAL: Final = frozenset({"iam", "route53", "budgets"})
"""Services whose ARNs name no region."""
_NAMES: Final = ("name", "bucket", "nodeGroupName", "addonName")
"""Inputs that are also the resource's id."""


def identifier(made: Made) -> str:
    """Return the id of a resource."""
    module, _, rest = made.token.removeprefix("aws:").partition("/")
    if module == "ec2":
        return f"{_EC2_IDS.get(rest.rpartition(':')[2], made.name)}-{made.digest}"
    if made.token == "aws:kms/key:Key":  # noqa: S105 a type token
        return f"{made.digest[:8]}-0000-4000-8000-{made.digest[:12]}"
    if made.token == "aws:sqs/queue:Queue":  # noqa: S105 a type token
        return f"https://sqs.{made.region}.amazonaws.com/{made.account}/{_named(made)}"
    return _named(made)


def computed(made: Made) -> dict[str, Any]:
    """Return the outputs that AWS adds to a resource's inputs."""
    service, _, rest = made.token.removeprefix("aws:").partition("/")
    region = "" if service in _GLOBAL else made.region
    kind = rest.partition(":")[0].lower()
    arn = f"arn:aws:{service}:{region}:{made.account}:{kind}/{_named(made)}"
    if service == "s3":
        arn = f"arn:aws:s3:::{_named(made)}"
    special = _SPECIAL.get(made.token)
    return {"arn": arn, **(special(made) if special else {})}


def _database(made: Made) -> dict[str, Any]:
    name = str(made.inputs.get("identifier", _named(made)))
    address = f"{name}.{made.digest[:12]}.{made.region}.rds.amazonaws.com"
    return {"address": address, "arn": f"arn:aws:rds:{made.region}:{made.account}:db:{name}"}


def _named(made: Made) -> str:
    found = next((made.inputs[key] for key in _NAMES if isinstance(made.inputs.get(key), str)), None)
    return str(found) if found else f"{made.name}-{made.digest[:8]}"


def _cluster(made: Made) -> dict[str, Any]:
    network = made.inputs.get("vpcConfig", {})
    return {
        "endpoint": f"https://{made.digest}.gr7.{made.region}.eks.amazonaws.com",
        "certificateAuthority": {"data": "bWFkZSB1cA=="},
        "vpcConfig": {**network, "clusterSecurityGroupId": f"sg-{made.digest}", "vpcId": "vpc-of-the-subnets"},
    }


def _certificate(made: Made) -> dict[str, Any]:
    domain = str(made.inputs.get("domainName", ""))
    record = {
        "domainName": domain,
        "resourceRecordName": f"_{made.digest}.{domain.removeprefix('*.')}.",
        "resourceRecordType": "CNAME",
        "resourceRecordValue": f"_{made.digest}.acm-validations.aws.",
    }
    return {"domainValidationOptions": [record]}


def _load_balancer(made: Made) -> dict[str, Any]:
    return {"dnsName": f"{made.name}-{made.digest}.elb.{made.region}.amazonaws.com", "zoneId": "Z0MADEUPZONE"}


def _node_group(made: Made) -> dict[str, Any]:
    return {"resources": [{"autoscalingGroups": [{"name": f"eks-{made.name}-{made.digest}"}]}]}


_SPECIAL: Final[Mapping[str, Callable[[Made], dict[str, Any]]]] = {
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "aws:acm/certificate:Certificate": _certificate,
    "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
    "aws:kms/key:Key": lambda made: {
        "keyId": identifier(made),
        "arn": f"arn:aws:kms:{made.region}:{made.account}:key/{identifier(made)}",
    },
    "aws:sqs/queue:Queue": lambda made: {
        "url": identifier(made),
        "arn": f"arn:aws:sqs:{made.region}:{made.account}:{_named(made)}",
    },
    "aws:rds/instance:Instance": _database,
    "aws:sns/topic:Topic": lambda made: {"arn": f"arn:aws:sns:{made.region}:{made.account}:{_named(made)}"},
    "aws:iam/role:Role": lambda made: {"arn": f"arn:aws:iam::{made.account}:role/{_named(made)}"},
    "aws:iam/instanceProfile:InstanceProfile": lambda made: {
        "arn": f"arn:aws:iam::{made.account}:instance-profile/{_named(made)}"
    },
    "aws:cloudwatch/logGroup:LogGroup": lambda made: {
        "arn": f"arn:aws:logs:{made.region}:{made.account}:log-group:{_named(made)}"
    },
    "aws:ec2/launchTemplate:LaunchTemplate": lambda _: {"latestVersion": 1},
    "aws:route53/record:Record": lambda made: {"fqdn": str(made.inputs.get("name", made.name))},
}
