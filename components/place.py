"""Where a stack's platform runs: the cluster that somebody has, or one on AWS that the stack makes.

What AWS needs is imported only where a stack is there: its package alone takes longer to load than everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._cloud import CloudParts
from components.cluster import connect
from components.platform_expectations import require_prerequisites, with_prerequisites
from components.platform_prerequisites import create_prerequisites
from components.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Place:
    """A cluster, and what comes with it."""

    provider: k8s.Provider
    """Of every object in the cluster."""
    cloud: CloudParts | None = None
    before: Sequence[pulumi.Resource] = ()
    """What the platform waits for as a whole: nodes and disks. It leaves before they do."""


def prepare(settings: Settings) -> Place:
    """Declare everything that the platform stands on.

    Raises:
        UnmetPrerequisitesError: the cluster lacks what the settings say is present; nothing is declared yet.
        RunError: the stack is on AWS, whose package is not installed.
    """
    if settings.aws is None:
        require_prerequisites(settings)
        provider = connect("cluster", settings)
        return Place(provider=provider, before=create_prerequisites(settings, provider))
    try:
        from components import platform_aws as cloud
        from components import platform_aws_services as inside
    except ModuleNotFoundError as error:
        raise pulumi.RunError(f"a stack on AWS needs the package {error.name}: pip install -e '.[aws]'") from None

    aws_only = pulumi.ResourceOptions(providers=[cloud.cloud_provider(settings.aws)])
    foundation = cloud.CloudFoundation(
        "cloud", cloud.CloudFoundationArgs(settings=settings, aws=settings.aws), aws_only
    )
    provider = connect("cluster", settings, with_prerequisites(settings, foundation.cluster.kubeconfig))
    # The gate: what runs in the cluster does so on the managed nodes, which are there when the foundation is.
    both = pulumi.ResourceOptions.merge(aws_only, pulumi.ResourceOptions(providers=[provider], depends_on=[foundation]))
    services = inside.ClusterServices(
        "cluster-services",
        inside.ClusterServicesArgs(
            aws=settings.aws,
            keep_disks=settings.protect_data,
            parts=foundation.cluster_parts,
            image_mirror=settings.image_mirror,
        ),
        both,
    )
    before = [foundation, services, *create_prerequisites(settings, provider, [foundation])]
    return Place(provider=provider, cloud=foundation.parts, before=before)
