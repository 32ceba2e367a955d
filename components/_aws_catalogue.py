"""What we know of AWS without asking it: sizes of instance families and where GPU families exist (November 2026).

Written down by hand from AWS's public instance pages; a region that is not listed is refused until somebody adds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CPU_FAMILIES: Final = ("m6i", "m7i", "m7a", "m8i", "c6i", "c7i", "c7a", "r6i", "r7i", "r7a")
"""Families of general machines with x86 processors: the images are built for nothing else."""

GPU_CARDS: Final[Mapping[str, str]] = {
    "g4dn": "t4",
    "g5": "a10g",
    "g6": "l4",
    "g6e": "l40s",
    "p4d": "a100",
    "p5": "h100",
}
"""Card of every GPU family, as the label `accelerator` names it."""

MIG_SLICES: Final[Mapping[str, Mapping[str, int]]] = {
    "a100": {"1g.5gb": 7, "2g.10gb": 3, "3g.20gb": 2, "7g.40gb": 1},
    "h100": {"1g.10gb": 7, "1g.20gb": 4, "2g.20gb": 3, "3g.40gb": 2, "7g.80gb": 1},
}
"""Slices that a card can be cut into, all alike, by profile; a card that is not listed cannot be cut."""
MIG_MODELS: Final = {"a100": "a100.40gb", "h100": "h100.80gb"}
"""Cards as Bottlerocket's settings call them."""

_EVERYWHERE: Final = ("g4dn", "g5", "g6")
GPU_FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "eu-central-1": (*_EVERYWHERE, "g6e"),
    "eu-west-1": (*_EVERYWHERE, "p4d"),
    "us-east-1": (*_EVERYWHERE, "g6e", "p4d", "p5"),
    "us-east-2": (*_EVERYWHERE, "g6e", "p4d", "p5"),
    "us-west-2": (*_EVERYWHERE, "g6e", "p4d", "p5"),
}
"""GPU families that can be had in each region."""

REGIONS: Final = tuple(GPU_FAMILIES)
LOG_RETENTION_DAYS: Final = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557)
"""The only retentions that CloudWatch accepts."""

INTERFACE_ENDPOINTS: Final = ("ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "kms", "logs", "sqs", "ssm", "sts")
"""Services that the platform calls, which a private endpoint can serve; S3 has a gateway endpoint anyway."""
