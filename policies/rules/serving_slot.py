"""Model server does not say which slot it is."""

from __future__ import annotations

from policies._logic import Filled, Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="serving-slot",
    title="model server does not say which slot it is",
    severity=Severity.HIGH,
    frameworks=("serving",),
    kinds=("apps/Deployment",),
    when=Is("metadata.labels[app.kubernetes.io/name]", "model-server"),
    demand=Filled("spec.template.metadata.labels[mlplatform.dev/slot]")
    & Filled("spec.template.metadata.labels[mlplatform.dev/model]"),
    why="Requests are split by these labels; a pod without them gets none, or those of all slots.",
    how="Label the pods with mlplatform.dev/model and mlplatform.dev/slot.",
    example=Example(
        of="Deployment",
        fails={
            "metadata.labels[app.kubernetes.io/name]": "model-server",
            "spec.template.metadata.labels[mlplatform.dev/model]": "m",
            "spec.template.metadata.labels[mlplatform.dev/slot]": "",
        },
        neighbour={
            "metadata.labels[app.kubernetes.io/name]": "model-server",
            "spec.template.metadata.labels[mlplatform.dev/slot]": "stable",
            "spec.template.metadata.labels[mlplatform.dev/model]": "m",
        },
        needed=True,
    ),
)
