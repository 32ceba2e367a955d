"""Who saw what: the gateway's sticky weighted choice of a slot, computed offline and bit for bit.

The gateway (Envoy with `use_hash_policy`) takes xxHash64 of the user header after its regex rewrite, salt first,
then walks through the destinations in their order: with weights that sum to W, the value hash mod W falls in
the first destination whose cumulative weight exceeds it. Checked against Envoy 1.40 itself (see the tests).

Consequences: keep W and the order of destinations constant, and growing one destination at the cost of its
neighbour moves users in one direction only. With [control, candidate] and a growing candidate, users only
ever move from control to candidate; with several treatments `layout` makes control the neighbour of each.
Requests without the header are split at random by the gateway and have no reproducible assignment.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.polynomial import legendre

from ml.experiments import validation as check
from ml.experiments.xxhash64 import HashArray, xxhash64

SALT_SEPARATOR: Final = ":"
LARGEST_TOTAL_WEIGHT: Final = 2**32 - 1
"""Envoy refuses weights with a larger sum."""


def salt_pattern(salt: str) -> tuple[str, str]:
    r"""Return (pattern, substitution) of the header's regex rewrite that salts the hash of an experiment.

    Raises:
        ValueError: an empty salt, or one with a backslash, which the substitution would interpret.
    """
    return "^(.*)$", f"{_salt(salt)}{SALT_SEPARATOR}\\1"


def assignment_hashes(user_ids: Sequence[str], salt: str) -> HashArray:
    """Return the 64-bit hash by which the gateway places each user.

    Args:
        user_ids: values of the user header; sent as UTF-8.
        salt: of the experiment, see `salt_pattern`.

    Raises:
        ValueError: an empty salt, or a user id that is empty or holds a line break (no header can).
    """
    prefix = _salt(salt) + SALT_SEPARATOR
    for index, user_id in enumerate(user_ids):
        if not user_id or "\n" in user_id or "\r" in user_id:
            raise ValueError(f"user_ids[{index}]={user_id!r}: allowed are ids without line breaks, not empty")
    return xxhash64([(prefix + user_id).encode() for user_id in user_ids])


def assign(user_ids: Sequence[str], weights: Sequence[int], salt: str) -> check.IntArray:
    """Return for each user the index of the destination that the gateway chooses.

    Args:
        user_ids: values of the user header.
        weights: whole numbers in the gateway's order of destinations, zeros included.
        salt: of the experiment.

    Raises:
        ValueError: as `assignment_hashes`, or weights that Envoy refuses.

    Source: Envoy source/common/http/hash_policy.cc and source/common/router/weighted_cluster_specifier.cc.
    """
    return place(assignment_hashes(user_ids, salt), weights)


def place(hashes: HashArray, weights: Sequence[int]) -> check.IntArray:
    """Return the destination of each hash value, for weights in the gateway's order.

    Raises:
        ValueError: weights that are no whole numbers, sum to 0 or to more than 2^32 - 1.
    """
    w = check.count_vector("weights", weights)
    total = int(w.sum())
    if not 0 < total <= LARGEST_TOTAL_WEIGHT:
        raise ValueError(f"weights={list(weights)} sum to {total}: allowed is 1 to {LARGEST_TOTAL_WEIGHT}")
    edges = np.cumsum(w).astype(np.uint64)
    return np.searchsorted(edges, hashes % np.uint64(total), side="right").astype(np.int64)


def weighted_rendezvous(uniforms: check.Numbers, weights: check.Numbers) -> int:
    """Return the arm that weighted rendezvous hashing picks: the largest -w / ln U.

    The right rule for stickiness when arms come and go; -w / ln U is the reciprocal of an exponential time of
    rate w, so that arm i wins with chance w_i / sum w.

    Args:
        uniforms: one hash per arm of (user, arm), scaled to (0, 1).
        weights: of the arms.

    Raises:
        ValueError: lengths differ, a uniform outside (0, 1), or a negative weight.

    Source: Schindelhauer and Schomaker 2005 (logarithmic method).
    """
    u = check.vector("uniforms", uniforms)
    w = check.weight_vector("weights", weights, size=int(u.size))
    if bool(np.any((u <= 0) | (u >= 1))):
        raise ValueError(f"uniforms={u.tolist()}: allowed are numbers strictly between 0 and 1")
    return int(np.argmax(-w / np.log(u)))


def rendezvous_shares(weights: check.Numbers) -> tuple[float, ...]:
    """Return each arm's share under `weighted_rendezvous`: its weight over their sum."""
    return tuple(float(w) for w in check.weight_vector("weights", weights))


def product_rendezvous_shares(weights: check.Numbers) -> tuple[float, ...]:
    """Return each arm's share under the tempting but wrong rule argmax w U, which starves small arms.

    With weights 10 and 90 the small arm gets 5.6 % instead of 10 %.

    Raises:
        ValueError: negative weights or none above 0.

    Source: direct integration of P(w_i U_i is the largest); piecewise polynomial, so Gauss-Legendre is exact.
    """
    w = check.weight_vector("weights", weights)
    x, weight = legendre.leggauss(w.size // 2 + 1)
    cuts = np.unique(np.concatenate([[0.0], w]))
    shares = np.zeros(w.size)
    for low, high in itertools.pairwise(cuts.tolist()):
        t = low + 0.5 * (high - low) * (1.0 + x)
        below = np.array([np.minimum(1.0, t / other) if other > 0 else np.ones_like(t) for other in w])
        for i in np.flatnonzero(w >= high):
            others = np.prod(np.delete(below, i, axis=0), axis=0)
            shares[i] += 0.5 * (high - low) * float(weight @ others) / w[i]
    return tuple(float(share) for share in shares)


def _salt(salt: str) -> str:
    if not salt or "\\" in salt or "\n" in salt:
        raise ValueError(f"salt={salt!r}: allowed is a text without backslash or line break, not empty")
    return salt
