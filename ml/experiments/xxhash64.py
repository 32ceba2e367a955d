"""xxHash64 of many short strings at once, in numpy.

The gateway (Envoy) hashes the user id with this function to pick a slot. It is not in the standard library,
and hashing a million ids one by one in Python would take a second; here all ids of one length go through
together, one numpy operation per step of the algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

HashArray = npt.NDArray[np.uint64]
_Lanes = npt.NDArray[np.uint64]

_PRIME_1: Final = np.uint64(0x9E3779B185EBCA87)
_PRIME_2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_PRIME_3: Final = np.uint64(0x165667B19E3779F9)
_PRIME_4: Final = np.uint64(0x85EBCA77C2B2AE63)
_PRIME_5: Final = np.uint64(0x27D4EB2F165667C5)


def xxhash64(keys: Sequence[bytes], seed: int = 0) -> HashArray:
    """Return the 64-bit xxHash of each key.

    Args:
        keys: any bytes, of any length.
        seed: 0 is what Envoy uses.

    Raises:
        ValueError: seed does not fit 64 bits.

    Source: xxHash specification, XXH64 (Collet), section "XXH64 Algorithm Description".
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed={seed}: allowed are whole numbers from 0 to 2^64 - 1")
    lengths = np.fromiter((len(key) for key in keys), dtype=np.int64, count=len(keys))
    hashes = np.empty(len(keys), dtype=np.uint64)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        joined = b"".join(keys) if rows.size == len(keys) else b"".join([keys[i] for i in rows.tolist()])
        block = np.frombuffer(joined, dtype=np.uint8).reshape(rows.size, int(length))
        hashes[rows] = _hash_block(block, np.uint64(seed))
    return hashes


def _hash_block(block: npt.NDArray[np.uint8], seed: np.uint64) -> HashArray:
    """Hash keys of one length, one per row. Sums and products wrap at 64 bits on purpose."""
    rows, length = block.shape
    with np.errstate(over="ignore"):
        position = length - length % 32 if length >= 32 else 0
        if position:
            h = _stripes(_words(block[:, :position], 8), seed)
        else:
            h = np.full(rows, seed + _PRIME_5, dtype=np.uint64)
        h = h + np.uint64(length)
        while position + 8 <= length:
            word = _words(block[:, position : position + 8], 8)[:, 0]
            h = _rotate(h ^ _round(np.uint64(0), word), 27) * _PRIME_1 + _PRIME_4
            position += 8
        if position + 4 <= length:
            word = _words(block[:, position : position + 4], 4)[:, 0]
            h = _rotate(h ^ (word * _PRIME_1), 23) * _PRIME_2 + _PRIME_3
            position += 4
        for column in range(position, length):
            h = _rotate(h ^ (block[:, column].astype(np.uint64) * _PRIME_5), 11) * _PRIME_1
        h = (h ^ (h >> np.uint64(33))) * _PRIME_2
        h = (h ^ (h >> np.uint64(29))) * _PRIME_3
        return h ^ (h >> np.uint64(32))


def _stripes(words: _Lanes, seed: np.uint64) -> _Lanes:
    """Run the four accumulators over all 32-byte stripes and merge them."""
    starts = (seed + _PRIME_1 + _PRIME_2, seed + _PRIME_2, seed, seed - _PRIME_1)
    lanes: list[_Lanes] = [np.full(words.shape[0], start, dtype=np.uint64) for start in starts]
    for stripe in range(0, words.shape[1], 4):
        lanes = [_round(lane, words[:, stripe + i]) for i, lane in enumerate(lanes)]
    h = _rotate(lanes[0], 1) + _rotate(lanes[1], 7) + _rotate(lanes[2], 12) + _rotate(lanes[3], 18)
    for lane in lanes:
        h = (h ^ _round(np.uint64(0), lane)) * _PRIME_1 + _PRIME_4
    return h


def _round(accumulator: _Lanes | np.uint64, word: _Lanes) -> _Lanes:
    return _rotate(accumulator + word * _PRIME_2, 31) * _PRIME_1


def _rotate(value: _Lanes, bits: int) -> _Lanes:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


def _words(block: npt.NDArray[np.uint8], width: int) -> _Lanes:
    """Read rows of bytes as little-endian numbers of `width` bytes."""
    kind = np.dtype("<u8" if width == 8 else "<u4")
    return np.ascontiguousarray(block).view(kind).astype(np.uint64)
