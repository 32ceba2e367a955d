"""Model server is restarted while it loads."""

from __future__ import annotations

from policies._logic import Is, Present, Some
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="serving-startup-probe",
    title="model server is restarted while it loads",
    severity=Severity.MEDIUM,
    frameworks=("serving",),
    kinds=("apps/Deployment",),
    when=Is("metadata.labels[app.kubernetes.io/name]", "model-server"),
    demand=Some("spec.template.spec.containers", Present("startupProbe")),
    why="Loading a large model takes longer than a liveness probe waits, so the pod never gets ready.",
    how="Give the server a startupProbe.",
    example=Example(
        of="Deployment",
        fails={
            "metadata.labels[app.kubernetes.io/name]": "model-server",
            "spec.template.metadata.labels[mlplatform.dev/slot]": "stable",
            "spec.template.metadata.labels[mlplatform.dev/model]": "m",
            "spec.template.spec.containers.0.startupProbe": None,
        },
        neighbour={"metadata.labels[app.kubernetes.io/name]": "model-registry"},
        needed=True,
    ),
)
