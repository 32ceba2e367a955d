"""Kubernetes API is open to the internet."""

from __future__ import annotations

from policies._addresses import everybody
from policies._logic import Every, Filled, Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-cluster-endpoint",
    title="Kubernetes API is open to the internet",
    severity=Severity.HIGH,
    frameworks=("AWS FSBP EKS.1",),
    kinds=("aws:eks/Cluster",),
    demand=Is("vpcConfig.endpointPublicAccess", False)
    | (Filled("vpcConfig.publicAccessCidrs") & Every("vpcConfig.publicAccessCidrs", ~everybody(""))),
    why="Every flaw of the API server is then everybody's to try.",
    how="Close the public endpoint or name the addresses that may use it.",
    example=Example(
        of="Cluster",
        fails={"vpcConfig.endpointPublicAccess": True},
        neighbour={"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["192.0.2.0/24"]}},
        needed=True,
    ),
)
