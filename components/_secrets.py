"""Derives every password from the stack's one master secret, so that nothing has to be stored and nothing is shared.

Passwords are HKDF-SHA256 outputs (RFC 5869) under a purpose of their own: knowing one tells nothing about another.
They stay secret outputs. A fingerprint is derived under yet another purpose and may be shown: it changes exactly when
the password does, which is what a pod template needs in order to roll.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import pulumi

_SALT = b"mlplatform/v1"
_PASSWORD_BYTES = 32
_FINGERPRINT_BYTES = 6
_HASH_BYTES = 32


def hkdf_sha256(key: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """Return `length` bytes (at most 8,160) derived from `key` as RFC 5869 says."""
    if not 0 < length <= 255 * _HASH_BYTES:
        raise ValueError(f"length {length}: allowed is 1 to {255 * _HASH_BYTES}")
    pseudo_random_key = hmac.digest(salt, key, hashlib.sha256)
    block, output = b"", b""
    for counter in range(1, -(-length // _HASH_BYTES) + 1):
        block = hmac.digest(pseudo_random_key, block + info + bytes([counter]), hashlib.sha256)
        output += block
    return output[:length]


class SecretSource:
    """Derives secrets from the master secret of a stack."""

    def __init__(self, master: pulumi.Output[str]) -> None:
        self._master = pulumi.Output.secret(master)

    def password(self, purpose: str) -> pulumi.Output[str]:
        """Return a secret of 64 hexadecimal digits; it needs no quoting in a URI, SQL or a shell."""
        return self._derive(f"password/{purpose}", _PASSWORD_BYTES).apply(bytes.hex)

    def fernet_key(self, purpose: str) -> pulumi.Output[str]:
        """Return a secret of 32 bytes in the URL-safe base64 form that Fernet wants."""
        return self._derive(f"fernet/{purpose}", 32).apply(lambda key: base64.urlsafe_b64encode(key).decode())

    def fingerprint(self, *purposes: str) -> pulumi.Output[str]:
        """Return a public text that changes when the secrets of these purposes do."""
        derived = self._derive(f"fingerprint/{'/'.join(purposes)}", _FINGERPRINT_BYTES)
        return pulumi.Output.unsecret(derived.apply(bytes.hex))

    def fingerprint_of(self, secret: pulumi.Output[str]) -> pulumi.Output[str]:
        """Return a public text that changes when a secret does that somebody else has made."""

        def keyed(values: list[str]) -> str:
            info = f"fingerprint-of/{values[1]}".encode()
            return hkdf_sha256(values[0].encode(), salt=_SALT, info=info, length=_FINGERPRINT_BYTES).hex()

        return pulumi.Output.unsecret(pulumi.Output.all(self._master, secret).apply(keyed))

    def _derive(self, info: str, length: int) -> pulumi.Output[bytes]:
        return self._master.apply(
            lambda master: hkdf_sha256(master.encode(), salt=_SALT, info=info.encode(), length=length)
        )
