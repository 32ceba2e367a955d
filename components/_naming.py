"""Names: the token of a component class and the length limits of Kubernetes."""

from __future__ import annotations

import hashlib
import re

TOKEN_PACKAGE = "mlplatform"  # noqa: S105 a type token, not a secret
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_HASH_LENGTH = 8
MAX_LABEL_LENGTH = 63


def type_token(cls: type) -> str:
    """Return the Pulumi type token of a component class."""
    return f"{TOKEN_PACKAGE}:index:{cls.__name__}"


def fit(name: str, max_length: int = MAX_LABEL_LENGTH) -> str:
    """Return a DNS label no longer than `max_length`; a name that is cut ends in a hash of the whole name.

    Raises:
        ValueError: the name is not a lower-case DNS label.
    """
    if not _DNS_LABEL.fullmatch(name):
        raise ValueError(f"name {name!r}: allowed are lower-case letters, digits and inner hyphens")
    if len(name) <= max_length:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: max_length - _HASH_LENGTH - 1].rstrip('-')}-{digest}"
