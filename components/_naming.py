"""Names: the token of a component class and how long a name may be."""

from __future__ import annotations

import hashlib

TOKEN_PACKAGE = "mlplatform"  # noqa: S105 a type token, not a secret
MAX_LABEL_LENGTH = 63
_DIGEST_LENGTH = 8


def type_token(cls: type) -> str:
    """Return the Pulumi type token of a component class."""
    return f"{TOKEN_PACKAGE}:index:{cls.__name__}"


def fitting_name(name: str) -> str:
    """Return a name that is not too long for a Service; what had to be cut is told apart by a digest."""
    if len(name) <= MAX_LABEL_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: MAX_LABEL_LENGTH - _DIGEST_LENGTH - 1].rstrip('-')}-{digest}"
