"""Which of a person's variables the Pulumi engine may see when it acts on the embedded platform's stack."""

from __future__ import annotations

from collections.abc import Mapping

_PREFIX = "PULUMI_"


def without_engine_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are not the engine's own settings.

    Those of a person are for stacks of his own, and some win over ours: with PULUMI_CONFIG_PASSPHRASE the engine leaves
    the file aside that holds our passphrase, and what it encrypts then cannot be read without that variable any more.
    """
    return {name: value for name, value in environment.items() if not name.startswith(_PREFIX)}
