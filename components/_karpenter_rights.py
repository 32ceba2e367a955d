"""What Karpenter may do on AWS: what its makers ask for, less the making of instance profiles, which this stack does.

Machines carry the cluster's name in a tag from the moment they are asked for, and only what carries it may be changed.
"""

from __future__ import annotations

from components._aws import AwsScope
from components._iam import Allow

_POOL_TAG = "karpenter.sh/nodepool"
_CLAIM_TAG = "karpenter.sh/nodeclaim"
_NEW = ("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")
_LOOKED_UP = (
    "ec2:DescribeCapacityReservations",
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribePlacementGroups",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeSubnets",
)


def karpenter_rights(scope: AwsScope, *, queue: str, node_role: str) -> list[Allow]:
    """Return everything that Karpenter may do in an account."""
    return [*_making(scope), *_changing(scope), *_looking_up(scope), *_others(scope, queue, node_role)]


def _making(scope: AwsScope) -> list[Allow]:
    """Return the rights to make machines, out of what is there and with the cluster's tags."""
    owned = {
        "StringEquals": {
            f"aws:RequestTag/kubernetes.io/cluster/{scope.name}": "owned",
            "aws:RequestTag/eks:eks-cluster-name": scope.name,
        },
        "StringLike": {f"aws:RequestTag/{_POOL_TAG}": "*"},
    }
    own_template = {
        "StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{scope.name}": "owned"},
        "StringLike": {f"aws:ResourceTag/{_POOL_TAG}": "*"},
    }
    return [
        Allow(
            sid="MakeMachinesFrom",
            actions=["ec2:RunInstances", "ec2:CreateFleet"],
            resources=[
                # Images and their snapshots belong to AWS.
                f"arn:aws:ec2:{scope.region}::image/*",
                f"arn:aws:ec2:{scope.region}::snapshot/*",
                *(_ec2(scope, kind) for kind in ("security-group", "subnet", "capacity-reservation")),
            ],
        ),
        Allow(
            sid="MakeMachinesFromOwnTemplates",
            actions=["ec2:RunInstances", "ec2:CreateFleet"],
            resources=[_ec2(scope, "launch-template")],
            conditions=own_template,
        ),
        Allow(
            sid="MakeMachinesWithTags",
            actions=["ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"],
            resources=[_ec2(scope, kind) for kind in _NEW],
            conditions=owned,
        ),
        Allow(
            sid="TagWhatIsMade",
            actions=["ec2:CreateTags"],
            resources=[_ec2(scope, kind) for kind in _NEW],
            conditions={
                **owned,
                "StringEquals": {
                    **owned["StringEquals"],
                    "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"],
                },
            },
        ),
    ]


def _changing(scope: AwsScope) -> list[Allow]:
    """Return the rights over machines that carry the cluster's tags."""
    own = {
        "StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{scope.name}": "owned"},
        "StringLike": {f"aws:ResourceTag/{_POOL_TAG}": "*"},
    }
    return [
        Allow(
            sid="NameMachines",
            actions=["ec2:CreateTags"],
            resources=[_ec2(scope, "instance")],
            conditions={
                **own,
                "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": scope.name},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["eks:eks-cluster-name", _CLAIM_TAG, "Name"]},
            },
        ),
        Allow(
            sid="RemoveMachines",
            actions=["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            resources=[_ec2(scope, "instance"), _ec2(scope, "launch-template")],
            conditions=own,
        ),
    ]


def _looking_up(scope: AwsScope) -> list[Allow]:
    return [
        Allow(
            sid="LookUpMachines",
            actions=list(_LOOKED_UP),
            resources=["*"],
            conditions={"StringEquals": {"aws:RequestedRegion": scope.region}},
        ),
        # Prices are served from one region whatever the stack's is.
        Allow(sid="LookUpPrices", actions=["pricing:GetProducts"], resources=["*"]),
        Allow(
            sid="LookUpImages",
            actions=["ssm:GetParameter"],
            resources=[f"arn:aws:ssm:{scope.region}::parameter/aws/service/*"],
        ),
    ]


def _others(scope: AwsScope, queue: str, node_role: str) -> list[Allow]:
    return [
        Allow(
            sid="HearOfInterruptions",
            actions=["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
            resources=[scope.arn("sqs", queue)],
        ),
        Allow(
            sid="GiveNodesTheirRole",
            actions=["iam:PassRole"],
            resources=[scope.role_arn(node_role)],
            conditions={"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com"]}},
        ),
        Allow(
            sid="ReadTheProfile",
            actions=["iam:GetInstanceProfile"],
            resources=[
                f"arn:aws:iam::{scope.account_id}:instance-profile/{scope.named(node_role)}",
                # Before a class of nodes goes it asks for the profile that it would have made: an answer of "none" lets
                # the class go, a refusal keeps it for ever.
                f"arn:aws:iam::{scope.account_id}:instance-profile/{scope.name}_*",
            ],
        ),
        # It looks for profiles that it made itself and forgot; it makes none here, but asks all the same.
        Allow(
            sid="ListProfiles",
            actions=["iam:ListInstanceProfiles"],
            resources=[f"arn:aws:iam::{scope.account_id}:instance-profile/*"],
        ),
        Allow(sid="FindTheCluster", actions=["eks:DescribeCluster"], resources=[scope.cluster_arn]),
    ]


def _ec2(scope: AwsScope, kind: str) -> str:
    return scope.arn("ec2", f"{kind}/*")
