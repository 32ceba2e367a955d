"""Secret holds a token that never expires."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="secret-account-token",
    title="Secret holds a token that never expires",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.1.6",),
    kinds=("core/Secret",),
    demand=~Is("type", "kubernetes.io/service-account-token"),
    why="Tokens of this kind are valid until their account is deleted; projected ones live an hour.",
    how="Use the token that the pod gets, or `kubectl create token`.",
    example=Example(
        of="Secret",
        fails={
            "metadata.annotations[kubernetes.io/service-account.name]": "default",
            "type": "kubernetes.io/service-account-token",
        },
        neighbour={"type": "kubernetes.io/tls", "stringData": {"tls.crt": "made-up", "tls.key": "made-up"}},
    ),
)
