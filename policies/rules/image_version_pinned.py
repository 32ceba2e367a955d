"""Image has no fixed version."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Matches
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="image-version-pinned",
    title="image has no fixed version",
    severity=Severity.HIGH,
    frameworks=("NSA/CISA",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Matches("image", "@sha256:[0-9a-f]{64}$")
    | (Matches("image", "^[^@]+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$") & ~Matches("image", ":latest$")),
    why="What `latest` means changes between two pods of one Deployment, and nobody can return to what ran yesterday.",
    how="Name a version tag or a digest.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.image": "docker.io/library/server:latest"},
        neighbour={"spec.template.spec.containers.0.image": "docker.io/library/server:v1-latest-stable"},
        needed=True,
    ),
)
