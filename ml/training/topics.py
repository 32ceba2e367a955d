"""Which of Debian's sections are topics, and the labelled texts made of them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

from ml.training.dataset import Package, Split, bounded_sample, split_of

TOPICS: Final = (
    "admin",
    "devel",
    "games",
    "gnu-r",
    "golang",
    "graphics",
    "haskell",
    "java",
    "javascript",
    "net",
    "perl",
    "php",
    "python",
    "ruby",
    "rust",
    "science",
    "sound",
    "text",
    "utils",
    "x11",
)
"""The 20 largest sections that say what a package is about.

Sections that say in which form it comes (`libs`, `doc`, `debug`, `metapackages`, ...) are left out: a description does
not tell them apart and they would only be noise.
"""


@dataclasses.dataclass(frozen=True)
class LabelledText:
    """A text and the position of its topic in `TOPICS`."""

    text: str
    label: int


def labelled_texts(
    packages: Iterable[Package], *, split: Split, per_topic_limit: int, seed: int
) -> list[LabelledText]:
    """Return the texts of one split, at most `per_topic_limit` of each topic, in an order decided by `seed`."""
    by_topic: dict[str, list[Package]] = collections.defaultdict(list)
    for package in packages:
        by_topic[package.section].append(package)
    chosen: list[Package] = []
    for topic in TOPICS:
        candidates = [package for package in by_topic[topic] if split_of(package) == split]
        chosen.extend(bounded_sample(candidates, limit=per_topic_limit, seed=seed))
    ordered = bounded_sample(chosen, limit=max(1, len(chosen)), seed=seed)
    return [LabelledText(package.description, TOPICS.index(package.section)) for package in ordered]


def label_counts(texts: Sequence[LabelledText]) -> list[int]:
    """Return how many texts each topic has, in the order of `TOPICS`."""
    counts = collections.Counter(text.label for text in texts)
    return [counts[label] for label in range(len(TOPICS))]
