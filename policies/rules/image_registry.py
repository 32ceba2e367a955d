"""Image comes from a registry that nobody vouches for."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Setting, StartsWithOneOf
from policies._model import Example, ObjectRule, Scope, SettingRule, Severity

RULE = ObjectRule(
    id="image-registry",
    title="image comes from a registry that nobody vouches for",
    severity=Severity.HIGH,
    frameworks=("NSA/CISA", "CIS Kubernetes 5.5.1"),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=StartsWithOneOf("image", Setting("registries")),
    settings={
        "registries": SettingRule(
            kind="texts",
            default=("docker.io/", "quay.io/", "ghcr.io/", "gcr.io/", "registry.k8s.io/"),
            meaning="beginnings of allowed image references, each with its final `/`",
        )
    },
    why="Whoever controls the registry controls what runs.",
    how="Copy the image into one of the allowed registries, or add the registry to the configuration in "
    "a reviewed change.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.image": "images.example.net/server:1.0"},
        neighbour={"spec.template.spec.containers.0.image": "quay.io/images.example.net/server:1.0"},
        needed=True,
    ),
)
