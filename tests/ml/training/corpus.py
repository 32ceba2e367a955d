"""A small made-up package index whose topics and texts can be learned, for tests that must be quick.

Half of the topics share all their words with another topic and differ only in which word follows which, so a model that
counts words cannot tell them apart and one that sees pairs can: what the pipeline demands of a model can be met here.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path

from ml.training.topics import TOPICS

_NOUNS = ("library", "client", "server", "viewer", "editor", "daemon", "parser", "module", "plugin", "toolkit")
_COLOURS = ("red", "green", "blue", "grey")
_THINGS = ("apple", "stone", "river", "cloud")
_OPENINGS = (
    "This package provides a small {noun} for people who work with files every day.",
    "It reads the configuration once and keeps the result in memory until it ends.",
    "The {noun} can be used from the command line as well as from other programs.",
    "Errors are written to a log file, and a summary is shown at the end of each run.",
    "Several formats are supported, and new ones can be added with little effort.",
)


def seeded(seed: int) -> random.Random:
    """Return a generator that gives the same numbers every time."""
    return random.Random(seed)  # noqa: S311 repeatable test data, no secret


def write_corpus(path: Path, *, per_topic: int = 40, topics: Sequence[str] = TOPICS) -> Path:
    """Write a data set with `per_topic` packages of each topic."""
    rng = seeded(7)
    lines: list[str] = []
    for position, topic in enumerate(topics):
        for number in range(per_topic):
            name = f"{topic}-{number:03d}"
            record = {
                "package": name,
                "source": f"{topic}-source-{number // 2:03d}",
                "section": topic,
                "description": describe(position, rng),
                "homepage": "",
                "priority": "optional",
                "installed_size": number,
            }
            lines.append(json.dumps(record))
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in sorted(lines)))
    return path


def describe(position: int, rng: random.Random) -> str:
    """Return a text for the topic at a position of the list."""
    marker = f"marker{position // 2}"
    shift = position % 2
    pairs = [f"{colour} {_THINGS[(index + shift) % len(_THINGS)]} {marker}" for index, colour in enumerate(_COLOURS)]
    rng.shuffle(pairs)
    sentences = [rng.choice(_OPENINGS).format(noun=rng.choice(_NOUNS)) for _ in range(3)]
    return f"A {rng.choice(_NOUNS)}\n" + " ".join([*sentences, "It knows " + ", ".join(pairs) + "."])
