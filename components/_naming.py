"""Names: the token of a component class and how long a name may be."""

from __future__ import annotations

TOKEN_PACKAGE = "mlplatform"  # noqa: S105 a type token, not a secret
MAX_LABEL_LENGTH = 63


def type_token(cls: type) -> str:
    """Return the Pulumi type token of a component class."""
    return f"{TOKEN_PACKAGE}:index:{cls.__name__}"
