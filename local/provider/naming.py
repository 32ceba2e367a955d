"""Names for objects whose program gives none, made like the official provider makes them."""

from __future__ import annotations

import random
import string
from typing import Final

_SUFFIX_LENGTH: Final = 8
_MAX_LENGTH: Final = 63
"""The shortest limit among the kinds (Services), so that a generated name fits all of them."""
_ALPHABET: Final = string.ascii_lowercase + string.digits


def generate_name(base: str, seed: bytes) -> str:
    """Return `base`, cut if it is too long, with a random suffix that is the same for the same seed."""
    chooser = random.Random(seed) if seed else random.SystemRandom()  # noqa: S311 - names are no secrets
    suffix = "".join(chooser.choices(_ALPHABET, k=_SUFFIX_LENGTH))
    return f"{base[: _MAX_LENGTH - _SUFFIX_LENGTH - 1].rstrip('-.')}-{suffix}"
