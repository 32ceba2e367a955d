"""Security group lets everybody reach more than the web ports."""

from __future__ import annotations

from policies._logic import Equal, Every, Is, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-security-group-open",
    title="security group lets everybody reach more than the web ports",
    severity=Severity.CRITICAL,
    frameworks=("AWS FSBP EC2.18", "AWS FSBP EC2.19"),
    kinds=("aws:ec2/SecurityGroup",),
    demand=Every(
        "ingress",
        (Every("cidrBlocks", ~Is("", "0.0.0.0/0")) & Every("ipv6CidrBlocks", ~Is("", "::/0")))
        | (OneOf("fromPort", (80, 443)) & Equal("fromPort", "toPort")),
    ),
    why="Databases, nodes and consoles are found by scanners within minutes.",
    how="Name the addresses, or offer the service through the load balancer.",
    example=Example(
        of="SecurityGroup",
        fails={"ingress.0": {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}},
        neighbour={"ingress.0": {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}},
    ),
)
