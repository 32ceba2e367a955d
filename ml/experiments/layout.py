"""Where on the gateway's range of hashes each arm lies, so that users move between control and one treatment only.

The gateway walks through its destinations in their order (`assignment`). Were each arm listed once, then a growing
treatment would push the one before it along the range: users of one treatment would become users of another. So every
treatment has a home as long as its final share and fills it from the end; what it does not have yet is control's, by a
further destination. Whatever the weights are, a treatment that grows takes users from control only, and one that
shrinks or is dropped gives its users to control only.

With one treatment there is nothing to keep apart: [control, treatment].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml.contracts.abtest import AbTestSpec
from ml.experiments.specification import TOTAL_WEIGHT

Layout = tuple[tuple[str, int], ...]
"""Slots and weights in the gateway's order of destinations; a slot may occur more than once."""


def homes(spec: AbTestSpec) -> Mapping[str, int]:
    """Return for every treatment how long its part of the range is: its weight once the ramp is over."""
    counted = TOTAL_WEIGHT - round(spec.holdout_percent * 10)
    return {arm.slot: max(1, round(counted * (arm.weight_percent / 100.0))) for arm in spec.arms[1:]}


def laid_out(weights: Mapping[str, int], home_of: Mapping[str, int]) -> Layout:
    """Return the destinations that give every slot its weight and every treatment its place.

    Args:
        weights: by slot in the fixed order, control first, zeros included. In any other order nobody can be kept apart.
        home_of: see `homes`; a slot that is missing has no place to keep.
    """
    (control, rest), *treatments = weights.items()
    if control in home_of:
        return tuple(weights.items())
    backwards: list[tuple[str, int]] = []
    for slot, weight in reversed(treatments):
        gap = min(max(home_of.get(slot, 0) - weight, 0), rest)
        rest -= gap
        backwards += [(slot, weight), (control, gap)]
    found = [(control, rest)]
    last = 0  # where control's newest destination is
    for slot, weight in reversed(backwards):
        if slot != control:
            found.append((slot, weight))
        elif not any(between for _, between in found[last + 1 :]):
            found[last] = (control, found[last][1] + weight)
        elif weight:
            last = len(found)
            found.append((control, weight))
    return tuple(found)


def stretches(layout: Sequence[tuple[str, int]]) -> Layout:
    """Return the slots along the range of hashes: without empty destinations, neighbours of one slot as one."""
    found: list[tuple[str, int]] = []
    for slot, weight in layout:
        if weight and found and found[-1][0] == slot:
            found[-1] = (slot, found[-1][1] + weight)
        elif weight:
            found.append((slot, weight))
    return tuple(found)
