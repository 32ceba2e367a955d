"""Security group lets everybody reach more than the web ports."""

from __future__ import annotations

from policies._addresses import everybody
from policies._logic import Equal, Every, Is, Matches, OneOf
from policies._model import Example, ObjectRule, Severity

# Groups hold their rules, or each rule is a resource of its own, in one of two forms. Of protocol -1, which is all
# of them, AWS reads no ports.
_TRANSPORT = "(?i)^(tcp|udp|6|17)$"
_WEB = (
    OneOf("fromPort", (80, 443))
    & Equal("fromPort", "toPort")
    & (Matches("protocol", _TRANSPORT) | Matches("ipProtocol", _TRANSPORT))
)
_NAMED = (
    Every("cidrBlocks", ~everybody(""))
    & Every("ipv6CidrBlocks", ~everybody(""))
    & ~everybody("cidrIpv4")
    & ~everybody("cidrIpv6")
)

RULE = ObjectRule(
    id="aws-security-group-open",
    title="security group lets everybody reach more than the web ports",
    severity=Severity.CRITICAL,
    frameworks=("AWS FSBP EC2.18", "AWS FSBP EC2.19"),
    kinds=(
        "aws:ec2/SecurityGroup",
        "aws:ec2/DefaultSecurityGroup",
        "aws:ec2/SecurityGroupRule",
        "aws:vpc/SecurityGroupIngressRule",
    ),
    demand=Every("ingress", _NAMED | _WEB) & (Is("type", "egress") | _NAMED | _WEB),
    why="Databases, nodes and consoles are found by scanners within minutes.",
    how="Name the addresses, or offer the service through the load balancer.",
    example=Example(
        of="SecurityGroup",
        fails={"ingress.0": {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}},
        neighbour={"ingress.0": {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}},
    ),
)
