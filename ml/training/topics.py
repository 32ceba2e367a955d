"""Which of Debian's sections are topics, and the labelled texts made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ml.training.dataset import Package, Split, bounded_sample, split_of
from ml.training.examples import Example

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


def topic_examples(packages: Iterable[Package], *, split: Split, per_topic_limit: int, seed: int) -> list[Example]:
    """Return the texts of one split with their position in `TOPICS`, in an order decided by `seed`.

    Each topic gives at most `per_topic_limit` texts, so that the large sections do not drown the small ones.
    """
    by_topic: dict[str, list[Package]] = {topic: [] for topic in TOPICS}
    for package in packages:
        if package.section in by_topic and split_of(package) == split:
            by_topic[package.section].append(package)
    chosen = [
        package
        for candidates in by_topic.values()
        for package in bounded_sample(candidates, limit=per_topic_limit, seed=seed)
    ]
    ordered = bounded_sample(chosen, limit=len(chosen) or 1, seed=seed)
    return [Example(package.description, TOPICS.index(package.section)) for package in ordered]
